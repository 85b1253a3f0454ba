"""What an artifact decides on guard: its losses and flips against FP32, and its calibration."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..profiles.calibration import calibration_error, reliability
from ..profiles.paired import (
    Decided,
    Known,
    Place,
    agreement_loss,
    count_flips,
    label_losses,
)
from ..runtime.figures import Flips, Reliability
from ..runtime.guarding import Budget, PairedLoss
from ..runtime.manifest import Temperature, Threshold
from .films import FilmSet

Scores = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Decisions:
    """One artifact on guard.

    Attributes:
        scores: (N, K), those that the thresholds are on.
        unscaled: (N, K) without temperatures.
        thresholds, temperatures: one a decided label; no temperature where none was fixed.
    """

    scores: Scores
    unscaled: Scores
    thresholds: tuple[Threshold, ...]
    temperatures: tuple[Temperature, ...]

    def of(self, k: int) -> Decided:
        """The k-th decided label's."""
        return Decided(self.scores[:, k], self.thresholds[k].value)


def truth_of(films: FilmSet, k: int) -> NDArray[np.bool_] | None:
    """Whether each film has the k-th decided label, None where it is not known."""
    if films.truth is None:
        return None
    truth: NDArray[np.bool_] = films.truth.reshape(len(films.truth), -1)[:, k]
    return truth


def both_classes(films: FilmSet, k: int) -> NDArray[np.bool_] | None:
    """As `truth_of`; None also where all films have the label, or none."""
    truth = truth_of(films, k)
    return truth if truth is not None and 0 < truth.sum() < len(truth) else None


def losses(
    fp32: Decisions, own: Decisions, guard: FilmSet, names: tuple[str, ...], budget: Budget
) -> Iterator[PairedLoss]:
    """Of each label; where what is true is not known, the films decided otherwise.

    Args:
        names: of the decided labels, "" for the only one.
    """
    for k, name in enumerate(names):
        truth = both_classes(guard, k)
        if truth is None:
            differs = fp32.of(k).positive != own.of(k).positive
            yield agreement_loss(differs, guard.patients, name, budget)
        else:
            known = Known(truth, guard.patients)
            yield from label_losses(fp32.of(k), own.of(k), known, name, budget)


def flips(
    fp32: Decisions, own: Decisions, guard: FilmSet, names: tuple[str, ...]
) -> Iterator[Flips]:
    """Of each label."""
    for k, name in enumerate(names):
        place = Place(name, guard.data, guard.part)
        yield count_flips(fp32.of(k), own.of(k), truth_of(guard, k), place)


def calibration(own: Decisions, guard: FilmSet, names: tuple[str, ...]) -> Iterator[Reliability]:
    """Of each label that is known on guard, and before its temperature."""
    for k, name in enumerate(names):
        truth = both_classes(guard, k)
        if truth is None:
            continue
        place = Place(name, guard.data, guard.part)
        found = reliability(own.scores[:, k], truth, guard.patients, place)
        before = None
        if own.temperatures:
            before = calibration_error(own.unscaled[:, k], truth, guard.patients)
        yield Reliability(found.label, found.data, found.part, found.ece, found.bins, before)
