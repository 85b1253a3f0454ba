"""How far an artifact's masks are from the source's, film by film: never all in memory."""

import math
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from ..profiles.mask_metrics import PixelCounts, count_pixels, mask_accuracy, mask_figures
from ..profiles.masks import IGNORE
from ..profiles.paired import Decided, Place, agreement_loss, count_flips, dice_loss
from ..runtime.figures import Flips, MaskAccuracy, Parity
from ..runtime.guarding import PairedLoss
from ..runtime.manifest import Threshold
from ..runtime.spec import ModelSpec
from .films import ConversionFilms, FilmSet
from .isolated import call
from .parity import DIGITS, FROM_CARD, NOT_SET, Comparison, refuse_no_numbers
from .running import Runnable
from .source import Source, scores_output
from .source_running import save_source
from .thresholds import bound

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
        as_fp32: the same against the FP32 artifact's masks; None where these were not given.
        drawn: bool (N,): something is drawn, where the truth is known on pixels that it knows.
        max_abs, mean_abs: difference of the raw masks.
        cosine: of the raw masks of all films together.
    """

    threshold: float
    rule: str
    counts: NDArray[np.float64]
    agreeing: NDArray[np.bool_]
    as_fp32: NDArray[np.bool_] | None
    drawn: NDArray[np.bool_]
    max_abs: float
    mean_abs: float
    cosine: float

    @property
    def finite(self) -> bool:
        """Whether every raw value on guard is a number."""
        return math.isfinite(self.max_abs)


@dataclass(frozen=True, eq=False)
class _Fp32:
    """The FP32 artifact of a format; `path` has its raw masks where these are kept."""

    measured: MaskMeasured
    path: Path


class MaskJudge:
    """Compares artifacts with one source; the source runs once, when it is first needed."""

    decides = "something drawn"

    def __init__(self, source: Source, films: ConversionFilms, scratch: Path) -> None:
        """`scratch`: a folder for the source's masks, which may be large."""
        self._source, self._spec = source, source.spec
        self._select, self._guard = films.select, films.guard
        self._scratch = scratch
        output = scores_output(source.spec)
        self._label = output.positive_label or output.labels[0]
        known = source.thresholds.get(self._label)
        self._fallback = (0.5, NOT_SET) if known is None else (known, FROM_CARD)
        self._others: dict[str, _Fp32] = {}

    def compare(self, artifact: Runnable, fp32: Runnable | None = None) -> Comparison:
        """Set the threshold on select, then look at guard.

        Args:
            fp32: the FP32 artifact of the same format; None for that itself. It runs once.
        """
        other = None if fp32 is None else self._fp32(fp32)
        found = self._measured(artifact, other)
        picked = (found.threshold, found.rule)
        threshold = bound(artifact, self._label, picked, self._select)
        masks = () if self._guard.truth is None else (self._accuracy(found, threshold),)
        return Comparison(
            _parity(found, self._guard),
            (threshold,),
            masks=masks,
            losses=() if other is None else (self._loss(other, found),),
            flips=() if other is None else (self._flips(other.measured, found),),
        )

    def _fp32(self, artifact: Runnable) -> "_Fp32":
        """Measured once. Where nobody knows what is true its masks on guard are kept."""
        key = artifact.sha256
        if key not in self._others:
            path = self._scratch / f"fp32-{key[:16]}.npy"
            self._others[key] = _Fp32(self._measured(artifact, None, path), path)
        return self._others[key]

    def _measured(
        self, artifact: Runnable, other: "_Fp32 | None", keep: Path | None = None
    ) -> MaskMeasured:
        known = self._guard.truth is not None
        task = MaskTask(
            films=(self._select, self._guard),
            source=self._kept,
            fallback=self._fallback,
            fp32=None if known or other is None else (other.path, other.measured.threshold),
            keep=None if known else keep,
        )
        found = call(measure_masks, artifact, self._spec, task)
        refuse_no_numbers(artifact.artifact_id, artifact.graph.precision, found.finite)
        return found

    def _loss(self, other: "_Fp32", found: MaskMeasured) -> PairedLoss:
        budget, patients = self._spec.budget, self._guard.patients
        if found.as_fp32 is not None:
            return agreement_loss(~found.as_fp32, patients, budget=budget)
        before, now = (film_dice(m.counts) for m in (other.measured, found))
        return dice_loss(before, now, patients, budget=budget)

    def _flips(self, other: MaskMeasured, found: MaskMeasured) -> Flips:
        hit, _, missed, _ = found.counts.T
        truth = None if self._guard.truth is None else hit + missed > 0
        return drawn_flips(other.drawn, found.drawn, truth, self._guard)

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
        return mask_accuracy(f, guard.data, guard.part, threshold.value, threshold.compute)


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


@dataclass(frozen=True, eq=False)
class MaskTask:
    """What an artifact is measured on.

    Attributes:
        films: select and guard.
        source: .npy of the source's raw masks on guard, and its threshold.
        fallback: the artifact's threshold and its rule where select has no masks.
        fp32: .npy of the FP32 artifact's raw masks on guard and its threshold, where wanted.
        keep: where the artifact's own raw masks on guard go, None: nowhere.
    """

    films: tuple[FilmSet, FilmSet]
    source: tuple[Path, float]
    fallback: tuple[float, str]
    fp32: tuple[Path, float] | None = None
    keep: Path | None = None


def measure_masks(artifact: Runnable, spec: ModelSpec, task: MaskTask) -> MaskMeasured:
    """Run an artifact over select and guard, one thread; in a child process."""
    select, guard = task.films
    threshold, rule = task.fallback
    name = scores_output(spec).name
    with tempfile.TemporaryDirectory() as folder:
        session = artifact.open(Path(folder))
        if select.truth is not None:
            runs = (session.run({spec.input.name: t})[name][0] for t in select.tensors())
            threshold, rule = pick_mask_threshold(runs, select), RULE
        tally = _Tally(_logit(threshold), _Reference(*task.source))
        fp32 = _Reference(*task.fp32) if task.fp32 is not None else None
        own = None
        if task.keep is not None:
            shape = (len(guard), *scores_output(spec).shape)
            own = open_memmap(task.keep, mode="w+", dtype=np.float32, shape=shape)
        as_fp32 = []
        for i, tensor in enumerate(guard.tensors()):
            raw = session.run({spec.input.name: tensor})[name][0]
            tally.add(i, raw, None if guard.truth is None else guard.truth[i])
            if own is not None:
                own[i] = raw
            if fp32 is not None:
                as_fp32.append(_same(raw[0] >= _logit(threshold), fp32.drawn(i)))
    return tally.result(threshold, rule, None if fp32 is None else np.array(as_fp32, bool))


class _Reference:
    """Raw masks in a .npy file, and the threshold on their probabilities."""

    def __init__(self, path: Path, threshold: float) -> None:
        self.raw: Masks = np.load(path, mmap_mode="r")
        self._level = _logit(threshold)

    def drawn(self, i: int) -> NDArray[np.bool_]:
        """The mask (H, W) of the i-th film."""
        found: NDArray[np.bool_] = self.raw[i][0] >= self._level
        return found


def film_dice(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Dice (N,) of counts (N, 4), NaN where the film has no mask."""
    hit, extra, missed, _ = counts.T
    has = hit + missed > 0
    found = np.full(len(counts), np.nan)
    found[has] = 2 * hit[has] / (2 * hit + extra + missed)[has]
    return found


def drawn_flips(
    was: NDArray[np.bool_],
    now: NDArray[np.bool_],
    truth: NDArray[np.bool_] | None,
    films: FilmSet,
) -> Flips:
    """Films, or boxes of a promptable model, bool (N,), on which one draws something and the
    other nothing; `truth`: whether there is something, None where nobody knows."""
    one, other = (Decided(drawn.astype(np.float64), 0.5) for drawn in (was, now))
    return count_flips(one, other, truth, Place("", films.data, films.part))


def _same(drawn: NDArray[np.bool_], right: NDArray[np.bool_]) -> bool:
    """Whether two masks are one decision."""
    total = int(drawn.sum()) + int(right.sum())
    dice = 2 * int((drawn & right).sum()) / total if total else 1.0
    return dice >= SAME_DICE


class _Tally:
    """Sums over films."""

    def __init__(self, own: float, source: "_Reference") -> None:
        """`own`: the artifact's threshold on its raw masks."""
        self._own, self._source = own, source
        self._counts: list[tuple[int, int, int, int]] = []
        self._agreeing: list[bool] = []
        self._drawn: list[bool] = []
        self._max = 0.0
        self._difference = self._pixels = self._product = self._ours2 = self._theirs2 = 0.0

    def add(self, i: int, found: Masks, truth: NDArray[np.uint8] | None) -> None:
        """The i-th film: the artifact's raw masks (C, H, W), and what is true (H, W)."""
        kept = self._source.raw[i]
        difference = np.abs(found.astype(np.float64) - kept)
        # maximum keeps a NaN; max() of Python would lose it.
        self._max = float(np.maximum(self._max, difference.max()))
        self._difference += float(difference.sum())
        self._pixels += difference.size
        a, b = found.ravel().astype(np.float64), kept.ravel().astype(np.float64)
        self._product += float(a @ b)
        self._ours2 += float(a @ a)
        self._theirs2 += float(b @ b)
        drawn = found[0] >= self._own
        self._agreeing.append(_same(drawn, self._source.drawn(i)))
        if truth is None:
            self._drawn.append(bool(drawn.any()))
            return
        hit, extra, missed, rest = count_pixels(drawn, truth)
        self._counts.append((hit, extra, missed, rest))
        self._drawn.append(hit + extra > 0)

    def result(
        self, threshold: float, rule: str, as_fp32: NDArray[np.bool_] | None
    ) -> MaskMeasured:
        """The sums put together."""
        norm = float(np.sqrt(self._ours2 * self._theirs2))
        return MaskMeasured(
            threshold=threshold,
            rule=rule,
            counts=np.array(self._counts, np.float64).reshape(-1, 4),
            agreeing=np.array(self._agreeing),
            as_fp32=as_fp32,
            drawn=np.array(self._drawn, bool),
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
