"""The table of decisions against FP32, as `convert` and `evaluate` print it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..profiles.evaluation import PartFigures
    from ..runtime.figures import Figure, Flips, Reliability
    from ..runtime.guarding import PairedLoss
    from ..runtime.manifest import Manifest

COLUMNS = (
    "artifact",
    ">to positive",
    ">to negative",
    ">mended",
    ">spoilt",
    ">McNemar p",
)
# Of each figure that can be lost its column, what it is multiplied with, and digits.
LOSSES = {
    "sensitivity": (">lost sensitivity, points", 100, 1),
    "specificity": (">lost specificity, points", 100, 1),
    "auc": (">lost AUC", 1, 4),
    "dice": (">lost Dice", 1, 4),
    "recall": (">lost recall, points", 100, 1),
    "ap50": (">lost AP50", 1, 4),
    "agreement": (">decided otherwise, points", 100, 1),
}
ECE = ">ECE"
NOTHING = "-"


@dataclass(frozen=True)
class Row:
    """One artifact and label; `counts`: to positive, to negative, mended, spoilt."""

    name: str
    counts: tuple[int | None, ...]
    p: float | None
    losses: "Sequence[PairedLoss]"
    ece: "Figure | None"
    unscaled: "Figure | None" = None


def print_decisions(title: str, rows: Sequence[Row]) -> None:
    """With columns for the figures that were measured; nothing where there is nothing to tell."""
    from .printing import print_table

    if not any(row.counts or row.losses or row.ece for row in rows):
        return
    measured = {loss.figure for row in rows for loss in row.losses}
    figures = [name for name in LOSSES if name in measured]
    scored = any(row.ece for row in rows)
    columns = (*COLUMNS, *(LOSSES[name][0] for name in figures), *((ECE,) if scored else ()))
    print_table(title, columns, [_cells(row, figures, scored) for row in rows])
    if any(row.unscaled for row in rows):
        print("ECE: before -> after temperature scaling.")


def evaluated(part: "PartFigures") -> list[Row]:
    """Of one part of an evaluation."""
    return [
        Row(
            f"{row.artifact} {row.label}".strip(),
            (a.to_positive, a.to_negative, a.mended, a.spoilt) if (a := row.against) else (),
            a.p if a else None,
            a.losses if a else (),
            row.ece,
        )
        for row in part.rows
    ]


def converted(manifest: "Manifest") -> list[Row]:
    """Of what convert recorded on guard."""
    rows = []
    for artifact in manifest.artifacts:
        flips = {f.label: f for f in artifact.flips}
        scores = {r.label: r for r in artifact.reliability}
        guard = artifact.guard.losses if artifact.guard else ()
        for label in dict.fromkeys((*flips, *scores, *(loss.label for loss in guard))):
            found = [loss for loss in guard if loss.label == label]
            name = f"{artifact.id} {label}".strip()
            rows.append(_row(name, flips.get(label), scores.get(label), found))
    return rows


def _row(
    name: str, flips: "Flips | None", score: "Reliability | None", losses: "Sequence[PairedLoss]"
) -> Row:
    counts: tuple[int | None, ...] = ()
    if flips is not None:
        counts = (flips.to_positive, flips.to_negative, flips.mended, flips.spoilt)
    ece = score.ece if score else None
    unscaled = score.unscaled if score else None
    return Row(name, counts, flips.p if flips else None, losses, ece, unscaled)


def _cells(row: Row, figures: Sequence[str], scored: bool) -> tuple[str, ...]:
    counts = [NOTHING if c is None else str(c) for c in row.counts] or [NOTHING] * 4
    by_name = {str(loss.figure): loss for loss in row.losses}
    return (
        row.name,
        *counts,
        NOTHING if row.p is None else f"{row.p:.3g}",
        *(_loss(by_name.get(name), *LOSSES[name][1:]) for name in figures),
        *((_ece(row),) if scored else ()),
    )


def _loss(loss: "PairedLoss | None", factor: int, digits: int) -> str:
    if loss is None:
        return NOTHING
    value, low, high = (v * factor for v in (loss.value, loss.low, loss.high))
    return f"{value:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f})"


def _ece(row: Row) -> str:
    if row.ece is None:
        return NOTHING
    after = f"{row.ece.value:.3f} ({row.ece.low:.3f}-{row.ece.high:.3f})"
    return after if row.unscaled is None else f"{row.unscaled.value:.3f} -> {after}"
