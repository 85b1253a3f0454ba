"""Resamples of patients, and what figures are in each: one rule for every interval.

Efron and Tibshirani 1993, An Introduction to the Bootstrap; patients are drawn, not films,
because films of one patient are alike.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
SEED = 95
Z = 1.959963984540054
_CHUNK = 200

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Draws = NDArray[np.int32]


def draw_patients(n: int) -> Draws:
    """int32 (RESAMPLES, n): how often each patient is in each resample."""
    rng = np.random.default_rng(SEED)
    draws = np.zeros((RESAMPLES, n), np.int32)
    for row in draws:
        row += np.bincount(rng.integers(0, n, n), minlength=n).astype(np.int32)
    return draws


def number_patients(patients: Sequence[str]) -> NDArray[np.intp]:
    """(N,), each film's patient as a number 0 ... P - 1, in the order of the sorted keys."""
    _, number = np.unique(np.asarray(patients), return_inverse=True)
    return number.reshape(-1)


def resampled_areas(
    score: Floats, positive: Bools, patient: NDArray[np.intp], draws: Draws
) -> Floats:
    """(RESAMPLES,) areas under the curve; NaN where a resample has one class alone."""
    parts = [
        weighted_areas(score, positive, draws[i : i + _CHUNK][:, patient].astype(np.float64))
        for i in range(0, len(draws), _CHUNK)
    ]
    return np.concatenate(parts)


def weighted_areas(score: Floats, positive: Bools, weights: Floats) -> Floats:
    """(R,) areas for weights (R, N); NaN where one class has no weight."""
    order = np.argsort(score, kind="stable")
    ordered = score[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    weight = weights[:, order]
    up = np.add.reduceat(weight * positive[order], starts, axis=1)
    down = np.add.reduceat(weight * ~positive[order], starts, axis=1)
    below = np.cumsum(down, axis=1) - down
    pairs = up.sum(axis=1) * down.sum(axis=1)
    wins = (up * (below + down / 2)).sum(axis=1)
    result: Floats = np.where(pairs > 0, wins / np.maximum(pairs, 1e-300), np.nan)
    return result
