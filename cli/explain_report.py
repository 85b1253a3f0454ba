"""`clinicedge explain-report`: how good a bundle's explanations are, methods side by side."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..profiles.explanation_quality.records import ArtifactQuality
    from ..profiles.explanation_quality.reporting import ExplainReport


def run(
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    data: Annotated[
        Path,
        typer.Option(
            help="Folder with manifest.csv; a bare name is also looked for in CLINICEDGE_DATA."
        ),
    ],
    masks: Annotated[
        Path | None,
        typer.Option(
            help="Folder of true lung masks. Without it: the lungs that the pipeline finds itself."
        ),
    ] = None,
    boxes: Annotated[
        Path | None, typer.Option(help="Folder with boxes.csv of true findings.")
    ] = None,
    part: Annotated[
        str | None, typer.Option(help="A part of the split, or all; as in `evaluate`.")
    ] = None,
    artifact: Annotated[
        list[str] | None,
        typer.Option(help="May be given more than once. Without it: FP32, and INT8 beside it."),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="May be given more than once. Without it: all that need no further runs of the "
            "network; score-cam, rise and occlusion must be named."
        ),
    ] = None,
    label: Annotated[str, typer.Option(help="The class to explain.")] = "",
    films: Annotated[int, typer.Option(min=1, help="Positive films, at most.")] = 24,
    per_patient: Annotated[int, typer.Option(min=1, help="Films of a patient, at most.")] = 1,
    steps: Annotated[
        int, typer.Option(min=2, max=256, help="Points of the deletion and insertion curves.")
    ] = 16,
    passes: Annotated[
        int,
        typer.Option(
            min=0, max=4096, help="Runs a map of score-cam, rise and occlusion; 0: their own."
        ),
    ] = 0,
    pictures: Annotated[int, typer.Option(min=0, help="Films shown on the page.")] = 4,
    threads: Annotated[int, typer.Option(min=0, help="0: all usable.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the page; without it explain-report beside the bundle."),
    ] = None,
    keep: Annotated[
        bool, typer.Option(help="Store the figures in the bundle's measurements folder.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Compare the methods of explanation on positive films, with pictures.

    Deletion and insertion, the share of the map inside the lungs and inside boxes, whether the
    map goes when the weights are shuffled, and how like INT8 maps are to FP32's, with 95 %
    intervals over patients. Of a network that draws masks: the share inside the true masks of
    --data. Writes explain-report.html and .json. A run that was broken off goes on where it was.
    Exit code 0: done; 2: refused.

    \b
    Examples:
        clinicedge explain-report BUNDLE --data kermany512 --masks lungmasks
        clinicedge explain-report BUNDLE --data nih --boxes nih --films 40
        clinicedge explain-report BUNDLE --data films/ --method eigen-cam --method rise --json
        clinicedge explain-report bundles/lungs-128 --data lungmasks --method occlusion
    """
    from ..profiles.explanation_quality.page import write_report
    from ..profiles.explanation_quality.pictures import film_rows
    from ..profiles.explanation_quality.records import Bounds
    from ..profiles.explanation_quality.reporting import Asked, explain_report
    from ..runtime import load
    from ._data import data_folder
    from .evaluate import wanted_parts
    from .printing import print_json, progress_bar

    asked = Asked(
        data=data_folder(data),
        part=next(iter(wanted_parts([part] if part else None)), None),
        artifacts=tuple(artifact or ()),
        methods=tuple(method or ()),
        label=label,
        masks=None if masks is None else data_folder(masks),
        boxes=None if boxes is None else data_folder(boxes),
        bounds=Bounds(films, per_patient, steps, passes),
        threads=threads,
        keep=keep,
    )
    opened = load(bundle)
    with progress_bar() as progress:
        measured = explain_report(opened, asked, progress)
    report = measured.report
    shown = tuple(m.method for m in report.artifacts[0].methods)
    rows = film_rows(measured.predictor, measured.job, shown, pictures)
    paths = write_report(report, rows, out or opened.folder.parent / "explain-report")
    if as_json:
        print_json(report)
    else:
        _print(report, paths)


def _print(report: "ExplainReport", paths: tuple[Path, ...]) -> None:
    for found in report.artifacts:
        _print_artifact(found)
    for skipped in report.skipped:
        print(f"not measured: {skipped.artifact}: {skipped.reason}")
    for note in report.notes:
        print(f"note: the figures were not stored: {note}")
    print(f"the bundle explains with {report.method} where nothing is asked for")
    print(f"the page: {paths[0]}")


def _print_artifact(found: "ArtifactQuality") -> None:
    from ..profiles.explanation_quality.tables import (
        heading,
        regions,
        row,
        title,
        used,
        warnings,
    )
    from .printing import print_table

    columns = used(found.methods)
    names = [heading(k, found.region_kind)[0] for k in columns]
    heads = [name if k == 0 else f">{name}" for k, name in zip(columns, names, strict=True)]
    rows = [tuple(row(m)[k] for k in columns) for m in found.methods]
    print_table(title(found), heads, rows)
    for text in warnings(found):
        print(f"caution: {text}")
    for text in regions(found):
        print(text)
    for left in (*found.not_measured, *found.no_map):
        print(f"not measured: {left.what}: {left.why}")
    if found.choice is not None:
        print(f"the rule would pick {found.choice.method} here: {found.choice.why}")
