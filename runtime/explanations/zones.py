"""The six lung zones, and how much of a map lies in each.

Radiological convention: the film is looked at as if the patient faced the reader, so the patient's
right lies at the film's left. A zone is a third of its lung's height.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..masks import location
from ..regions import label_regions, region_boxes

Side = Literal["right", "left"]
Level = Literal["upper", "middle", "lower"]
Bools = NDArray[np.bool_]
SIDES: tuple[Side, ...] = ("right", "left")
LEVELS: tuple[Level, ...] = ("upper", "middle", "lower")
# The numbers of `lung_zones` less one.
ZONES: tuple[tuple[Side, Level], ...] = tuple((s, v) for s in SIDES for v in LEVELS)
# A region that is smaller, as a share of the larger one, is no lung of its own.
_LUNG = 0.1
# Two lungs side by side are wider than this share of their height; one lung is not.
_PAIR = 0.85


@dataclass(frozen=True)
class ZoneShare:
    """A zone by the patient's side, and the share of the map's whole weight in it, 0..1."""

    side: Side
    level: Level
    share: float


@dataclass(frozen=True)
class Located:
    """Where a map lies.

    Attributes:
        inside: share of its weight inside the lungs, 0..1; None where no lungs are known.
        zones: those with any weight, the heaviest first; () where no lungs are known.
        peak: (vertical, horizontal) third of the picture where the map is strongest, as the
            picture lies: "upper" | "middle" | "lower", "left" | "centre" | "right".
    """

    inside: float | None
    zones: tuple[ZoneShare, ...]
    peak: tuple[str, str]


def lung_zones(lungs: Bools) -> NDArray[np.uint8]:
    """The zone of each pixel, for lungs bool (H, W).

    Returns:
        uint8 (H, W): 0 outside the lungs, else 1 + the zone's place in `ZONES`.
    """
    zones = np.zeros(lungs.shape, np.uint8)
    for number, lung in enumerate(_sides(np.asarray(lungs, bool))):
        rows = np.flatnonzero(lung.any(axis=1))
        if not len(rows):
            continue
        top, height = int(rows[0]), int(rows[-1]) - int(rows[0]) + 1
        level = np.clip((np.arange(len(lung)) - top) * 3 // height, 0, 2)
        numbers = (1 + 3 * number + level).astype(np.uint8)
        zones[lung] = np.broadcast_to(numbers[:, None], lung.shape)[lung]
    return zones


def locate(values: NDArray[np.float32], lungs: Bools | None) -> Located | None:
    """Where a map over a film lies; None where it is empty.

    Args:
        values: float32 (H, W), 0..1, the map at the film's size.
        lungs: bool (H, W), None where they are not known.
    """
    total = float(values.sum(dtype=np.float64))
    if not total > 0:
        return None
    row, column = np.unravel_index(int(np.argmax(values)), values.shape)
    peak = location((float(row) + 0.5, float(column) + 0.5), values.shape)
    if lungs is None or not lungs.any():
        return Located(None, (), peak)
    zones = lung_zones(lungs)
    weights = np.bincount(zones.ravel(), values.ravel().astype(np.float64), len(ZONES) + 1)[1:]
    shares = [
        ZoneShare(side, level, float(weight) / total)
        for (side, level), weight in zip(ZONES, weights, strict=True)
        if weight > 0
    ]
    inside = min(1.0, float(weights.sum()) / total)
    return Located(inside, tuple(sorted(shares, key=lambda z: -z.share)), peak)


def _sides(lungs: Bools) -> tuple[Bools, Bools]:
    """The patient's right and left lung, (H, W) each."""
    labels, areas = label_regions(lungs)
    large = [n for n, area in enumerate(areas, start=1) if area >= _LUNG * areas[0]]
    boxes = region_boxes(labels, len(areas))
    if len(large) >= 2:
        one, other = (boxes[n - 1] for n in large[:2])
        # Side by side, not one above the other.
        if (
            min(one[2], other[2]) - max(one[0], other[0])
            < min(one[2] - one[0], other[2] - other[0]) / 2
        ):
            return _nearer(labels, len(areas), (one, other))
    if not len(areas):
        return lungs, lungs
    x0, y0, x1, y1 = _around(lungs)
    if x1 - x0 <= _PAIR * (y1 - y0):
        only = x0 + x1 <= lungs.shape[1]
        nothing = np.zeros_like(lungs)
        return (lungs, nothing) if only else (nothing, lungs)
    split = _between(lungs[:, x0:x1].sum(axis=0)) + x0
    columns = np.arange(lungs.shape[1]) + 0.5
    return lungs & (columns < split), lungs & (columns >= split)


def _nearer(
    labels: NDArray[np.int32], count: int, pair: tuple[tuple[int, ...], ...]
) -> tuple[Bools, Bools]:
    """Every region with the lung whose middle it is nearer to."""
    middles = sorted((box[0] + box[2]) / 2 for box in pair)
    number = np.arange(1, count + 1)
    centres = np.array([(b[0] + b[2]) / 2 for b in region_boxes(labels, count)])
    right = number[centres < sum(middles) / 2]
    first: Bools = np.isin(labels, right)
    return first, (labels > 0) & ~first


def _around(lungs: Bools) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(lungs.any(axis=1)), np.flatnonzero(lungs.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _between(counts: NDArray[np.int64]) -> float:
    """Where two lungs that touch are parted: the emptiest column of the middle third."""
    third = len(counts) // 3
    middle = counts[third : len(counts) - third]
    emptiest = np.flatnonzero(middle == middle.min())
    return third + float(emptiest.mean()) + 0.5
