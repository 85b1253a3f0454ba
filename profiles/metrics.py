"""Every figure on decisions, with its 95 % interval.

Films of one patient are alike, so intervals resample patients, not films. Where all resamples
agree (a share of 0 or 1), Wilson's interval over patients takes their place.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..runtime.errors import DataError
from ..runtime.figures import Figure
from .resampling import (
    Bools,
    Draws,
    Floats,
    draw_patients,
    number_patients,
    resampled_areas,
    weighted_areas,
)
from .resampling import Z as _Z


@dataclass(frozen=True)
class BinaryFigures:
    """How well scores tell positives from negatives; positive means score >= threshold."""

    accuracy: Figure
    sensitivity: Figure
    specificity: Figure
    auc: Figure


def evaluate_binary(
    scores: ArrayLike, positives: ArrayLike, patients: Sequence[str], threshold: float
) -> BinaryFigures:
    """Accuracy, sensitivity, specificity and AUC with patient-clustered bootstrap intervals.

    Args:
        scores: (N,), any increasing measure of the positive label.
        positives: (N,), whether each film has the positive label.
        patients: N patient keys.

    Raises:
        DataError: the lengths differ, a score is not finite, or one class has no film.
    """
    score, positive = _checked(scores, positives)
    if len(patients) != len(score):
        raise DataError(f"{len(score)} scores and {len(patients)} patients; expected as many.")
    if positive.all() or not positive.any():
        raise DataError(
            f"all {len(score)} films are {'positive' if positive.all() else 'negative'}; "
            "sensitivity, specificity and AUC need films of both labels."
        )
    cluster = number_patients(patients)
    draws = draw_patients(int(cluster.max()) + 1)
    right = (score >= threshold) == positive
    everything = np.ones_like(positive)
    return BinaryFigures(
        accuracy=_share(right, everything, cluster, draws),
        sensitivity=_share(right, positive, cluster, draws),
        specificity=_share(right, ~positive, cluster, draws),
        auc=_auc(score, positive, cluster, draws),
    )


def area_with_interval(scores: ArrayLike, positives: ArrayLike, patients: Sequence[str]) -> Figure:
    """`area_under_curve` with its interval from resampling patients.

    Raises:
        DataError: the lengths differ, a score is not finite, or one class has no film.
    """
    score, positive = _checked(scores, positives)
    if len(patients) != len(score) or positive.all() or not positive.any():
        raise DataError(
            f"{len(score)} scores, {len(patients)} patients, {int(positive.sum())} positive films; "
            "expected as many, and films of both labels."
        )
    cluster = number_patients(patients)
    return _auc(score, positive, cluster, draw_patients(int(cluster.max()) + 1))


def area_under_curve(scores: ArrayLike, positives: ArrayLike) -> float:
    """Chance that a positive film scores higher than a negative one; a tie counts one half.

    NaN where one class has no film.
    """
    score, positive = _checked(scores, positives)
    return float(weighted_areas(score, positive, np.ones((1, len(score))))[0])


def pick_threshold(scores: ArrayLike, positives: ArrayLike) -> tuple[float, str]:
    """The threshold with the largest sensitivity + specificity - 1 (Youden's J), and its rule.

    It lies in the middle between two neighbouring scores; of equally good gaps the widest is
    taken, which leaves the most room for small differences between engines.

    Raises:
        DataError: one class has no film.
    """
    score, positive = _checked(scores, positives)
    if positive.all() or not positive.any():
        raise DataError("a threshold needs films of both labels; choose another part of the data.")
    rule = "largest sensitivity + specificity - 1 (Youden's J), middle of the widest best gap"
    values, index = np.unique(score, return_inverse=True)
    if len(values) == 1:
        return float(values[0]), rule
    hits = np.bincount(index, weights=positive) / positive.sum()
    alarms = np.bincount(index, weights=~positive) / (~positive).sum()
    gain = (hits - alarms)[::-1].cumsum()[::-1][1:]
    gaps = np.diff(values)
    best = np.flatnonzero(gain >= gain.max() - 1e-12)
    at = int(best[np.argmax(gaps[best])])
    middle = float(values[at] + gaps[at] / 2)
    return (middle if middle > values[at] else float(values[at + 1])), rule


def pick_agreeing(scores: ArrayLike, decided: ArrayLike) -> float:
    """The threshold that decides the fewest films otherwise than another network did.

    It lies in the middle between two neighbouring scores, or between the outermost and 0 or 1; of
    equally good gaps the widest is taken.

    Args:
        scores: (N,), finite.
        decided: (N,), what the other network called positive.

    Raises:
        DataError: there are no films, the lengths differ, or a score is not finite.
    """
    score, positive = _checked(scores, decided)
    values, index = np.unique(score, return_inverse=True)
    called = np.bincount(index, weights=positive)
    others = np.bincount(index, weights=~positive)
    missed = np.concatenate([[0.0], called.cumsum()])
    alarms = np.concatenate([others[::-1].cumsum()[::-1], [0.0]])
    edges = np.concatenate([[min(0.0, values[0])], values, [max(1.0, values[-1])]])
    gaps = np.diff(edges)
    # Above the highest score there may be no room.
    flips = np.where((np.arange(len(gaps)) == len(values)) & (gaps == 0), np.inf, missed + alarms)
    best = np.flatnonzero(flips == flips.min())
    at = int(best[np.argmax(gaps[best])])
    middle = float(edges[at] + gaps[at] / 2)
    below = edges[at] if at else -np.inf
    return middle if middle > below else float(edges[at + 1])


def pick_threshold_f1(scores: ArrayLike, positives: ArrayLike) -> tuple[float, str]:
    """The threshold with the largest F1 = 2 TP / (2 TP + FP + FN), and its rule.

    It lies in the middle between two neighbouring scores, or between 0 and the lowest where it is
    best to call every film positive; of equally good gaps the widest is taken.

    Args:
        scores: (N,), finite, 0..1.
        positives: (N,), whether each film has the finding.

    Raises:
        DataError: the lengths differ, a score is not finite, or one class has no film.
    """
    score, positive = _checked(scores, positives)
    if positive.all() or not positive.any():
        raise DataError("a threshold needs films with and without the finding; use more films.")
    values, index = np.unique(score, return_inverse=True)
    hits = np.bincount(index, weights=positive)[::-1].cumsum()[::-1]
    called = np.bincount(index)[::-1].cumsum()[::-1]
    f1 = 2 * hits / (called + positive.sum())
    gaps = np.diff(values, prepend=min(0.0, float(values[0])))
    best = np.flatnonzero(f1 >= f1.max() - 1e-12)
    at = int(best[np.argmax(gaps[best])])
    middle = float(values[at] - gaps[at] / 2)
    below = values[at - 1] if at else -np.inf
    return (
        middle if middle > below else float(values[at])
    ), "largest F1, middle of the widest best gap"


def wilson(share: float, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of n."""
    middle = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def _checked(scores: ArrayLike, positives: ArrayLike) -> tuple[Floats, Bools]:
    score = np.asarray(scores, np.float64).reshape(-1)
    positive = np.asarray(positives, bool).reshape(-1)
    if len(score) != len(positive) or len(score) == 0:
        raise DataError(
            f"{len(score)} scores and {len(positive)} labels; expected as many, at least one."
        )
    if not np.isfinite(score).all():
        raise DataError(f"{int((~np.isfinite(score)).sum())} scores are not finite numbers.")
    return score, positive


def _share(right: Bools, among: Bools, cluster: NDArray[np.intp], draws: Draws) -> Figure:
    n = draws.shape[1]
    hits = draws @ np.bincount(cluster, weights=right & among, minlength=n)
    total = draws @ np.bincount(cluster, weights=among, minlength=n)
    value = float((right & among).sum() / among.sum())
    ratios = hits[total > 0] / total[total > 0]
    return figure_of(value, ratios, int(among.sum()), len(np.unique(cluster[among])))


def _auc(score: Floats, positive: Bools, cluster: NDArray[np.intp], draws: Draws) -> Figure:
    values = resampled_areas(score, positive, cluster, draws)
    value = area_under_curve(score, positive)
    n_patients = draws.shape[1]
    figure = figure_of(value, values[np.isfinite(values)], len(score), n_patients)
    if figure.low == figure.high or value in (0.0, 1.0):
        fewer = min(len(np.unique(cluster[positive])), len(np.unique(cluster[~positive])))
        low, high = wilson(value, fewer)
        return Figure(value, low, high, len(score), n_patients)
    return figure


def figure_of(value: float, resampled: Floats, n: int, n_patients: int) -> Figure:
    """A figure with the 95 % interval of its resamples, Wilson's where they all agree."""
    low, high = (float(v) for v in np.percentile(resampled, (2.5, 97.5)))
    if low == high:
        low, high = wilson(value, n_patients)
    return Figure(value, min(low, value), max(high, value), n, n_patients)


def bootstrap_mean(values: ArrayLike, patients: Sequence[str]) -> Figure:
    """The mean of one figure a film (N,), 0..1, its interval from resampling patients.

    Raises:
        DataError: the lengths differ, or there are none.
    """
    value = np.asarray(values, np.float64).reshape(-1)
    if len(value) == 0 or len(value) != len(patients):
        raise DataError(f"{len(value)} figures and {len(patients)} patients; expected as many.")
    cluster = number_patients(patients)
    n = int(cluster.max()) + 1
    draws = draw_patients(n)
    totals = draws @ np.bincount(cluster, weights=value, minlength=n)
    counts = draws @ np.bincount(cluster, minlength=n)
    return figure_of(float(value.mean()), totals / counts, len(value), n)


def bootstrap_share(hits: ArrayLike, patients: Sequence[str]) -> Figure:
    """As `bootstrap_mean`, of yes and no (N,)."""
    return bootstrap_mean(np.asarray(hits, bool).astype(np.float64), patients)


def bootstrap_ratio(parts: ArrayLike, wholes: ArrayLike, patients: Sequence[str]) -> Figure:
    """Sum of `parts` over sum of `wholes`, one of each a film (N,), as `bootstrap_mean`.

    Precision, recall and F1 are such ratios.

    Raises:
        DataError: the lengths differ, or all wholes are 0.
    """
    part = np.asarray(parts, np.float64).reshape(-1)
    whole = np.asarray(wholes, np.float64).reshape(-1)
    if not len(part) == len(whole) == len(patients) or not whole.sum() > 0:
        raise DataError(
            f"{len(part)} parts of {len(whole)} wholes of {len(patients)} patients, the wholes sum "
            f"to {whole.sum():g}; expected as many of each and a sum above 0."
        )
    cluster = number_patients(patients)
    n = int(cluster.max()) + 1
    draws = draw_patients(n)
    tops = draws @ np.bincount(cluster, weights=part, minlength=n)
    bottoms = draws @ np.bincount(cluster, weights=whole, minlength=n)
    ratios = tops[bottoms > 0] / bottoms[bottoms > 0]
    return figure_of(float(part.sum() / whole.sum()), ratios, int((whole > 0).sum()), n)
