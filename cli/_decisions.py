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
    ">lost sensitivity, points",
    ">lost specificity, points",
    ">lost AUC",
    ">ECE",
)
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
    """Nothing where there is nothing to tell."""
    from .printing import print_table

    if not any(row.counts or row.ece for row in rows):
        return
    print_table(title, COLUMNS, [_cells(row) for row in rows])
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


def _cells(row: Row) -> tuple[str, ...]:
    counts = [NOTHING if c is None else str(c) for c in row.counts] or [NOTHING] * 4
    by_name = {loss.figure: loss for loss in row.losses}
    return (
        row.name,
        *counts,
        NOTHING if row.p is None else f"{row.p:.3g}",
        _loss(by_name.get("sensitivity"), 100, 1),
        _loss(by_name.get("specificity"), 100, 1),
        _loss(by_name.get("auc"), 1, 4),
        _ece(row),
    )


def _loss(loss: "PairedLoss | None", factor: float, digits: int) -> str:
    if loss is None:
        return NOTHING
    value, low, high = (v * factor for v in (loss.value, loss.low, loss.high))
    return f"{value:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f})"


def _ece(row: Row) -> str:
    if row.ece is None:
        return NOTHING
    after = f"{row.ece.value:.3f} ({row.ece.low:.3f}-{row.ece.high:.3f})"
    return after if row.unscaled is None else f"{row.unscaled.value:.3f} -> {after}"
