"""How far an artifact's boxes are from the source's, and what it costs in boxes found."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..profiles.box_matching import box_accuracy, by_label, film_matches
from ..profiles.box_metrics import F1_RULE, HIT_IOU, FilmMatch, pick_box_threshold
from ..profiles.paired import Decided, Place, agreement_loss, count_flips
from ..profiles.paired_boxes import Found, box_losses
from ..runtime.boxes import iou
from ..runtime.errors import ParityError
from ..runtime.figures import BoxAccuracy, Flips, Parity
from ..runtime.guarding import PairedLoss
from ..runtime.manifest import Threshold
from ..runtime.nms import suppress
from ..runtime.spec import DetectionRules, ModelSpec
from .films import ConversionFilms, FilmSet
from .isolated import call
from .parity import DIGITS, FROM_CARD, NOT_SET, Comparison, refuse_no_numbers
from .running import Runnable
from .source import Source, box_rules, boxes_output, scores_output
from .source_running import save_boxes
from .thresholds import bound

# Corners of an FP32 artifact's boxes may be so many pixels from the source's, on 640 x 640.
PIXELS = 0.1
_WIDE = 640
Answer = tuple[NDArray[np.float32], NDArray[np.intp]]


@dataclass(frozen=True, eq=False)
class BoxMeasured:
    """One artifact on select and guard.

    Attributes:
        select, guard: matches by film, then label, against what is true (nothing where it is not
            known).
        max_abs, mean_abs, cosine: of the logits on guard against the source's.
        max_pixels: largest distance of a corner on guard.
        answers: on guard, the boxes (M, 4) and labels (M,) at the thresholds.
    """

    select: list[list[FilmMatch]]
    guard: list[list[FilmMatch]]
    thresholds: tuple[tuple[float, str], ...]
    max_abs: float
    mean_abs: float
    cosine: float
    max_pixels: float
    answers: list[Answer]


@dataclass(frozen=True, eq=False)
class BoxTask:
    """What an artifact is measured on; `source` has the source's logits and boxes on guard, (N, P,
    K + 4). `fallback`: threshold and its rule for a label that select has no box of."""

    select: FilmSet
    guard: FilmSet
    source: Path
    fallback: tuple[tuple[float, str], ...]


class BoxJudge:
    """Compares artifacts with one source; the source runs once, when it is first needed."""

    decides = "decisions"

    def __init__(self, source: Source, films: ConversionFilms, scratch: Path) -> None:
        """`scratch`: a folder for the source's answers, which may be large."""
        self._source, self._spec = source, source.spec
        self._select, self._guard, self._scratch = films.select, films.guard, scratch
        self._labels = scores_output(source.spec).labels
        known = source.thresholds
        self._fallback = tuple(
            (known[label], FROM_CARD) if label in known else (0.5, NOT_SET)
            for label in self._labels
        )
        self._kept: dict[str, BoxMeasured] = {}

    def compare(self, artifact: Runnable, fp32: Runnable | None = None) -> Comparison:
        """Set the thresholds on select, then look at guard.

        Args:
            fp32: the FP32 artifact of the same format; None for that itself. It runs once.
        """
        other = None if fp32 is None else self._measured(fp32)
        found = self._measured(artifact)
        comparison = Comparison(
            parity=self._parity(artifact, found),
            thresholds=tuple(self._thresholds(artifact, found)),
            boxes=tuple(self._accuracy(artifact, found)),
        )
        if other is None:
            return comparison
        return replace(
            comparison,
            losses=tuple(self._losses(other, found)),
            flips=tuple(self._flips(other, found)),
        )

    @cached_property
    def _reference(self) -> tuple[Path, list[Answer]]:
        """The source's raw answers on guard, and its boxes at its thresholds on select."""
        path, select = self._scratch / "boxes-guard.npy", self._scratch / "boxes-select.npy"
        network, spec = self._source.network, self._spec
        call(save_boxes, network, spec, self._guard, path)
        call(save_boxes, network, spec, self._select, select)
        rules, k = box_rules(spec), len(self._labels)
        on_select = [
            film_matches(r[:, k:], r[:, :k], _true(self._select, i), rules)
            for i, r in enumerate(np.load(select, mmap_mode="r"))
        ]
        select.unlink()
        levels = [v for v, _ in _picked(on_select, self._fallback)]
        raw = np.load(path, mmap_mode="r")
        return path, [_answer(r[:, k:], r[:, :k], levels, rules) for r in raw]

    def _measured(self, artifact: Runnable) -> BoxMeasured:
        """FP32 is remembered: every other artifact of its format is compared with it."""
        key = artifact.sha256
        if key in self._kept:
            return self._kept[key]
        task = BoxTask(self._select, self._guard, self._reference[0], self._fallback)
        found = call(measure_boxes, artifact, self._spec, task)
        precision = artifact.graph.precision
        finite = bool(np.isfinite((found.max_abs, found.max_pixels)).all())
        refuse_no_numbers(artifact.artifact_id, precision, finite)
        if precision == "fp32":
            self._kept[key] = found
        return found

    def _parity(self, artifact: Runnable, found: BoxMeasured) -> Parity:
        allowed = PIXELS * max(1.0, self._spec.input.width / _WIDE)
        if artifact.graph.precision == "fp32" and found.max_pixels > allowed:
            raise ParityError(
                f"artifact {artifact.artifact_id}: a corner of a box lies {found.max_pixels:.3g} "
                f"pixels from the source model's, at most {allowed:g} expected. It was not "
                "written; look for an operation that this format computes otherwise."
            )
        pairs = zip(found.answers, self._reference[1], strict=True)
        flips, n = sum(not _same(one, other) for one, other in pairs), len(found.answers)
        return Parity(
            data=self._guard.data,
            n_films=n,
            max_abs_difference=round(found.max_abs, DIGITS),
            mean_abs_difference=round(found.mean_abs, DIGITS),
            cosine=round(found.cosine, DIGITS),
            features_cosine=None,
            decision_agreement=(n - flips) / n,
            decision_flips=flips,
        )

    def _thresholds(self, artifact: Runnable, found: BoxMeasured) -> Iterator[Threshold]:
        for label, picked in zip(self._labels, found.thresholds, strict=True):
            yield bound(artifact, label, picked, self._select)

    def _rows(self, found: BoxMeasured) -> Iterator[tuple[str, Found]]:
        """What guard knows of each label."""
        columns = by_label(found.guard, len(self._labels))
        for label, films, (value, _) in zip(self._labels, columns, found.thresholds, strict=True):
            yield label, Found(films, value)

    def _accuracy(self, artifact: Runnable, found: BoxMeasured) -> Iterator[BoxAccuracy]:
        for label, one in self._rows(found):
            place = Place(label, self._guard.data, self._guard.part)
            patients, compute = self._guard.patients, artifact.compute
            made = box_accuracy(one.films, patients, place, one.threshold, compute)
            if made is not None:
                yield made

    def _losses(self, other: BoxMeasured, found: BoxMeasured) -> Iterator[PairedLoss]:
        """By label; films answered otherwise where guard has no true box of any."""
        patients, budget = self._guard.patients, self._spec.budget
        known = False
        pairs = zip(self._rows(other), self._rows(found), strict=True)
        for (label, exact), (_, own) in pairs:
            if any(film.n_true for film in exact.films):
                known = True
                yield from box_losses(exact, own, patients, label, budget)
        if not known:
            answers = zip(other.answers, found.answers, strict=True)
            differs = [not _same(one, two) for one, two in answers]
            yield agreement_loss(differs, patients, budget=budget)

    def _flips(self, other: BoxMeasured, found: BoxMeasured) -> Iterator[Flips]:
        """Films on which something is found and was not, or the other way round."""
        pairs = zip(self._rows(other), self._rows(found), strict=True)
        for (label, exact), (_, own) in pairs:
            place = Place(label, self._guard.data, self._guard.part)
            truth = None
            if self._guard.truth is not None:
                truth = np.array([film.n_true > 0 for film in exact.films])
            yield count_flips(_surest(exact), _surest(own), truth, place)


def measure_boxes(artifact: Runnable, spec: ModelSpec, task: BoxTask) -> BoxMeasured:
    """Run an artifact over select and guard, one thread; in a child process."""
    rules, reference = box_rules(spec), np.load(task.source, mmap_mode="r")
    names = scores_output(spec).name, boxes_output(spec).name
    with tempfile.TemporaryDirectory() as folder:
        session = artifact.open(Path(folder))

        def run(films: FilmSet) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
            for tensor in films.tensors():
                raw = session.run({spec.input.name: tensor})
                yield raw[names[0]][0], raw[names[1]][0]

        select = [
            film_matches(boxes, logits, _true(task.select, i), rules)
            for i, (logits, boxes) in enumerate(run(task.select))
        ]
        thresholds = _picked(select, task.fallback)
        levels = [value for value, _ in thresholds]
        guard, answers, sums = [], [], _Sums()
        for i, (logits, boxes) in enumerate(run(task.guard)):
            guard.append(film_matches(boxes, logits, _true(task.guard, i), rules))
            answers.append(_answer(boxes, logits, levels, rules))
            sums.add(logits, boxes, reference[i])
    return BoxMeasured(select, guard, thresholds, *sums.result(), answers)


class _Sums:
    """Differences of raw answers, film by film."""

    def __init__(self) -> None:
        self._largest = self._pixels = self._total = 0.0
        self._count, self._products = 0, np.zeros(3)

    def add(
        self,
        logits: NDArray[np.float32],
        boxes: NDArray[np.float32],
        source: NDArray[np.float32],
    ) -> None:
        """One film's (P, K) and (P, 4), and the source's (P, K + 4)."""
        k = logits.shape[1]
        a, b = logits.astype(np.float64), source[:, :k].astype(np.float64)
        far = np.abs(a - b)
        # maximum keeps a NaN; max() of Python would lose it.
        self._largest = float(np.maximum(self._largest, far.max()))
        corners = np.abs(boxes.astype(np.float64) - source[:, k:])
        self._pixels = float(np.maximum(self._pixels, corners.max()))
        self._total, self._count = self._total + float(far.sum()), self._count + far.size
        self._products += ((a * b).sum(), (a * a).sum(), (b * b).sum())

    def result(self) -> tuple[float, float, float, float]:
        """Largest and mean difference of logits, their cosine, largest distance in pixels."""
        product, ours, theirs = self._products
        norm = float(np.sqrt(ours * theirs))
        near = float(product) / norm if norm else 1.0
        return self._largest, self._total / max(1, self._count), near, self._pixels


def _true(films: FilmSet, i: int) -> NDArray[np.float32]:
    """The boxes (T, 5) of a film; none where nobody knows them."""
    if films.truth is None:
        return np.zeros((0, 5), np.float32)
    rows: NDArray[np.float32] = films.truth[i]
    return rows[rows[:, 0] >= 0]


def _picked(
    films: list[list[FilmMatch]], fallback: tuple[tuple[float, str], ...]
) -> tuple[tuple[float, str], ...]:
    """A threshold and its rule for each label."""
    picked = (pick_box_threshold(column) for column in by_label(films, len(fallback)))
    return tuple(
        known if value is None else (value, F1_RULE)
        for value, known in zip(picked, fallback, strict=True)
    )


def _answer(
    boxes: NDArray[np.float32],
    logits: NDArray[np.float32],
    levels: list[float],
    rules: DetectionRules,
) -> Answer:
    kept = suppress(np.asarray(boxes), np.asarray(logits), levels, rules)
    return np.asarray(boxes)[kept.box], kept.label


def _same(one: Answer, other: Answer) -> bool:
    """Whether each box of either has one of its label in the other that overlaps it enough."""
    if len(one[0]) == 0 or len(other[0]) == 0:
        return len(one[0]) == len(other[0])
    near = (iou(one[0], other[0]) >= HIT_IOU) & (one[1][:, None] == other[1][None, :])
    return bool(near.any(axis=1).all() and near.any(axis=0).all())


def _surest(found: Found) -> Decided:
    scores = [float(f.scores[0]) if len(f.scores) else 0.0 for f in found.films]
    return Decided(np.array(scores), found.threshold)
