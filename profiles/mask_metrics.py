"""How well masks fit, with 95 % intervals from resampling patients."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import DataError
from ..runtime.figures import Compute, Figure, MaskAccuracy, Part
from .masks import IGNORE
from .metrics import bootstrap_mean, bootstrap_share, figure_of
from .resampling import draw_patients, number_patients

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class MaskFigures:
    """Means over films that have a mask; pixel figures over all films.

    `mean_iou` averages the IoU of mask and background over all pixels, `pixel_accuracy` counts
    them; `false_alarms` is the share of films without a mask on which something was drawn, None
    where there is none. Doubtful pixels count nowhere. The ranges are 95 % intervals from
    resampling patients; that of precision is None where nothing was drawn.
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
    f1_range: tuple[float, float] | None = None
    pixel_accuracy_range: tuple[float, float] | None = None
    mean_iou_range: tuple[float, float] | None = None


def mask_accuracy(
    f: MaskFigures, data: str, part: Part, threshold: float, compute: Compute = "f32"
) -> MaskAccuracy:
    """As manifests and cards keep them: with where and at which threshold they were measured."""
    return MaskAccuracy(
        data=data,
        part=part,
        compute=compute,
        threshold=threshold,
        dice=f.dice,
        iou=f.iou,
        precision=f.precision,
        recall=f.recall,
        false_alarms=f.false_alarms,
        pixel_accuracy=f.pixel_accuracy,
        mean_iou=f.mean_iou,
        f1=f.f1,
        precision_range=f.precision_range,
        recall_range=f.recall_range,
        f1_range=f.f1_range,
        pixel_accuracy_range=f.pixel_accuracy_range,
        mean_iou_range=f.mean_iou_range,
    )


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
    shares = _pixel_shares(np.array([[hit.sum()], [extra.sum()], [missed.sum()], [rest.sum()]]))
    values = {name: float(np.nan_to_num(found[0])) for name, found in shares.items()}
    ranges = _ranges(counts, values, patients)
    return MaskFigures(
        dice=bootstrap_mean(dice, tuple(names[has])),
        iou=bootstrap_mean(iou, tuple(names[has])),
        precision=values["precision"],
        recall=values["recall"],
        f1=values["f1"],
        pixel_accuracy=values["pixel_accuracy"],
        mean_iou=values["mean_iou"],
        false_alarms=None if has.all() else bootstrap_share(extra[~has] > 0, tuple(names[~has])),
        precision_range=ranges["precision"],
        recall_range=ranges["recall"],
        f1_range=ranges["f1"],
        pixel_accuracy_range=ranges["pixel_accuracy"],
        mean_iou_range=ranges["mean_iou"],
    )


def _pixel_shares(sums: Floats) -> dict[str, Floats]:
    """Of pixel sums (4, R), hit, extra, missed and rest: shares (R,), NaN where there are none."""
    h, e, m, r = sums
    background = np.nan_to_num(_ratio(r, r + e + m))
    return {
        "precision": _ratio(h, h + e),
        "recall": _ratio(h, h + m),
        "f1": _ratio(2 * h, 2 * h + e + m),
        "pixel_accuracy": _ratio(h + r, h + e + m + r),
        "mean_iou": (_ratio(h, h + e + m) + background) / 2,
    }


def _ranges(
    counts: PixelCounts, values: dict[str, float], patients: Sequence[str]
) -> dict[str, tuple[float, float] | None]:
    """95 % intervals, all from the same resamples; None where none has such pixels."""
    cluster = number_patients(patients)
    n = int(cluster.max()) + 1
    draws = draw_patients(n)
    films = (counts.hit, counts.extra, counts.missed, counts.rest)
    sums = np.array([draws @ np.bincount(cluster, weights=f, minlength=n) for f in films])
    found: dict[str, tuple[float, float] | None] = {}
    for name, resampled in _pixel_shares(sums).items():
        there = resampled[np.isfinite(resampled)]
        figure = figure_of(values[name], there, len(cluster), n) if len(there) else None
        found[name] = (figure.low, figure.high) if figure else None
    return found


def _ratio(parts: Floats, wholes: Floats) -> Floats:
    """NaN where the whole is 0."""
    result: Floats = np.where(wholes > 0, parts / np.maximum(wholes, 1.0), np.nan)
    return result
