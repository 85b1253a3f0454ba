"""Figures of models with several findings, each on its own."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import DataError
from ..runtime.figures import Figure
from .metrics import BinaryFigures, bootstrap_ratio, evaluate_binary


@dataclass(frozen=True)
class LabelFigures:
    """One finding. `figures` and `f1` are None where all films, or none, have it."""

    label: str
    threshold: float
    n_positive: int
    n_films: int
    figures: BinaryFigures | None
    f1: Figure | None


def evaluate_findings(
    scores: NDArray[np.float64],
    truth: NDArray[np.bool_],
    patients: Sequence[str],
    rules: Sequence[tuple[str, float]],
) -> tuple[LabelFigures, ...]:
    """Figures of each finding with patient-clustered intervals.

    Args:
        scores: (N, K), 0..1.
        truth: bool (N, K).
        patients: N patient keys.
        rules: the label and threshold of each of the K findings.

    Raises:
        DataError: the shapes differ, or a score is not finite.
    """
    if scores.shape != truth.shape or scores.shape != (len(patients), len(rules)):
        raise DataError(
            f"scores {scores.shape}, truth {truth.shape}, {len(patients)} patients, {len(rules)} "
            "findings; expected (films, findings)."
        )
    return tuple(_label(scores[:, k], truth[:, k], patients, rule) for k, rule in enumerate(rules))


def _label(
    scores: NDArray[np.float64],
    truth: NDArray[np.bool_],
    patients: Sequence[str],
    rule: tuple[str, float],
) -> LabelFigures:
    label, threshold = rule
    n_positive, n_films = int(truth.sum()), len(truth)
    if n_positive in (0, n_films):
        return LabelFigures(label, threshold, n_positive, n_films, None, None)
    called = scores >= threshold
    twice = 2 * (called & truth)
    return LabelFigures(
        label=label,
        threshold=threshold,
        n_positive=n_positive,
        n_films=n_films,
        figures=evaluate_binary(scores, truth, patients, threshold),
        f1=bootstrap_ratio(twice, twice + (called ^ truth), patients),
    )
