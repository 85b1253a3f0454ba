"""Lesions through the slices of one examination, slice by slice with the box carried over.

On each slice the segmenter is asked with the boxes that are found there, or given by hand, and
with the box around what it drew for a lesion on the slice before, forth and then back from where
the lesion was first seen. SAM 2 has a memory of earlier slices beside; its attention is not
exported, so nothing else of one slice is known on the next.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .box_masks import Prompt
from .boxes import MAX_BOXES, Box, Boxes, check_prompts, iou
from .detector import Detector
from .errors import ArtifactError, TensorError
from .film import Film
from .intended_use import refuse_outside
from .lesions import Lesions
from .predictions import CAUTION, Detections, Lesion, RunReport
from .predictor import Predictor
from .promptable import PromptableSegmenter

HOW = (
    "slice by slice: the box around what was drawn for a lesion is carried to the next slice; the "
    "network's memory of earlier slices is not exported"
)
# A box on the next slice that overlaps a carried one by this stands for the same lesion.
LINK = 0.3
# A mask that fills less of the box that it was asked in: nothing is there any more.
FILLED = 0.3
# A carried box is grown by this share of its sides: the next mask may be larger.
GROWN = 0.1
# Slices that a found box is carried beyond the last one on which it was found.
MOST_CARRIED = 3

Origin = Literal["found", "by hand", "carried"]
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class SliceLesion:
    """What was drawn on one slice; `lesion` is the number of its `StackLesion`."""

    lesion: int
    origin: Origin
    seen: Lesion


@dataclass(frozen=True)
class Slice:
    """One slice and its lesions, by their numbers."""

    name: str
    lesions: tuple[SliceLesion, ...]


@dataclass(frozen=True)
class StackLesion:
    """A lesion through the slices, which are counted from 1.

    Attributes:
        first, last: slices that it was drawn on, or asked for.
        largest: the slice with its largest area, `area_px` there.
        found: slices on which its box was found or given, not carried.
    """

    number: int
    label: str
    first: int
    last: int
    largest: int
    area_px: int
    found: int


@dataclass(frozen=True)
class StackAnswer:
    """Lesions of a stack of slices (H, W).

    Attributes:
        positive: whether there are any.
        score, threshold: of the surest box on any slice, as in `Detections`; None of boxes that
            were given by hand.
        note: why there are none, or what was bounded; else "".
        how: what carries a lesion from slice to slice.
    """

    label: str
    positive: bool
    score: float | None
    threshold: float | None
    lesions: tuple[StackLesion, ...]
    slices: tuple[Slice, ...]
    note: str
    how: str
    height: int
    width: int
    report: RunReport
    caution: str = CAUTION


def outline_stack(
    predictor: Predictor,
    films: Sequence[Film],
    by_hand: Mapping[int, Boxes] | None = None,
    progress: Progress = lambda _done, _total, _what: None,
) -> StackAnswer:
    """Outline lesions through slices of one size.

    Args:
        predictor: a lesion pipeline, or a promptable segmenter with boxes by hand.
        by_hand: boxes in film pixels by the slice, counted from 0, that they lie on; of a
            promptable segmenter some, of a pipeline none. They are carried as far as anything is
            drawn.
        progress: called with (done, total, what).

    Raises:
        ArtifactError: a predictor that outlines no lesions.
        TensorError: no boxes, or some, where the others are needed; a box without area or beside
            the film; a slice that is not there.
        OutsideUseError: a slice declares another modality or body part.
    """
    for film in films:
        refuse_outside(film, predictor.bundle.manifest.intended_use, predictor.report.model)
    by_hand = {k: boxes for k, boxes in (by_hand or {}).items() if boxes}
    if isinstance(predictor, Lesions):
        if by_hand:
            raise TensorError(
                f"'{predictor.report.model}' finds its boxes itself; found some given by hand, "
                "expected none."
            )
        detector, segmenter = (part.predictor for part in predictor.parts)
        if isinstance(detector, Detector) and isinstance(segmenter, PromptableSegmenter):
            return _of_pipeline(predictor, (detector, segmenter), films, progress)
    return _of_boxes(_outlining(predictor), films, by_hand, progress)


def refuse_other_kinds(predictor: Predictor) -> None:
    """Stop before slices are read where nothing can be asked about them.

    Raises:
        ArtifactError: neither a lesion pipeline nor a promptable segmenter.
    """
    if not isinstance(predictor, Lesions):
        _outlining(predictor)


def _outlining(predictor: Predictor) -> PromptableSegmenter:
    """The predictor as what it is.

    Raises:
        ArtifactError: it outlines nothing in boxes.
    """
    if not isinstance(predictor, PromptableSegmenter):
        raise ArtifactError(
            f"'{predictor.report.model}' outlines no lesions in boxes; slices need a lesion "
            "pipeline or a promptable model. Ask about each slice as a film of its own."
        )
    return predictor


def _of_pipeline(
    predictor: Lesions,
    members: tuple[Detector, PromptableSegmenter],
    films: Sequence[Film],
    progress: Progress,
) -> StackAnswer:
    detector, segmenter = members
    seen: list[Detections] = []
    for number, film in enumerate(films):
        progress(number, 2 * len(films), f"{film.source.name}: boxes")
        seen.append(detector.predict(film))
    seeds = [[Prompt(b.box, b.label, b.score) for b in one.boxes] for one in seen]
    walk = _Walk(segmenter, films, seeds, "found", MOST_CARRIED)
    walk.run(progress)
    best = max(range(len(seen)), key=lambda k: seen[k].score - seen[k].threshold)
    top = seen[best]
    note = _bounded(seen, films)
    lesions = walk.lesions()
    if not lesions:
        note = (
            f"No box reached its threshold on any of {len(films)} slices: the surest, of "
            f"{top.label} on slice {best + 1}, has {top.score:.3f}, and {top.threshold:.3f} is "
            "needed."
        )
    return StackAnswer(
        label=top.label,
        positive=bool(lesions),
        score=top.score,
        threshold=top.threshold,
        lesions=lesions,
        slices=walk.slices(),
        note=note,
        how=f"{HOW}, at most {MOST_CARRIED} slices beyond those on which it was found",
        height=top.height,
        width=top.width,
        report=predictor.report,
    )


def _of_boxes(
    segmenter: PromptableSegmenter,
    films: Sequence[Film],
    by_hand: Mapping[int, Boxes],
    progress: Progress,
) -> StackAnswer:
    model, size = segmenter.report.model, films[0].pixels.shape
    beyond = [k for k in by_hand if not 0 <= k < len(films)]
    if not by_hand or beyond:
        found = f"slice {beyond[0] + 1}" if beyond else "no boxes"
        raise TensorError(
            f"'{model}' outlines what lies in boxes: found {found}, expected a box at least, on "
            f"one of slices 1 to {len(films)}."
        )
    label = segmenter.positive_label
    seeds: list[list[Prompt]] = [[] for _ in films]
    for k, boxes in by_hand.items():
        rows = check_prompts(boxes, size, model).tolist()
        seeds[k] = [Prompt((row[0], row[1], row[2], row[3]), label) for row in rows]
    walk = _Walk(segmenter, films, seeds, "by hand", len(films))
    walk.run(progress)
    lesions = walk.lesions()
    drawn = [one for one in lesions if one.area_px]
    return StackAnswer(
        label=label,
        positive=bool(drawn),
        score=None,
        threshold=None,
        lesions=lesions,
        slices=walk.slices(),
        note="" if drawn else "Nothing was outlined in the boxes that were given.",
        how=HOW,
        height=size[0],
        width=size[1],
        report=segmenter.report,
    )


def _bounded(seen: Sequence[Detections], films: Sequence[Film]) -> str:
    cut = [f.source.name for one, f in zip(seen, films, strict=True) if one.boxes and one.note]
    return f"Only the surest boxes are told on {', '.join(cut)}." if cut else ""


@dataclass(frozen=True)
class _Carried:
    """A box for the next slice, and how many slices it may be carried on."""

    number: int
    prompt: Prompt
    left: int


class _Walk:
    """Forth through all slices, then back from where each lesion was first seen."""

    def __init__(
        self,
        segmenter: PromptableSegmenter,
        films: Sequence[Film],
        seeds: Sequence[Sequence[Prompt]],
        origin: Origin,
        most: int,
    ) -> None:
        self._segmenter, self._films, self._seeds = segmenter, films, seeds
        self._origin: Origin = origin
        self._most = most
        self._rows: list[list[SliceLesion]] = [[] for _ in films]
        self._first: dict[int, int] = {}
        # How far what was drawn may be carried on, by slice and lesion.
        self._left: dict[tuple[int, int], int] = {}

    def run(self, progress: Progress) -> None:
        """Draw everything; `progress` counts the second half of the work."""
        count = len(self._films)
        carried: list[_Carried] = []
        for k, film in enumerate(self._films):
            progress(count + k, 2 * count, f"{film.source.name}: outlines")
            free, seeds = list(carried), []
            for seed in self._seeds[k]:
                same = _same(seed, free)
                number = len(self._first) + 1 if same is None else same.number
                self._first.setdefault(number, k)
                free = [one for one in free if one is not same]
                seeds.append(_Carried(number, seed, self._most))
            self._draw(k, seeds, free)
            carried = self._onward(k, list(self._rows[k]))
        for k in range(count - 2, -1, -1):
            begun = [one for one in self._rows[k + 1] if self._first[one.lesion] == k + 1]
            here = [one.seen for one in self._rows[k]]
            back = [c for c in self._onward(k + 1, begun) if not _taken(c.prompt, here)]
            if back:
                self._draw(k, [], back)

    def _draw(self, k: int, seeds: list[_Carried], carried: list[_Carried]) -> None:
        asked = [*seeds, *carried][:MAX_BOXES]
        drawn = self._segmenter.outlined(self._films[k], tuple(one.prompt for one in asked))
        for place, (one, seen) in enumerate(zip(asked, drawn.lesions, strict=True)):
            if place < len(seeds):
                origin, left = self._origin, self._most
            elif _fills(seen):
                origin, left = "carried", one.left - 1
            else:
                continue
            self._first[one.number] = min(k, self._first.get(one.number, k))
            self._left[k, one.number] = left
            self._rows[k].append(SliceLesion(one.number, origin, seen))

    def _onward(self, k: int, lesions: list[SliceLesion]) -> list[_Carried]:
        """What slice k hands on."""
        size = self._films[k].pixels.shape
        return [
            _Carried(one.lesion, Prompt(_grown(one.seen.box, size), one.seen.label), left)
            for one in lesions
            if (left := self._left[k, one.lesion]) > 0 and _fills(one.seen)
        ]

    def slices(self) -> tuple[Slice, ...]:
        """All, in order."""
        return tuple(
            Slice(film.source.name, tuple(sorted(row, key=lambda one: one.lesion)))
            for film, row in zip(self._films, self._rows, strict=True)
        )

    def lesions(self) -> tuple[StackLesion, ...]:
        """By their numbers."""
        return tuple(self._lesion(number) for number in sorted(self._first))

    def _lesion(self, number: int) -> StackLesion:
        own = [(k, one) for k, row in enumerate(self._rows) for one in row if one.lesion == number]
        largest, seen = max(own, key=lambda pair: pair[1].seen.area_px)
        return StackLesion(
            number=number,
            label=seen.seen.label,
            first=own[0][0] + 1,
            last=own[-1][0] + 1,
            largest=largest + 1,
            area_px=seen.seen.area_px,
            found=sum(one.origin != "carried" for _, one in own),
        )


def _same(seed: Prompt, carried: list[_Carried]) -> _Carried | None:
    """The carried box of the same label that overlaps a found one most, if by enough."""
    near = [(_overlap(seed.box, one.prompt.box), one) for one in carried]
    near = [pair for pair in near if pair[1].prompt.label == seed.label and pair[0] >= LINK]
    return max(near, key=lambda pair: pair[0])[1] if near else None


def _taken(prompt: Prompt, here: Sequence[Lesion]) -> bool:
    """Whether a lesion of the label is drawn there already."""
    return any(
        one.label == prompt.label and _overlap(prompt.box, tuple(map(float, one.box))) >= LINK
        for one in here
    )


def _fills(seen: Lesion) -> bool:
    """Whether what was drawn fills the box that it was asked in."""
    if not seen.area_px or seen.prompt is None:
        return False
    return _overlap(seen.prompt, tuple(map(float, seen.box))) >= FILLED


def _overlap(one: Sequence[float], other: Sequence[float]) -> float:
    return float(iou(np.array([one]), np.array([other]))[0, 0])


def _grown(box: tuple[int, int, int, int], size: tuple[int, ...]) -> Box:
    x0, y0, x1, y1 = box
    across, down = GROWN * (x1 - x0), GROWN * (y1 - y0)
    return (
        max(0.0, x0 - across),
        max(0.0, y0 - down),
        min(float(size[1]), x1 + across),
        min(float(size[0]), y1 + down),
    )
