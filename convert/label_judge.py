"""How far an artifact's scores are from the source's, and what it costs in decisions.

For one answer of two labels, and for findings with a threshold each.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..profiles.calibration import fit_temperature
from ..profiles.metrics import evaluate_binary, pick_agreeing, pick_threshold, pick_threshold_f1
from ..runtime.figures import Accuracy, Parity
from ..runtime.manifest import Temperature, Threshold
from ..runtime.predictor import probabilities
from ..runtime.score_rules import divisors
from ..runtime.spec import ModelSpec
from . import decisions
from .decisions import Decisions, both_classes
from .films import ConversionFilms, FilmSet
from .isolated import call
from .parity import DIGITS, FROM_CARD, NOT_SET, Comparison, refuse_no_numbers
from .running import Measured, Runnable, cosine, measure
from .source import Outputs, Source
from .source_running import run_source
from .thresholds import bound

Scores = NDArray[np.float64]
# How an artifact's threshold is chosen; the trained network's own and its rule follow.
AS_TRAINED = "fewest films decided otherwise than by the trained network at its own"


@dataclass(frozen=True, eq=False)
class _Reference:
    """Thresholds with their rules, their values (K,), and decisions bool (N, K) on select."""

    picked: tuple[tuple[float, str], ...]
    values: Scores
    decided: NDArray[np.bool_]


class LabelJudge:
    """Compares artifacts with one source; the source runs once, when it is first needed."""

    decides = "decisions as trained"

    def __init__(self, source: Source, films: ConversionFilms, temperature: bool = False) -> None:
        """`temperature`: fit one to each artifact's scores on select."""
        self._source, self._spec = source, source.spec
        self._select, self._guard = films.select, films.guard
        self._scaling = temperature
        self._labels = decided_labels(source.spec)
        self._names = self._labels if source.spec.task == "findings" else ("",)
        self._kept: dict[str, Measured] = {}

    def compare(self, artifact: Runnable, fp32: Runnable | None = None) -> Comparison:
        """Set the thresholds on select, then look at guard.

        Args:
            fp32: the FP32 artifact of the same format; None for that itself. It runs once.
        """
        on_guard = self._outputs[1]
        # First, so that scores that are no numbers are told of whom they are.
        exact = None if fp32 is None else self._measured(fp32)
        found = self._measured(artifact)
        own = self._decide(artifact, found)
        right = decided_scores(self._spec, on_guard.scores) >= self._reference.values
        flips = int(np.sum((own.scores >= _values(own.thresholds)) != right))
        comparison = Comparison(
            parity=_parity(found, on_guard.scores, self._guard, flips, right.size),
            thresholds=own.thresholds,
            accuracy=tuple(self._accuracy(own)),
            temperatures=own.temperatures,
            reliability=tuple(decisions.calibration(own, self._guard, self._names)),
        )
        if fp32 is None or exact is None:
            return comparison
        other = self._decide(fp32, exact)
        films, budget = self._guard, self._spec.budget
        return replace(
            comparison,
            losses=tuple(decisions.losses(other, own, films, self._names, budget)),
            flips=tuple(decisions.flips(other, own, films, self._names)),
        )

    @cached_property
    def _outputs(self) -> tuple[Outputs, Outputs]:
        """On select and guard."""
        with_features = self._spec.explanation is not None
        network = self._source.network
        return (
            call(run_source, network, self._spec, self._select, False),
            call(run_source, network, self._spec, self._guard, with_features),
        )

    def _measured(self, artifact: Runnable) -> Measured:
        """FP32 is remembered: every other artifact of its format is compared with it."""
        key = artifact.sha256
        if key in self._kept:
            return self._kept[key]
        on_guard = self._outputs[1]
        found = call(measure, artifact, self._spec, self._select, self._guard, on_guard)
        refuse_no_numbers(artifact.artifact_id, artifact.graph.precision, found.finite)
        if artifact.graph.precision == "fp32":
            self._kept[key] = found
        return found

    def _decide(self, artifact: Runnable, found: Measured) -> Decisions:
        fitted = tuple(self._temperatures(artifact, found.select)) if self._scaling else ()
        return Decisions(
            scores=decided_scores(self._spec, found.guard, fitted),
            unscaled=decided_scores(self._spec, found.guard),
            thresholds=tuple(self._thresholds(artifact, found.select, fitted)),
            temperatures=fitted,
        )

    def _temperatures(
        self, artifact: Runnable, logits: NDArray[np.float32]
    ) -> Iterator[Temperature]:
        """One a label that select knows; none where no temperature is the best."""
        for k, label in enumerate(self._labels):
            truth = both_classes(self._select, k)
            margins = decided_margins(self._spec, logits, label)
            value = None
            if truth is not None and margins is not None:
                value = fit_temperature(margins, truth)
            if value is not None:
                yield Temperature(
                    artifact=artifact.artifact_id,
                    compute=artifact.compute,
                    label=label,
                    value=value,
                    data=self._select.data,
                    part=self._select.part,
                    n_films=len(self._select),
                )

    def _thresholds(
        self, artifact: Runnable, logits: NDArray[np.float32], fitted: tuple[Temperature, ...]
    ) -> Iterator[Threshold]:
        scores = decided_scores(self._spec, logits, fitted)
        for k, label in enumerate(self._labels):
            yield bound(artifact, label, self._threshold(scores, k), self._select)

    def _threshold(self, scores: Scores, k: int) -> tuple[float, str]:
        """On select, where the trained network has one from there; else its own.

        Each artifact picking for itself would add the luck of a flat optimum to what quantization
        moved (decision 0017).
        """
        value, rule = self._reference.picked[k]
        if rule in (NOT_SET, FROM_CARD):
            return value, rule
        own = pick_agreeing(scores[:, k], self._reference.decided[:, k])
        return own, f"{AS_TRAINED}, {value:.4f}: {rule}"

    @cached_property
    def _reference(self) -> "_Reference":
        """The trained network's own thresholds, and what it decides at them on select."""
        scores = decided_scores(self._spec, self._outputs[0].scores)
        picked = tuple(self._own_threshold(scores[:, k], k) for k in range(len(self._labels)))
        values = np.array([value for value, _ in picked])
        return _Reference(picked, values, scores >= values)

    def _own_threshold(self, scores: Scores, k: int) -> tuple[float, str]:
        """On select; where select has no film with, or none without, as the card says."""
        truth = both_classes(self._select, k)
        if truth is not None:
            pick = pick_threshold_f1 if self._spec.task == "findings" else pick_threshold
            return pick(scores, truth)
        known = self._source.thresholds.get(self._labels[k])
        return (0.5, NOT_SET) if known is None else (known, FROM_CARD)

    def _accuracy(self, own: Decisions) -> Iterator[Accuracy]:
        guard = self._guard
        for k, threshold in enumerate(own.thresholds):
            truth = both_classes(guard, k)
            if truth is None:
                continue
            f = evaluate_binary(own.scores[:, k], truth, guard.patients, threshold.value)
            yield Accuracy(
                data=guard.data,
                part=guard.part,
                compute=threshold.compute,
                threshold=threshold.value,
                accuracy=f.accuracy,
                sensitivity=f.sensitivity,
                specificity=f.specificity,
                auc=f.auc,
                label=self._names[k],
            )


def decided_labels(spec: ModelSpec) -> tuple[str, ...]:
    """The labels that have a threshold: the positive one of two, or every finding or class."""
    output = spec.output("logits")
    if spec.task in ("findings", "detection"):
        return output.labels
    return (output.positive_label or output.labels[-1],)


def decided_scores(
    spec: ModelSpec, logits: NDArray[np.float32], fitted: tuple[Temperature, ...] = ()
) -> Scores:
    """Probabilities (N, labels that have a threshold), computed as the predictor does.

    Args:
        fitted: the artifact's temperatures.
    """
    output = spec.output("logits")
    columns = [output.labels.index(label) for label in decided_labels(spec)]
    by = divisors({t.label: t.value for t in fitted}, output)
    return np.array([probabilities(row, output, by) for row in logits.tolist()])[:, columns]


def decided_margins(
    spec: ModelSpec, logits: NDArray[np.float32], label: str
) -> NDArray[np.float64] | None:
    """Log odds (N,) of a label; None where scores are no probabilities."""
    output = spec.output("logits")
    raw = logits.astype(np.float64)
    column: NDArray[np.float64] = raw[:, output.labels.index(label)]
    if output.activation == "sigmoid":
        return column
    if output.activation != "softmax":
        return None
    others = np.delete(raw, output.labels.index(label), axis=1)
    margins: NDArray[np.float64] = column - np.logaddexp.reduce(others, axis=1)
    return margins


def _values(thresholds: tuple[Threshold, ...]) -> Scores:
    return np.array([t.value for t in thresholds])


def _parity(
    found: Measured, theirs: NDArray[np.float32], guard: FilmSet, flips: int, decisions: int
) -> Parity:
    difference = np.abs(found.guard.astype(np.float64) - theirs)
    maps = found.features_cosine
    return Parity(
        data=guard.data,
        n_films=len(theirs),
        max_abs_difference=round(float(difference.max()), DIGITS),
        mean_abs_difference=round(float(difference.mean()), DIGITS),
        cosine=round(cosine(found.guard, theirs), DIGITS),
        features_cosine=None if maps is None else round(maps, DIGITS),
        decision_agreement=(decisions - flips) / decisions,
        decision_flips=flips,
    )
