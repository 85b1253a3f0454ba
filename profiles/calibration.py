"""Whether a score of 0.8 means 8 in 10: reliability, and the temperature that mends it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..runtime.errors import DataError
from ..runtime.figures import Figure, Reliability, ReliabilityBin
from .metrics import figure_of
from .paired import Place
from .resampling import Bools, Floats, draw_patients, number_patients

BINS = 10
# Beyond these a fit says more about few films than about the scores.
LEAST, MOST = 0.05, 20.0
_STEPS = 60


def reliability(
    scores: ArrayLike, positives: ArrayLike, patients: Sequence[str], place: Place
) -> Reliability:
    """Expected calibration error over 10 bins of equal width (Naeini et al. 2015, AAAI).

    The interval comes from resampling patients. Resamples add noise to every bin, so its middle
    lies above the figure itself.

    Args:
        scores: (N,) probabilities of the positive label, 0..1.
        positives: bool (N,).

    Raises:
        DataError: other lengths, no film, or a score outside 0..1.
    """
    score, positive = _checked(scores, positives, patients)
    return Reliability(
        label=place.label,
        data=place.data,
        part=place.part,
        ece=_calibration_error(score, positive, patients),
        bins=reliability_bins(score, positive),
    )


def calibration_error(scores: ArrayLike, positives: ArrayLike, patients: Sequence[str]) -> Figure:
    """The `ece` of `reliability`; raises as it."""
    return _calibration_error(*_checked(scores, positives, patients), patients)


def reliability_bins(scores: ArrayLike, positives: ArrayLike) -> tuple[ReliabilityBin, ...]:
    """The bins that hold a film; the last includes 1."""
    score, positive = np.asarray(scores, np.float64), np.asarray(positives, bool)
    number = _bin_of(score)
    found = []
    for k in np.unique(number):
        inside = number == k
        found.append(
            ReliabilityBin(
                low=float(k / BINS),
                high=float((k + 1) / BINS),
                n_films=int(inside.sum()),
                mean_score=float(score[inside].mean()),
                positive_share=float(positive[inside].mean()),
            )
        )
    return tuple(found)


def fit_temperature(margins: ArrayLike, positives: ArrayLike) -> float | None:
    """The T > 0 of the largest likelihood when P(positive) = 1 / (1 + exp(-margin / T)).

    Guo et al. 2017, arXiv:1706.04599, section 4.2. The likelihood is convex in 1 / T: the root of
    its derivative is bracketed and halved.

    Args:
        margins: (N,) log odds of the positive label, finite.
        positives: bool (N,).

    Returns:
        T in 0.05..20; None where the best lies beyond, as on films that one threshold separates.

    Raises:
        DataError: other lengths, a margin that is no number, or films of one label alone.
    """
    margin = np.asarray(margins, np.float64).reshape(-1)
    positive = np.asarray(positives, bool).reshape(-1)
    if len(margin) != len(positive) or not np.isfinite(margin).all():
        raise DataError(
            f"{len(margin)} scores and {len(positive)} labels; expected as many, all finite."
        )
    if positive.all() or not positive.any():
        raise DataError(
            "a temperature needs films of both labels; choose another part of the data."
        )
    low, high = 1 / MOST, 1 / LEAST
    if _slope(low, margin, positive) >= 0 or _slope(high, margin, positive) <= 0:
        return None
    for _ in range(_STEPS):
        middle = (low * high) ** 0.5
        if _slope(middle, margin, positive) < 0:
            low = middle
        else:
            high = middle
    # More digits than the films can tell; fewer make bundles alike on machines that round alike.
    return float(f"{(1 / low / high) ** 0.5:.6g}")


def _slope(by: float, margin: Floats, positive: Bools) -> float:
    """Derivative of the negative log likelihood in 1 / T."""
    grown = np.exp(-np.abs(by * margin))
    share = np.where(margin >= 0, 1.0, grown) / (1.0 + grown)
    return float(((share - positive) * margin).sum())


def _calibration_error(score: Floats, positive: Bools, patients: Sequence[str]) -> Figure:
    patient = number_patients(patients)
    n = int(patient.max()) + 1
    # Of each patient and bin: the sum of score less truth.
    gaps = np.zeros((n, BINS))
    np.add.at(gaps, (patient, _bin_of(score)), score - positive)
    draws = draw_patients(n).astype(np.float64)
    counts = draws @ np.bincount(patient, minlength=n)
    value = float(np.abs(gaps.sum(axis=0)).sum() / len(score))
    return figure_of(value, np.abs(draws @ gaps).sum(axis=1) / counts, len(score), n)


def _bin_of(score: Floats) -> NDArray[np.int64]:
    return np.minimum((score * BINS).astype(np.int64), BINS - 1)


def _checked(
    scores: ArrayLike, positives: ArrayLike, patients: Sequence[str]
) -> tuple[Floats, Bools]:
    score = np.asarray(scores, np.float64).reshape(-1)
    positive = np.asarray(positives, bool).reshape(-1)
    if not len(score) == len(positive) == len(patients) or len(score) == 0:
        raise DataError(
            f"{len(score)} scores, {len(positive)} labels, {len(patients)} patients; expected as "
            "many, at least one."
        )
    if not ((score >= 0) & (score <= 1)).all():
        raise DataError("a score is outside 0..1; calibration needs probabilities.")
    return score, positive
