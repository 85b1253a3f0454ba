"""`clinicedge predict --slices`: lesions through the slices of one examination."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ._boxes import typed_box

if TYPE_CHECKING:
    from ..runtime import Film, Predictor
    from ..runtime.slices import Slice, StackAnswer

# More lesions of a slice than these are counted, not listed.
SHOWN_LESIONS = 5


@dataclass(frozen=True)
class SliceRequest:
    """What is asked: boxes as typed, on which slice (counted from 1), and where pictures go."""

    boxes: tuple[str, ...]
    on_slice: int
    overlay: Path | None


def answer_slices(
    predictor: "Predictor", paths: Sequence[Path], asked: SliceRequest, as_json: bool
) -> None:
    """Read, outline and print.

    Raises:
        typer.BadParameter: not one path, or boxes that are none.
        ClinicEdgeError: the slices or boxes were refused.
    """
    from ..runtime import CAUTION
    from ..runtime.slices import outline_stack, refuse_other_kinds
    from ..runtime.stacks import read_stack
    from .printing import print_json, progress_bar

    if len(paths) != 1:
        raise typer.BadParameter(
            f"--slices takes one folder of slices or one DICOM file of several frames; found "
            f"{len(paths)}."
        )
    refuse_other_kinds(predictor)
    films = read_stack(paths[0], predictor.input.dicom.voi)
    by_hand = tuple(typed_box(text) for text in asked.boxes)
    with progress_bar() as progress:
        answer = outline_stack(predictor, films, {asked.on_slice - 1: by_hand}, progress)
    pictures = {} if asked.overlay is None else _write(films, answer, asked.overlay)
    if as_json:
        print_json({"file": str(paths[0]), "answer": answer, "overlays": pictures})
        return
    _print(predictor, answer, paths[0])
    print(CAUTION)


def _write(films: "Sequence[Film]", answer: "StackAnswer", folder: Path) -> dict[str, str]:
    """A picture of each slice with a lesion; their paths by the slices' names."""
    from ..runtime.drawing import lesion_overlay
    from .printing import write_png

    written = {}
    for number, (film, one) in enumerate(zip(films, answer.slices, strict=True), start=1):
        if one.lesions:
            path = folder / f"{number:03}.png"
            write_png(path, lesion_overlay(film, [lesion.seen for lesion in one.lesions]))
            written[one.name] = str(path)
    return written


def _print(predictor: "Predictor", answer: "StackAnswer", path: Path) -> None:
    from .printing import print_table

    report = answer.report
    print_table(
        f"{report.model} {report.model_version} on {path.name}: {len(answer.slices)} slices of "
        f"{answer.width} x {answer.height} pixels",
        ("lesion", "label", "slices", ">box found on", ">largest on", ">area there, px"),
        [
            (
                str(one.number),
                one.label,
                f"{one.first} to {one.last}",
                str(one.found),
                str(one.largest),
                str(one.area_px),
            )
            for one in answer.lesions
        ],
    )
    numbered = [(n, one) for n, one in enumerate(answer.slices, start=1) if one.lesions]
    if numbered:
        rows = [(str(number), one.name, _words(one)) for number, one in numbered]
        print_table("slices with lesions", (">slice", "name", "lesions"), rows)
    if answer.note:
        print(answer.note)
    print(f"How: {answer.how}.")
    for part in predictor.parts:
        own = part.predictor.report
        print(f"{part.role}: {own.model} {own.artifact} in {own.session.engine_version}")


def _words(one: "Slice") -> str:
    shown = [
        f"{lesion.lesion}: {lesion.seen.area_px} px, {_origin(lesion)}"
        for lesion in one.lesions[:SHOWN_LESIONS]
    ]
    more = len(one.lesions) - SHOWN_LESIONS
    return "; ".join(shown) + (f" and {more} more" if more > 0 else "")


def _origin(lesion: Any) -> str:
    score = lesion.seen.confidence
    return "box " + (lesion.origin if score is None else f"{lesion.origin} ({score:.2f})")
