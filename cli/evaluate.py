"""`clinicedge evaluate`: how well every artifact decides on a data folder."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..profiles.evaluate import EvaluationReport, PartFigures, Wanted
    from ..runtime import Bundle
    from ..runtime.manifest import Figure

COLUMNS = ("artifact", "compute", ">threshold", ">accuracy", ">sensitivity", ">specificity", ">AUC")


def run(
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    data: Annotated[
        Path,
        typer.Option(
            help="Folder with manifest.csv (file, label, patient, split); a bare name is also "
            "looked for in CLINICEDGE_DATA."
        ),
    ],
    part: Annotated[
        list[str] | None,
        typer.Option(
            help="train, select, guard, test, official-test, official-test-new-patients or all; "
            "may be given more than once. Without it: the test parts where the bundle was "
            "trained on patients of this folder, else all."
        ),
    ] = None,
    artifact: Annotated[
        list[str] | None, typer.Option(help="Only this artifact; may be given more than once.")
    ] = None,
    threads: Annotated[int, typer.Option(min=0, help="0: all usable.")] = 0,
    keep: Annotated[
        bool, typer.Option(help="Store the figures in the bundle's measurements folder.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Measure accuracy of every artifact on a data folder.

    Accuracy, sensitivity, specificity and AUC with 95 % intervals over patients, each artifact at
    its own threshold, and how many films it decides otherwise than FP32. Patients that trained or
    tuned the model are refused. Exit code 0: done; 2: refused.

    \b
    Examples:
        clinicedge evaluate BUNDLE --data films/
        clinicedge evaluate BUNDLE --data kermany224 --part test --json
    """
    from ..profiles.evaluate import Question, evaluate
    from ..runtime import load
    from .printing import print_json, progress_bar

    opened = load(bundle)
    question = Question(_parts(part), tuple(artifact or ()), threads)
    with progress_bar() as progress:
        report = evaluate(opened, _folder(data), question, progress)
    if as_json:
        print_json(report)
    else:
        for one in report.parts:
            _print_part(report, one)
        for skipped in report.skipped:
            print(f"not evaluated: {skipped.artifact}: {skipped.reason}")
    if keep:
        _keep(opened, report)


def _parts(asked: list[str] | None) -> "tuple[Wanted, ...]":
    from ..profiles.evaluate import WANTED

    known = {str(name): name for name in WANTED}
    unknown = [name for name in asked or () if name not in known]
    if unknown:
        raise typer.BadParameter(f"no part {', '.join(unknown)}; there are {', '.join(known)}")
    return tuple(known[name] for name in asked or ())


def _folder(data: Path) -> Path:
    root = os.environ.get("CLINICEDGE_DATA")
    if not data.exists() and root and (Path(root) / data).is_dir():
        return Path(root) / data
    return data


def _keep(bundle: "Bundle", report: "EvaluationReport") -> None:
    """Store the figures; a bundle in a read-only folder is no reason to lose them."""
    from ..profiles.evaluate import keep
    from ..runtime.errors import OutputError

    try:
        keep(bundle, report)
    except OutputError as err:
        typer.echo(f"note: the figures were not stored: {err}", err=True)


def _print_part(report: "EvaluationReport", part: "PartFigures") -> None:
    from .printing import print_table

    print_table(
        f"{report.model} on {report.data}, part {part.part}: {part.n_films} films of "
        f"{part.n_patients} patients, {part.n_positive} positive",
        (*COLUMNS, f">flips against {part.reference}"),
        [
            (
                r.artifact,
                r.compute,
                f"{r.threshold:.3f}",
                _percent(r.figures.accuracy),
                _percent(r.figures.sensitivity),
                _percent(r.figures.specificity),
                f"{r.figures.auc.value:.3f} ({r.figures.auc.low:.3f}-{r.figures.auc.high:.3f})",
                str(r.flips),
            )
            for r in part.rows
        ],
    )


def _percent(figure: "Figure") -> str:
    value, low, high = (v * 100 for v in (figure.value, figure.low, figure.high))
    return f"{value:.1f} ({low:.1f}-{high:.1f}) %"
