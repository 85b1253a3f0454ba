"""How well boxes are found, with 95 % intervals from resampling patients.

A box hits a true box of its label where their intersection over union reaches `HIT_IOU`; found
boxes choose in the order of their scores, each the true box that it overlaps most of those left
(Everingham et al. 2010, "The Pascal Visual Object Classes Challenge").
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..runtime.boxes import iou
from ..runtime.errors import DataError
from ..runtime.figures import Figure
from .metrics import bootstrap_mean, bootstrap_ratio, bootstrap_share, figure_of
from .resampling import Draws, draw_patients, number_patients

HIT_IOU = 0.5
# Of equally good thresholds the middle of the widest gap; F1 is flat around its best.
F1_RULE = "largest F1 of boxes (IoU 0.5), middle of the widest best gap"
_CHUNK = 100

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FilmMatch:
    """One label on one film: its found boxes, the surest first.

    Attributes:
        scores: float64 (M,), falling.
        hit: bool (M,), whether each hits a true box that no surer one hit.
        overlaps: float64 (M,), IoU with the true box that it hit, 0 where none.
        n_true: true boxes.
    """

    scores: Floats
    hit: Bools
    overlaps: Floats
    n_true: int


@dataclass(frozen=True)
class BoxFigures:
    """Of one label.

    `ap50`: area under precision over recall, precision made monotonous, all points; over every
    score. The rest at the threshold: `recall` of true boxes, `precision` of found ones (None where
    nothing was found), `overlap` the mean IoU of hits (None without), `false_alarms` the share of
    films without a true box on which one was found (None where there is no such film).
    """

    ap50: Figure
    recall: Figure
    precision: Figure | None
    overlap: Figure | None
    false_alarms: Figure | None


def match(boxes: Floats, scores: Floats, truth: Floats, least: float = HIT_IOU) -> FilmMatch:
    """Found boxes (M, 4) of one label on one film against true ones (T, 4), same pixels.

    Equal scores keep the order that they came in.
    """
    order = np.argsort(-scores, kind="stable")
    overlap = iou(boxes[order], truth)
    hit = np.zeros(len(order), bool)
    reached = np.zeros(len(order))
    left = np.ones(len(truth), bool)
    for i, row in enumerate(overlap):
        if not left.any():
            break
        best = int(np.argmax(np.where(left, row, -1.0)))
        if row[best] >= least:
            hit[i], reached[i], left[best] = True, row[best], False
    return FilmMatch(scores[order].astype(np.float64), hit, reached, len(truth))


def box_figures(
    films: Sequence[FilmMatch], patients: Sequence[str], threshold: float
) -> BoxFigures:
    """All films of a part.

    Raises:
        DataError: other lengths, or no film has a true box.
    """
    true = np.array([film.n_true for film in films], np.float64)
    if len(films) != len(patients) or not true.any():
        raise DataError(
            f"{len(films)} films of {len(patients)} patients with {int(true.sum())} true boxes; "
            "expected as many of each, and at least one box."
        )
    above = [film.scores >= threshold for film in films]
    found = np.array([a.sum() for a in above], np.float64)
    hits = np.array([(f.hit & a).sum() for f, a in zip(films, above, strict=True)], np.float64)
    overlaps = [f.overlaps[f.hit & a] for f, a in zip(films, above, strict=True)]
    owners = [p for p, o in zip(patients, overlaps, strict=True) for _ in o]
    empty = true == 0
    without = [p for p, e in zip(patients, empty, strict=True) if e]
    return BoxFigures(
        ap50=average_precision(films, patients),
        recall=bootstrap_ratio(hits, true, patients),
        precision=bootstrap_ratio(hits, found, patients) if found.any() else None,
        overlap=bootstrap_mean(np.concatenate(overlaps), owners) if owners else None,
        false_alarms=bootstrap_share(found[empty] > 0, without) if without else None,
    )


def average_precision(films: Sequence[FilmMatch], patients: Sequence[str]) -> Figure:
    """AP50 with its interval; one true box is needed."""
    patient = number_patients(patients)
    n = int(patient.max()) + 1
    values = resampled_precision(films, patient, draw_patients(n))
    value = float(resampled_precision(films, patient, np.ones((1, n), np.int32))[0])
    return figure_of(value, values[np.isfinite(values)], len(films), n)


def resampled_precision(
    films: Sequence[FilmMatch], patient: NDArray[np.intp], draws: Draws
) -> Floats:
    """AP50 (R,) of each resample of patients; NaN where one has no true box."""
    scores = np.concatenate([film.scores for film in films])
    hit = np.concatenate([film.hit for film in films])
    owner = np.repeat(patient, [len(film.scores) for film in films])
    order = np.argsort(-scores, kind="stable")
    hit, owner = hit[order], owner[order]
    true = np.bincount(patient, [film.n_true for film in films], minlength=draws.shape[1])
    parts = [
        _areas(hit, draws[i : i + _CHUNK][:, owner], (draws[i : i + _CHUNK] @ true).astype(float))
        for i in range(0, len(draws), _CHUNK)
    ]
    return np.concatenate(parts)


def _areas(hit: Bools, weight: NDArray[np.int32], true: Floats) -> Floats:
    """AP (R,) of boxes in the order of their scores with weights (R, D)."""
    hits = np.cumsum(weight * hit, axis=1, dtype=np.float64)
    found = np.cumsum(weight, axis=1, dtype=np.float64)
    precision = hits / np.maximum(found, 1.0)
    best_from = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    gained = (best_from * (weight * hit)).sum(axis=1)
    return np.where(true > 0, gained / np.maximum(true, 1.0), np.nan)


def pick_box_threshold(films: Sequence[FilmMatch]) -> float | None:
    """The score with the largest F1 of boxes, see `F1_RULE`; None where nothing hits.

    It lies between two neighbouring scores, or between 0 and the lowest.
    """
    scores = np.concatenate([film.scores for film in films])
    hit = np.concatenate([film.hit for film in films])
    if not hit.any():
        return None
    values, index = np.unique(scores, return_inverse=True)
    hits = np.bincount(index, weights=hit)[::-1].cumsum()[::-1]
    found = np.bincount(index)[::-1].cumsum()[::-1]
    f1 = 2 * hits / (found + sum(film.n_true for film in films))
    gaps = np.diff(values, prepend=0.0)
    best = np.flatnonzero(f1 >= f1.max() - 1e-12)
    at = int(best[np.argmax(gaps[best])])
    return float(values[at] - gaps[at] / 2)
