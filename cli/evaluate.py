"""`clinicedge evaluate`: how well every artifact decides on a data folder."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ._data import data_folder

if TYPE_CHECKING:
    from ..profiles.audit_bundle import AuditReport
    from ..profiles.evaluation import (
        ArtifactFigures,
        EvaluationReport,
        PartFigures,
        Prompts,
        Question,
        Wanted,
    )
    from ..runtime import Bundle

COLUMNS = ("artifact", "compute", ">threshold", ">accuracy", ">sensitivity", ">specificity", ">AUC")
NO_SCORE = (">no score", ">accuracy of all")


def run(
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    data: Annotated[
        Path,
        typer.Option(
            help="Folder with manifest.csv (file, patient, split, and label, findings, mask or "
            "boxes_xyxy); a bare name is also looked for in CLINICEDGE_DATA."
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
    shortcut_audit: Annotated[
        bool,
        typer.Option(
            "--shortcut-audit",
            help="Instead: AUC with the lungs, or all but the lungs, hidden. One artifact.",
        ),
    ] = False,
    masks: Annotated[
        Path | None, typer.Option(help="Folder of true lung masks for the audit.")
    ] = None,
    lungs: Annotated[
        Path | None,
        typer.Option(help="Bundle that draws lungs for the audit, where there are no masks."),
    ] = None,
    reliability: Annotated[
        Path | None,
        typer.Option(help="Also draw a reliability diagram into this PNG: scores against truth."),
    ] = None,
    boxes: Annotated[
        str,
        typer.Option(
            help="What a model of masks in boxes is asked with: true, the boxes around the true "
            "masks, or moved, these moved at random."
        ),
    ] = "true",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Measure accuracy of every artifact on a data folder.

    Accuracy, sensitivity, specificity and AUC with 95 % intervals over patients, each artifact at
    its own threshold, and how many films it decides otherwise than FP32; for several findings
    each on its own, for masks Dice, IoU and pixel figures at the films' own resolution, for boxes
    AP50, recall, precision and the mean IoU of hits. A second table tells what each artifact
    decides otherwise than FP32 of its format, with McNemar's exact test, what it lost, and how far
    its scores are from shares (expected calibration error). A pipeline is scored whole; films
    without lungs get no score and are counted. A lesion pipeline's masks are told from the boxes
    that it finds, from the true ones and from these moved: the Dice lost against true boxes is
    what finding them by machine costs. Patients that trained or tuned any member are refused.
    Exit code 0: done; 2: refused.

    \b
    Examples:
        clinicedge evaluate BUNDLE --data films/
        clinicedge evaluate BUNDLE --data kermany224 --part test --json
        clinicedge evaluate BUNDLE --data films/ --reliability diagram.png
        clinicedge evaluate medsam2-256/ --data btxrd256 --boxes moved
        clinicedge evaluate lesion-segmenter/ --data btxrd256 --json
        clinicedge evaluate BUNDLE --data kermany224 --shortcut-audit --masks lungmasks
    """
    from ..profiles.evaluate import evaluate
    from ..profiles.evaluation import Question
    from ..runtime import load
    from .printing import print_json, progress_bar

    opened = load(bundle)
    if boxes not in ("true", "moved"):
        raise typer.BadParameter(f"boxes {boxes!r}; expected true or moved")
    asked: Prompts = "moved" if boxes == "moved" else "true"
    question = Question(wanted_parts(part), tuple(artifact or ()), threads, asked)
    if shortcut_audit:
        audited = _audit(opened, data_folder(data), question, (masks, lungs), keep)
        print_json(audited) if as_json else _print_audit(audited)
        return
    with progress_bar() as progress:
        report = evaluate(opened, data_folder(data), question, progress)
    if reliability is not None:
        from ..profiles.reliability_plot import draw_reliability

        draw_reliability(report, reliability)
    if as_json:
        print_json(report)
    else:
        for one in report.parts:
            _print_part(report, one)
        for note in report.notes:
            print(f"note: {note}")
        for skipped in report.skipped:
            print(f"not evaluated: {skipped.artifact}: {skipped.reason}")
    if keep:
        _keep(opened, report)


def _audit(
    bundle: "Bundle",
    data: Path,
    question: "Question",
    sources: tuple[Path | None, Path | None],
    keep: bool,
) -> "AuditReport":
    from ..profiles.audit_bundle import audit_bundle, keep_audit
    from ..profiles.lung_masks import FoundLungs, LungMasks, TrueLungs, own_lungs
    from ..runtime import load
    from ..runtime.errors import OutputError
    from .printing import progress_bar

    masks, lungs = sources
    found: LungMasks
    if masks is not None:
        found = TrueLungs(data_folder(masks))
    else:
        found = FoundLungs(load(lungs)) if lungs is not None else own_lungs(bundle)
    with progress_bar() as progress:
        report = audit_bundle(bundle, data, question, found, progress)
    if keep:
        try:
            keep_audit(bundle, report)
        except OutputError as err:
            typer.echo(f"note: the figures were not stored: {err}", err=True)
    return report


def _print_audit(report: "AuditReport") -> None:
    from .printing import percents, print_table, shares

    for part in report.parts:
        figures = part.figures
        print_table(
            f"{report.model} ({report.ran.artifact}) on {report.data}, part {part.part}: "
            f"{figures.n_films} films, {figures.n_positive} positive, {part.without_lungs} left "
            "out without lungs",
            ("view", ">AUC", ">no score"),
            [
                (v.view, shares(v.auc) if v.auc else "not measured", str(v.no_score))
                for v in figures.views
            ],
        )
        inside = figures.peaks_inside
        said = f"{percents(inside)} of {inside.n} positive films" if inside else "not measured"
        print(f"the explanation peaks inside the lungs: {said}; flat maps: {figures.flat_maps}")
    print(f"lungs: {report.lungs}; hidden behind {report.fill}; {report.how}.")


def wanted_parts(asked: list[str] | None) -> "tuple[Wanted, ...]":
    """Parts of the split by name.

    Raises:
        typer.BadParameter: there is none of that name.
    """
    from ..profiles.evaluation import WANTED

    known = {str(name): name for name in WANTED}
    unknown = [name for name in asked or () if name not in known]
    if unknown:
        raise typer.BadParameter(f"no part {', '.join(unknown)}; there are {', '.join(known)}")
    return tuple(known[name] for name in asked or ())


def _keep(bundle: "Bundle", report: "EvaluationReport") -> None:
    """Store the figures; a bundle in a read-only folder is no reason to lose them."""
    from ..profiles.evaluate import keep
    from ..runtime.errors import OutputError

    try:
        keep(bundle, report)
    except OutputError as err:
        typer.echo(f"note: the figures were not stored: {err}", err=True)


def _print_part(report: "EvaluationReport", part: "PartFigures") -> None:
    from ._decisions import evaluated, print_decisions
    from ._found import print_found
    from .printing import print_table

    title = (
        f"{report.model} on {report.data}, part {part.part}: {part.n_films} films of "
        f"{part.n_patients} patients, {part.n_positive} positive"
    )
    flips = f">flips against {part.reference}"
    for label in dict.fromkeys(row.label for row in part.rows):
        rows = [row for row in part.rows if row.label == label]
        gaps = any(row.no_score for row in rows)
        columns = (*COLUMNS, *((">F1",) if label else ()), *(NO_SCORE if gaps else ()), flips)
        print_table(
            f"{title}; {label}" if label else title, columns, [_row(row, gaps) for row in rows]
        )
        if gaps:
            print("accuracy of all: films without a score count as wrong.")
    print_found(title, report.model, part)
    print_decisions("against FP32 of the same format, on films that both score", evaluated(part))
    for reason in part.not_measured:
        print(f"not measured: {reason}")


def _row(row: "ArtifactFigures", gaps: bool) -> tuple[str, ...]:
    from .printing import percents, shares

    f = row.figures
    cells = [
        row.artifact,
        row.compute,
        f"{row.threshold:.3f}",
        percents(f.accuracy),
        percents(f.sensitivity),
        percents(f.specificity),
        shares(f.auc),
    ]
    if row.label:
        cells.append(shares(row.f1) if row.f1 else "not measured")
    if gaps:
        with_gaps = row.accuracy_with_no_score or f.accuracy
        cells += [str(row.no_score), percents(with_gaps)]
    return (*cells, str(row.flips))
