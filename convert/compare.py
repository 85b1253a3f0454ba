"""How far an artifact is from the source model, and what it costs in decisions."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..profiles.metrics import evaluate_binary, pick_threshold
from ..runtime.errors import ParityError
from ..runtime.manifest import Accuracy, Compute, Parity, Precision, Threshold
from ..runtime.predictor import probabilities
from ..runtime.spec import ModelSpec
from .films import FilmSet
from .running import Measured, Runnable, cosine
from .source import Outputs

FP32_TOLERANCE = 1e-3
# The last digits of a difference of two float32 numbers carry nothing.
_DIGITS = 9
NOT_SET = "not set on data: 0.5"
FROM_CARD = "not set on data: the threshold of the weights' card"


@dataclass(frozen=True)
class Comparison:
    """What the manifest says of one artifact in one compute precision."""

    parity: Parity
    threshold: Threshold
    accuracy: tuple[Accuracy, ...]


def compare(
    artifact: Runnable,
    measured: Measured,
    source: tuple[Outputs, Outputs],
    films: tuple[FilmSet, FilmSet],
    spec: ModelSpec,
    fallback: float | None,
) -> Comparison:
    """Set the threshold on select, then look at guard.

    Args:
        source: the network's outputs on select and guard.
        films: select and guard.
        fallback: the threshold where the films have no labels; None means 0.5.
    """
    select, guard = films
    label = spec.output("logits").positive_label or ""
    theirs, rule = _threshold(spec, source[0].logits, select, fallback)
    own, _ = _threshold(spec, measured.select, select, fallback)
    scores = positive_scores(spec, measured.guard)
    flips = int(np.sum((scores >= own) != (positive_scores(spec, source[1].logits) >= theirs)))
    parity = _parity(measured, source[1].logits, guard, flips)
    threshold = Threshold(
        artifact=artifact.artifact_id,
        compute=artifact.compute,
        label=label,
        value=own,
        rule=rule,
        data=select.data,
        part=select.part,
        n_films=len(select.pixels),
    )
    return Comparison(parity, threshold, _accuracy(scores, own, guard, artifact.compute))


def _parity(measured: Measured, theirs: NDArray[np.float32], guard: FilmSet, flips: int) -> Parity:
    difference = np.abs(measured.guard.astype(np.float64) - theirs)
    maps = measured.features_cosine
    n = len(theirs)
    return Parity(
        data=guard.data,
        n_films=n,
        max_abs_difference=round(float(difference.max()), _DIGITS),
        mean_abs_difference=round(float(difference.mean()), _DIGITS),
        cosine=round(cosine(measured.guard, theirs), _DIGITS),
        features_cosine=None if maps is None else round(maps, _DIGITS),
        decision_agreement=(n - flips) / n,
        decision_flips=flips,
    )


def positive_scores(spec: ModelSpec, logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probability of the positive label (N,), computed as the predictor does."""
    output = spec.output("logits")
    index = output.labels.index(output.positive_label or output.labels[-1])
    return np.array([probabilities(row, output)[index] for row in logits.tolist()])


def refuse_disparity(
    artifact_id: str, precision: Precision, parity: Parity, min_agreement: float
) -> None:
    """Stop where an artifact is not the model that it claims to be.

    Raises:
        ParityError: FP32 farther than 1e-3 from torch, scores that are no numbers, or too few
            equal decisions.
    """
    found = parity.max_abs_difference
    if precision == "fp32" and not found <= FP32_TOLERANCE:
        raise ParityError(
            f"artifact {artifact_id}: raw scores differ from the source model's by {found:.3g} on "
            f"{parity.n_films} films of {parity.data}, tolerance {FP32_TOLERANCE:g}. Nothing was "
            "written; look for an operation that this format computes otherwise."
        )
    if not math.isfinite(found):
        raise ParityError(
            f"artifact {artifact_id}: some raw scores are not finite numbers on {parity.n_films} "
            f"films of {parity.data}. Nothing was written; leave this precision out."
        )
    if not parity.decision_agreement >= min_agreement:
        raise ParityError(
            f"artifact {artifact_id}: decides {parity.decision_flips} of {parity.n_films} films of "
            f"{parity.data} otherwise than the source model, agreement "
            f"{parity.decision_agreement:.3f}, at least {min_agreement:g} expected. Nothing was "
            "written; calibrate on more and more varied films, or leave this precision out."
        )


def _threshold(
    spec: ModelSpec, logits: NDArray[np.float32], select: FilmSet, fallback: float | None
) -> tuple[float, str]:
    if select.positives is not None:
        return pick_threshold(positive_scores(spec, logits), select.positives)
    return (0.5, NOT_SET) if fallback is None else (fallback, FROM_CARD)


def _accuracy(
    scores: NDArray[np.float64], threshold: float, guard: FilmSet, compute: Compute
) -> tuple[Accuracy, ...]:
    if guard.positives is None:
        return ()
    figures = evaluate_binary(scores, guard.positives, guard.patients, threshold)
    return (
        Accuracy(
            data=guard.data,
            part=guard.part,
            compute=compute,
            threshold=threshold,
            accuracy=figures.accuracy,
            sensitivity=figures.sensitivity,
            specificity=figures.specificity,
            auc=figures.auc,
        ),
    )
