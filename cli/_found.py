"""Tables of what was found on films, boxes and masks, as `evaluate` prints them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..models.family import PublishedMasks
    from ..profiles.evaluation import ArtifactBoxes, ArtifactMasks, PartFigures

MASK_COLUMNS = (
    "artifact",
    "compute",
    ">threshold",
    ">pixel accuracy",
    ">mean IoU",
    ">IoU",
    ">Dice",
    ">precision",
    ">recall",
    ">F1",
    ">drawn where nothing is",
)
PIXEL_COLUMNS = (">pixel accuracy", ">mean IoU", ">precision", ">recall", ">F1")
BOX_COLUMNS = (
    "artifact",
    "compute",
    ">threshold",
    ">AP50",
    ">recall",
    ">precision",
    ">mean IoU of hits",
    ">found where nothing is",
)
BOX_LOSSES = ("artifact", "label", "against", ">lost recall, points", ">lost AP50")
MASK_LOSSES = ("artifact", "boxes", "against", ">lost Dice")


def print_found(title: str, model: str, part: "PartFigures") -> None:
    """Boxes, masks, and what each artifact loses; nothing where there are none.

    Below the masks of `model` stands what others published of its architecture.
    """
    from ..models.zoo import published
    from .printing import print_table

    flips = f">flips against {part.reference}"
    for label in dict.fromkeys(row.label for row in part.boxes):
        rows = [_box_row(row) for row in part.boxes if row.label == label]
        print_table(f"{title}; boxes of {label}", (*BOX_COLUMNS, flips), rows)
    if part.boxes:
        print("a box hits where its intersection over union with a true one is at least 0.5.")
    if part.masks:
        masks = (*part.masks, *part.given_boxes)
        drawn_in = ("boxes",) if any(row.boxes for row in masks) else ()
        columns = (MASK_COLUMNS[0], *drawn_in, *MASK_COLUMNS[1:], flips)
        rows = [_mask_row(row, bool(drawn_in)) for row in masks]
        theirs = None if drawn_in else published(model)
        print_table(title, columns, [*rows, _published_row(theirs)] if theirs else rows)
        print("Dice and IoU: mean over films with a mask; the other figures over all pixels.")
        if theirs:
            print(f"{theirs.source}: {theirs.note.lower()}; its figures are not of the same kind.")
        pixels = [_pixel_row(row, bool(drawn_in)) for row in masks if row.figures.f1_range]
        columns = (MASK_COLUMNS[0], *drawn_in, *PIXEL_COLUMNS)
        if pixels:
            print_table("over all pixels, 95 % intervals from resampling patients", columns, pixels)
    _print_losses(part)


def _print_losses(part: "PartFigures") -> None:
    from .printing import print_table

    boxes = [_box_losses(row) for row in part.boxes if row.losses]
    if boxes:
        print_table("lost against FP32 of the same format, film by film", BOX_LOSSES, boxes)
    masks = [cells for r in (*part.masks, *part.given_boxes) for cells in _mask_losses(r)]
    if masks:
        print_table("lost on the same films", MASK_LOSSES, masks)


def _box_row(row: "ArtifactBoxes") -> tuple[str, ...]:
    from .printing import percents, shares

    f = row.figures
    return (
        row.artifact,
        row.compute,
        f"{row.threshold:.3f}",
        shares(f.ap50),
        percents(f.recall),
        percents(f.precision) if f.precision else "nothing found",
        shares(f.overlap) if f.overlap else "no hit",
        percents(f.false_alarms) if f.false_alarms else "no such film",
        str(row.flips),
    )


def _mask_row(row: "ArtifactMasks", drawn_in: bool) -> tuple[str, ...]:
    from .printing import percents, shares

    f = row.figures
    return (
        row.artifact,
        *((row.boxes or "-",) if drawn_in else ()),
        row.compute,
        f"{row.threshold:.3f}",
        f"{f.pixel_accuracy:.4f}",
        f"{f.mean_iou:.4f}",
        shares(f.iou),
        shares(f.dice),
        f"{f.precision:.4f}",
        f"{f.recall:.4f}",
        f"{f.f1:.4f}",
        percents(f.false_alarms) if f.false_alarms else "no such film",
        str(row.flips),
    )


def _pixel_row(row: "ArtifactMasks", drawn_in: bool) -> tuple[str, ...]:
    f = row.figures
    shown = (
        _between(f.pixel_accuracy_range),
        _between(f.mean_iou_range),
        _between(f.precision_range),
        _between(f.recall_range),
        _between(f.f1_range),
    )
    return (row.artifact, *((row.boxes or "-",) if drawn_in else ()), *shown)


def _between(limits: tuple[float, float] | None) -> str:
    return f"{limits[0]:.4f} to {limits[1]:.4f}" if limits else "nothing drawn"


def _published_row(theirs: "PublishedMasks") -> tuple[str, ...]:
    shown = (
        *(theirs.pixel_accuracy, theirs.mean_iou, theirs.iou, theirs.dice),
        *(theirs.precision, theirs.recall, theirs.f1),
    )
    return (theirs.source, "", "", *(f"{value:.4f}" for value in shown), "", "")


def _box_losses(row: "ArtifactBoxes") -> tuple[str, ...]:
    by_name = {loss.figure: loss for loss in row.losses}
    recall, area = by_name["recall"], by_name["ap50"]
    return (
        row.artifact,
        row.label,
        row.against,
        _loss((recall.value, recall.low, recall.high), 100, 1),
        _loss((area.value, area.low, area.high), 1, 4),
    )


def _mask_losses(row: "ArtifactMasks") -> list[tuple[str, ...]]:
    return [
        (row.artifact, row.boxes or "-", loss.against, _loss((loss.value, loss.low, loss.high)))
        for loss in row.losses
    ]


def _loss(values: Sequence[float], factor: float = 1.0, digits: int = 4) -> str:
    value, low, high = (v * factor for v in values)
    return f"{value:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f})"
