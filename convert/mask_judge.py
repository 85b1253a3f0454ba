"""How far an artifact's masks are from the source's, film by film: never all in memory."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..profiles.mask_metrics import PixelCounts, count_pixels, mask_figures
from ..profiles.masks import IGNORE
from ..runtime.figures import MaskAccuracy, Parity
from ..runtime.manifest import Threshold
from ..runtime.spec import ModelSpec
from .films import ConversionFilms, FilmSet
from .isolated import call
from .parity import DIGITS, FROM_CARD, NOT_SET, Comparison
from .running import Runnable
from .source import Source, scores_output
from .source_running import save_source

# Two masks of one film are the same decision from this Dice on.
SAME_DICE = 0.9
GRID = tuple(round(0.05 * i, 2) for i in range(1, 20))
# Mean Dice within this of the best is as good; the threshold nearest to 0.5 is taken of those.
_AS_GOOD = 0.002
RULE = (
    "nearest to 0.5 of those in 0.05 ... 0.95 whose mean Dice over films with a mask is within "
    f"{_AS_GOOD} of the best"
)

Masks = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class MaskMeasured:
    """One artifact beside the source on guard.

    Attributes:
        threshold: of the artifact, and `rule` how it was chosen.
        counts: float64 (N, 4): hit, extra, missed, rest against the true masks; (0, 4) where
            there are none.
        agreeing: bool (N,): the two masks are the same decision.
        max_abs, mean_abs: difference of the raw masks.
        cosine: of the raw masks of all films together.
    """

    threshold: float
    rule: str
    counts: NDArray[np.float64]
    agreeing: NDArray[np.bool_]
    max_abs: float
    mean_abs: float
    cosine: float


class MaskJudge:
    """Compares artifacts with one source; the source runs once, when it is first needed."""

    def __init__(self, source: Source, films: ConversionFilms, scratch: Path) -> None:
        """`scratch`: a folder for the source's masks, which may be large."""
        self._source, self._spec = source, source.spec
        self._select, self._guard = films.select, films.guard
        self._scratch = scratch
        output = scores_output(source.spec)
        self._label = output.positive_label or output.labels[0]
        known = source.thresholds.get(self._label)
        self._fallback = (0.5, NOT_SET) if known is None else (known, FROM_CARD)

    def compare(self, artifact: Runnable) -> Comparison:
        """Set the threshold on select, then look at guard."""
        path, theirs = self._kept
        found = call(
            measure_masks,
            artifact,
            self._spec,
            (self._select, self._guard),
            path,
            (theirs, self._fallback),
        )
        threshold = Threshold(
            artifact=artifact.artifact_id,
            compute=artifact.compute,
            label=self._label,
            value=found.threshold,
            rule=found.rule,
            data=self._select.data,
            part=self._select.part,
            n_films=len(self._select),
        )
        masks = () if self._guard.truth is None else (self._accuracy(found, threshold),)
        return Comparison(_parity(found, self._guard), (threshold,), masks=masks)

    @cached_property
    def _kept(self) -> tuple[Path, float]:
        """The source's raw masks on guard, and its threshold on select."""
        network, threshold = self._source.network, self._fallback[0]
        path = self._scratch / "source-guard.npy"
        call(save_source, network, self._spec, self._guard, path)
        if self._select.truth is not None:
            select = self._scratch / "source-select.npy"
            call(save_source, network, self._spec, self._select, select)
            threshold = pick_mask_threshold(np.load(select, mmap_mode="r"), self._select)
            select.unlink()
        return path, threshold

    def _accuracy(self, found: MaskMeasured, threshold: Threshold) -> MaskAccuracy:
        guard = self._guard
        f = mask_figures(PixelCounts(*found.counts.T), guard.patients)
        return MaskAccuracy(
            data=guard.data,
            part=guard.part,
            compute=threshold.compute,
            threshold=threshold.value,
            dice=f.dice,
            iou=f.iou,
            precision=f.precision,
            recall=f.recall,
            false_alarms=f.false_alarms,
        )


def pick_mask_threshold(raw: "Masks | Iterator[Masks]", films: FilmSet) -> float:
    """By mean Dice over the films that have a mask; see RULE. 0.5 where none has.

    Args:
        raw: logits float32 (C, H, W) of each film, the first channel counts.
    """
    grid = np.log(np.array(GRID) / (1 - np.array(GRID)))
    rows = []
    for logits, truth in zip(raw, films.truth if films.truth is not None else (), strict=True):
        there, known = truth == 255, truth != IGNORE
        if not there.any():
            continue
        # How many pixels reach each threshold, of the mask and beside it.
        hit, drawn = (_reaching(logits[0][chosen], grid) for chosen in (there, known))
        rows.append(2 * hit / (drawn + there.sum()))
    if not rows:
        return 0.5
    dice = np.mean(rows, axis=0)
    good = np.flatnonzero(dice >= dice.max() - _AS_GOOD)
    return GRID[min(good, key=lambda i: (abs(GRID[i] - 0.5), GRID[i]))]


def _reaching(logits: Masks, grid: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many values are at least each of the rising grid's."""
    passed = np.bincount(np.searchsorted(grid, logits, side="right"), minlength=len(grid) + 1)
    return passed[::-1].cumsum()[::-1][1:]


def measure_masks(
    artifact: Runnable,
    spec: ModelSpec,
    films: tuple[FilmSet, FilmSet],
    source: Path,
    known: tuple[float, tuple[float, str]],
) -> MaskMeasured:
    """Run an artifact over select and guard, one thread; in a child process.

    Args:
        source: .npy of the source's raw masks on guard.
        known: the source's threshold, and the artifact's with its rule where select has no masks.
    """
    select, guard = films
    theirs, (threshold, rule) = known
    name = scores_output(spec).name
    with tempfile.TemporaryDirectory() as folder:
        session = artifact.open(Path(folder))
        if select.truth is not None:
            runs = (session.run({spec.input.name: t})[name][0] for t in select.tensors())
            threshold, rule = pick_mask_threshold(runs, select), RULE
        tally = _Tally(_logit(threshold), _logit(theirs))
        kept = np.load(source, mmap_mode="r")
        for i, tensor in enumerate(guard.tensors()):
            truth = None if guard.truth is None else guard.truth[i]
            tally.add(session.run({spec.input.name: tensor})[name][0], kept[i], truth)
    return tally.result(threshold, rule)


class _Tally:
    """Sums over films."""

    def __init__(self, own: float, theirs: float) -> None:
        self._own, self._theirs = own, theirs
        self._counts: list[tuple[int, int, int, int]] = []
        self._agreeing: list[bool] = []
        self._max = 0.0
        self._difference = self._pixels = self._product = self._ours2 = self._theirs2 = 0.0

    def add(self, found: Masks, kept: Masks, truth: NDArray[np.uint8] | None) -> None:
        """One film: raw masks (C, H, W) of both, and what is true (H, W)."""
        difference = np.abs(found.astype(np.float64) - kept)
        # maximum keeps a NaN; max() of Python would lose it.
        self._max = float(np.maximum(self._max, difference.max()))
        self._difference += float(difference.sum())
        self._pixels += difference.size
        a, b = found.ravel().astype(np.float64), kept.ravel().astype(np.float64)
        self._product += float(a @ b)
        self._ours2 += float(a @ a)
        self._theirs2 += float(b @ b)
        drawn, right = found[0] >= self._own, kept[0] >= self._theirs
        total = int(drawn.sum()) + int(right.sum())
        dice = 2 * int((drawn & right).sum()) / total if total else 1.0
        self._agreeing.append(dice >= SAME_DICE)
        if truth is not None:
            self._counts.append(count_pixels(drawn, truth))

    def result(self, threshold: float, rule: str) -> MaskMeasured:
        """The sums put together."""
        norm = float(np.sqrt(self._ours2 * self._theirs2))
        return MaskMeasured(
            threshold=threshold,
            rule=rule,
            counts=np.array(self._counts, np.float64).reshape(-1, 4),
            agreeing=np.array(self._agreeing),
            max_abs=self._max,
            mean_abs=self._difference / self._pixels,
            cosine=self._product / norm if norm else 1.0,
        )


def _logit(share: float) -> float:
    return float(np.log(share / (1 - share)))


def _parity(found: MaskMeasured, guard: FilmSet) -> Parity:
    flips = int(np.sum(~found.agreeing))
    n = len(found.agreeing)
    return Parity(
        data=guard.data,
        n_films=n,
        max_abs_difference=round(found.max_abs, DIGITS),
        mean_abs_difference=round(found.mean_abs, DIGITS),
        cosine=round(found.cosine, DIGITS),
        features_cosine=None,
        decision_agreement=(n - flips) / n,
        decision_flips=flips,
    )
