"""How well masks fit, with 95 % intervals from resampling patients."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import DataError
from ..runtime.figures import Figure
from .masks import IGNORE
from .metrics import bootstrap_mean, bootstrap_ratio, bootstrap_share

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class MaskFigures:
    """Means over films that have a mask; pixel figures over all films.

    `mean_iou` averages the IoU of mask and background over all pixels, `pixel_accuracy` counts
    them; `false_alarms` is the share of films without a mask on which something was drawn, None
    where there is none. Doubtful pixels count nowhere. `precision_range` and `recall_range` are
    95 % intervals, None where nothing was drawn.
    """

    dice: Figure
    iou: Figure
    precision: float
    recall: float
    f1: float
    pixel_accuracy: float
    mean_iou: float
    false_alarms: Figure | None
    precision_range: tuple[float, float] | None = None
    recall_range: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class PixelCounts:
    """Pixels of each film (N,): hit, drawn beside the mask, missed, and rightly left."""

    hit: Floats
    extra: Floats
    missed: Floats
    rest: Floats


def count_pixels(found: Bools, mask: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """(hit, extra, missed, rest) of one film, bool and uint8 (H, W), doubtful pixels left out."""
    known, truth = mask != IGNORE, mask == 255
    drawn = found & known
    hit = int((drawn & truth).sum())
    extra, missed = int(drawn.sum()) - hit, int(truth.sum()) - hit
    return hit, extra, missed, int(known.sum()) - hit - extra - missed


def evaluate_masks(found: Bools, masks: NDArray[np.uint8], patients: Sequence[str]) -> MaskFigures:
    """Figures of bool masks (N, H, W) against uint8 masks (N, H, W) of 0, IGNORE and 255.

    Raises:
        DataError: the lengths differ, or no film has a mask.
    """
    if not len(found) == len(masks) == len(patients):
        raise DataError(
            f"{len(found)} masks found, {len(masks)} true masks, {len(patients)} patients; "
            "expected as many."
        )
    rows = [count_pixels(f, m) for f, m in zip(found, masks, strict=True)]
    return mask_figures(PixelCounts(*np.array(rows, np.float64).reshape(-1, 4).T), patients)


def mask_figures(counts: PixelCounts, patients: Sequence[str]) -> MaskFigures:
    """The same from counted pixels, where films have different sizes.

    Raises:
        DataError: no film has a mask.
    """
    hit, extra, missed, rest = counts.hit, counts.extra, counts.missed, counts.rest
    has = hit + missed > 0
    if not has.any():
        raise DataError(f"none of {len(has)} films has a mask; Dice needs some.")
    names = np.asarray(patients)
    dice = 2 * hit[has] / (2 * hit + extra + missed)[has]
    iou = hit[has] / (hit + extra + missed)[has]
    h, e, m, r = (float(v.sum()) for v in (hit, extra, missed, rest))
    precision, recall = _ratio(h, h + e), _ratio(h, h + m)
    background = _ratio(r, r + e + m)
    return MaskFigures(
        dice=bootstrap_mean(dice, tuple(names[has])),
        iou=bootstrap_mean(iou, tuple(names[has])),
        precision=precision,
        recall=recall,
        f1=_ratio(2 * precision * recall, precision + recall),
        pixel_accuracy=_ratio(h + r, h + e + m + r),
        mean_iou=(_ratio(h, h + e + m) + background) / 2,
        false_alarms=None if has.all() else bootstrap_share(extra[~has] > 0, tuple(names[~has])),
        precision_range=_range(hit, hit + extra, patients),
        recall_range=_range(hit, hit + missed, patients),
    )


def _range(parts: Floats, wholes: Floats, patients: Sequence[str]) -> tuple[float, float] | None:
    if not wholes.any():
        return None
    figure = bootstrap_ratio(parts, wholes, patients)
    return figure.low, figure.high


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
