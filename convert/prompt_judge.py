"""How far a promptable artifact's masks are from the source's, a box at a time."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from ..profiles.mask_metrics import PixelCounts, count_pixels, mask_accuracy, mask_figures
from ..profiles.paired import agreement_loss, dice_loss
from ..runtime.errors import ParityError
from ..runtime.figures import Flips, MaskAccuracy, Parity
from ..runtime.guarding import PairedLoss
from ..runtime.manifest import Threshold
from ..runtime.masks import enlarge
from ..runtime.spec import DECODER, ENCODER
from .films import ConversionFilms, FilmSet
from .isolated import call
from .mask_judge import SAME_DICE, drawn_flips, film_dice
from .parity import DIGITS, Comparison, GraphParity, fp32_tolerance, refuse_no_numbers
from .prompt_films import objects_of
from .prompt_running import ArtifactRun, SourceRun, run_artifact, run_source
from .running import Runnable, cosine
from .source import Source, scores_output
from .thresholds import bound

if TYPE_CHECKING:
    from ..models.medsam2.network import MedSam2

THRESHOLD = 0.5
RULE = "fixed beforehand: a pixel is in where its logit is above 0, as SAM 2 has it"
# What FP32 of one graph may differ by: of the largest value of a map, and of a logit.
GRAPH_TOLERANCES = {ENCODER: 1e-3, DECODER: fp32_tolerance("promptable-segmentation")}

Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class _Judged:
    """One artifact on guard: bool (M, H, W) drawn, and counts (M, 4), (0, 4) without truth."""

    run: ArtifactRun
    drawn: Bools
    counts: NDArray[np.float64]


class PromptJudge:
    """Compares artifacts with one source; the source runs once, when it is first needed."""

    decides = "something drawn"

    def __init__(self, source: Source, films: ConversionFilms) -> None:
        self._source, self._spec = source, source.spec
        self._select, self._guard = films.select, films.guard
        output = scores_output(source.spec)
        self._label = output.positive_label or output.labels[0]
        self._others: dict[str, _Judged] = {}

    def compare(self, artifact: Runnable, fp32: Runnable | None = None) -> Comparison:
        """Look at guard; the threshold is SAM 2's own.

        Raises:
            ParityError: a graph of FP32 alone is farther from the source than it may be.
        """
        other = None if fp32 is None else self._judged(fp32)
        found = self._judged(artifact)
        graphs = _graphs(artifact, found.run)
        if artifact.graph.precision == "fp32":
            _refuse_graphs(artifact.artifact_id, graphs)
        threshold = bound(artifact, self._label, (THRESHOLD, RULE), self._select)
        return Comparison(
            self._parity(found),
            (threshold,),
            masks=() if self._guard.truth is None else (self._accuracy(found, threshold),),
            losses=() if other is None else (self._loss(other, found),),
            flips=() if other is None else (self._flips(other, found),),
            graphs=graphs,
        )

    def _judged(self, artifact: Runnable) -> _Judged:
        """FP32 is kept: every other artifact of the format is compared with it."""
        known = self._others.get(artifact.sha256)
        if known is not None:
            return known
        run = call(run_artifact, artifact, self._spec, self._guard, self._exact)
        precision = artifact.graph.precision
        refuse_no_numbers(artifact.artifact_id, precision, bool(np.isfinite(run.masks).all()))
        drawn = _drawn(run.masks, self._guard)
        rows = [count_pixels(d, t) for d, t in zip(drawn, self._truth, strict=False)]
        judged = _Judged(run, drawn, np.array(rows, np.float64).reshape(-1, 4))
        if precision == "fp32":
            self._others[artifact.sha256] = judged
        return judged

    @cached_property
    def _exact(self) -> SourceRun:
        return call(run_source, cast("MedSam2", self._source.module), self._guard)

    @cached_property
    def _exactly_drawn(self) -> Bools:
        return _drawn(self._exact.masks, self._guard)

    @cached_property
    def _truth(self) -> list[NDArray[np.uint8]]:
        return [o.mask for found in objects_of(self._guard) for o in found]

    @cached_property
    def _patients(self) -> tuple[str, ...]:
        """A box each, not a film each."""
        counts = map(len, self._guard.boxes)
        return tuple(p for p, n in zip(self._guard.patients, counts, strict=True) for _ in range(n))

    def _parity(self, found: _Judged) -> Parity:
        exact, masks = self._exact.masks, found.run.masks
        agreeing = _same(found.drawn, self._exactly_drawn)
        difference = np.abs(masks.astype(np.float64) - exact)
        flips, n = int((~agreeing).sum()), len(agreeing)
        return Parity(
            data=self._guard.data,
            n_films=n,
            max_abs_difference=round(float(difference.max()), DIGITS),
            mean_abs_difference=round(float(difference.mean()), DIGITS),
            cosine=round(cosine(masks, exact), DIGITS),
            features_cosine=round(found.run.encoder_cosine, DIGITS),
            decision_agreement=(n - flips) / n,
            decision_flips=flips,
        )

    def _loss(self, other: _Judged, found: _Judged) -> PairedLoss:
        budget, patients = self._spec.budget, self._patients
        if self._guard.truth is None:
            return agreement_loss(~_same(found.drawn, other.drawn), patients, budget=budget)
        before, now = film_dice(other.counts), film_dice(found.counts)
        return dice_loss(before, now, patients, budget=budget)

    def _flips(self, other: _Judged, found: _Judged) -> Flips:
        """A box is asked about only where something is, so one left empty is wrong."""
        was, now = (np.asarray(j.drawn.any(axis=(1, 2)), np.bool_) for j in (other, found))
        truth = None if self._guard.truth is None else np.ones_like(now)
        return drawn_flips(was, now, truth, self._guard)

    def _accuracy(self, found: _Judged, threshold: Threshold) -> MaskAccuracy:
        f = mask_figures(PixelCounts(*found.counts.T), self._patients)
        guard = self._guard
        return mask_accuracy(f, guard.data, guard.part, threshold.value, threshold.compute)


def _drawn(masks: NDArray[np.float32], films: FilmSet) -> Bools:
    """Logits (M, h, w) brought to the films' size and cut at 0."""
    size = films.pixels.shape[1:]
    return np.stack([enlarge(mask, size) >= 0.0 for mask in masks])


def _same(one: Bools, other: Bools) -> Bools:
    """bool (M,): whether two masks are one decision."""
    total = one.sum(axis=(1, 2)) + other.sum(axis=(1, 2))
    both = (one & other).sum(axis=(1, 2))
    dice = np.where(total > 0, 2 * both / np.maximum(total, 1), 1.0)
    return np.asarray(dice >= SAME_DICE)


def _graphs(artifact: Runnable, run: ArtifactRun) -> tuple[GraphParity, ...]:
    names = [graph.name for graph in artifact.graphs]
    shares = (run.encoder_difference, run.decoder_difference)
    return tuple(
        GraphParity(name, graph.precision, round(share, DIGITS))
        for name, graph, share in zip(names, artifact.graphs, shares, strict=True)
    )


def _refuse_graphs(artifact_id: str, graphs: tuple[GraphParity, ...]) -> None:
    for graph in graphs:
        tolerance = GRAPH_TOLERANCES[graph.name]
        if not graph.difference <= tolerance:
            raise ParityError(
                f"artifact {artifact_id}: its {graph.name} alone differs from the source by "
                f"{graph.difference:.3g}, tolerance {tolerance:g}. It was not written; look "
                "for an operation that this format computes otherwise."
            )
