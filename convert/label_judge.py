"""How far an artifact's scores are from the source's, and what it costs in decisions.

For one answer of two labels, and for findings with a threshold each.
"""

from collections.abc import Iterator
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..profiles.metrics import evaluate_binary, pick_threshold, pick_threshold_f1
from ..runtime.figures import Accuracy, Parity
from ..runtime.manifest import Threshold
from ..runtime.predictor import probabilities
from ..runtime.spec import ModelSpec
from .films import ConversionFilms, FilmSet
from .isolated import call
from .parity import DIGITS, FROM_CARD, NOT_SET, Comparison
from .running import Measured, Runnable, cosine, measure
from .source import Outputs, Source
from .source_running import run_source

Scores = NDArray[np.float64]


class LabelJudge:
    """Compares artifacts with one source; the source runs once, when it is first needed."""

    def __init__(self, source: Source, films: ConversionFilms) -> None:
        self._source, self._spec = source, source.spec
        self._select, self._guard = films.select, films.guard
        self._labels = decided_labels(source.spec)

    def compare(self, artifact: Runnable) -> Comparison:
        """Set the thresholds on select, then look at guard."""
        on_select, on_guard = self._outputs
        found = call(measure, artifact, self._spec, self._select, self._guard, on_guard)
        own = tuple(self._thresholds(artifact, found.select))
        theirs = tuple(self._thresholds(artifact, on_select.scores))
        scores = decided_scores(self._spec, found.guard)
        decided = scores >= _values(own)
        right = decided_scores(self._spec, on_guard.scores) >= _values(theirs)
        flips = int(np.sum(decided != right))
        parity = _parity(found, on_guard.scores, self._guard, flips, decided.size)
        return Comparison(parity, own, tuple(self._accuracy(scores, own)))

    @cached_property
    def _outputs(self) -> tuple[Outputs, Outputs]:
        """On select and guard."""
        with_features = self._spec.explanation is not None
        network = self._source.network
        return (
            call(run_source, network, self._spec, self._select, False),
            call(run_source, network, self._spec, self._guard, with_features),
        )

    def _thresholds(self, artifact: Runnable, logits: NDArray[np.float32]) -> Iterator[Threshold]:
        scores = decided_scores(self._spec, logits)
        for k, label in enumerate(self._labels):
            value, rule = self._threshold(scores[:, k], k)
            yield Threshold(
                artifact=artifact.artifact_id,
                compute=artifact.compute,
                label=label,
                value=value,
                rule=rule,
                data=self._select.data,
                part=self._select.part,
                n_films=len(self._select),
            )

    def _threshold(self, scores: Scores, k: int) -> tuple[float, str]:
        """On select; where select has no film with, or none without, as the card says."""
        truth = truth_of(self._select, k)
        if truth is not None and 0 < truth.sum() < len(truth):
            pick = pick_threshold_f1 if self._spec.task == "findings" else pick_threshold
            return pick(scores, truth)
        known = self._source.thresholds.get(self._labels[k])
        return (0.5, NOT_SET) if known is None else (known, FROM_CARD)

    def _accuracy(self, scores: Scores, own: tuple[Threshold, ...]) -> Iterator[Accuracy]:
        guard = self._guard
        for k, threshold in enumerate(own):
            truth = truth_of(guard, k)
            if truth is None or not 0 < truth.sum() < len(truth):
                continue
            f = evaluate_binary(scores[:, k], truth, guard.patients, threshold.value)
            yield Accuracy(
                data=guard.data,
                part=guard.part,
                compute=threshold.compute,
                threshold=threshold.value,
                accuracy=f.accuracy,
                sensitivity=f.sensitivity,
                specificity=f.specificity,
                auc=f.auc,
                label=threshold.label if self._spec.task == "findings" else "",
            )


def decided_labels(spec: ModelSpec) -> tuple[str, ...]:
    """The labels that have a threshold: the positive one of two, or every finding."""
    output = spec.output("logits")
    if spec.task == "findings":
        return output.labels
    return (output.positive_label or output.labels[-1],)


def decided_scores(spec: ModelSpec, logits: NDArray[np.float32]) -> Scores:
    """Probabilities (N, labels that have a threshold), computed as the predictor does."""
    output = spec.output("logits")
    columns = [output.labels.index(label) for label in decided_labels(spec)]
    return np.array([probabilities(row, output) for row in logits.tolist()])[:, columns]


def truth_of(films: FilmSet, k: int) -> NDArray[np.bool_] | None:
    """Whether each film has the k-th decided label, None where it is not known."""
    if films.truth is None:
        return None
    truth: NDArray[np.bool_] = films.truth.reshape(len(films.truth), -1)[:, k]
    return truth


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
