"""A detector finds, a promptable segmenter outlines: lesions without a box drawn by hand."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .box_masks import Prompt
from .boxes import Boxes, check_prompts
from .bundle import Bundle
from .detector import Detector
from .explanations.records import USUAL, MapRequest
from .explanations.registry import check_request
from .film import Film
from .pipeline import Pipeline, added
from .predictions import Detections, Explanation, FoundBox, Member, Segmentation
from .predictor import Part
from .promptable import Drawn, PromptableSegmenter


@dataclass(frozen=True, eq=False)
class Compared:
    """A film's answer, and what the members make of it apart.

    Attributes:
        answer: as `Lesions.predict`.
        every: boxes from a lower score on, as in `detector.Survey`.
        drawn: what the segmenter draws in other boxes, in the order that they were given in.
    """

    answer: Segmentation
    every: tuple[FoundBox, ...]
    drawn: tuple[Drawn, ...]


class Lesions(Pipeline):
    """Labels, score and thresholds are the detector's; the mask, and so the input, the segmenter's.

    One lesion a box, the surest first, also where nothing could be outlined in it: what the
    detector found is never hidden.
    """

    def __init__(self, bundle: Bundle, detector: Detector, segmenter: PromptableSegmenter) -> None:
        deciding = Part("detector", detector)
        super().__init__(bundle, "segmentation", (deciding, Part("segmenter", segmenter)), deciding)
        self.input = segmenter.input
        self._detector = detector
        self._segmenter = segmenter

    def predict(self, film: Film, boxes: Boxes = ()) -> Segmentation:
        """Find boxes, outline what lies in them; raises as `Predictor.predict`."""
        self._admit(film, boxes)
        found = self._detector.predict(film)
        return self._answer(found, self._outlined(film, found))

    def compare(self, film: Film, others: Sequence[Boxes], floor: float) -> Compared:
        """The answer beside what is drawn in other boxes: one run of detector and encoder each.

        Args:
            others: groups of boxes in film pixels; a group may be empty.
            floor: the score from which on boxes are told in `every`.

        Raises:
            TensorError: more than 100 boxes in a group, one without area or beside the film.
            OutsideUseError: as `predict`.
        """
        self._admit(film)
        seen = self._detector.survey(film, floor)
        by_hand = [self._given(boxes, film, seen.answer.label) for boxes in others]
        found, *drawn = self._segmenter.outlined_each(film, (_prompts(seen.answer), *by_hand))
        return Compared(self._answer(seen.answer, found), seen.every, tuple(drawn))

    def _given(self, boxes: Boxes, film: Film, label: str) -> tuple[Prompt, ...]:
        if not boxes:
            return ()
        rows = check_prompts(boxes, film.pixels.shape, self.report.model).tolist()
        return tuple(Prompt((row[0], row[1], row[2], row[3]), label) for row in rows)

    def explain(self, film: Film, request: MapRequest = USUAL) -> Explanation:
        """The probability of what is outlined, of one label or of all; as `Predictor.explain`."""
        self._admit(film)
        check_request(self, request)
        found = self._detector.predict(film)
        if request.label is not None:
            wanted = tuple(b for b in found.boxes if b.label == request.label)
            found = replace(found, boxes=wanted)
        drawn = self._outlined(film, found)
        return Explanation(
            map=drawn.probability,
            method="probability",
            label=request.label or found.label,
            sign=int(bool(np.any(drawn.probability))),
            note=_note(found, drawn),
            report=self.report,
        )

    def _outlined(self, film: Film, found: Detections) -> Drawn:
        return self._segmenter.outlined(film, _prompts(found))

    def _answer(self, found: Detections, drawn: Drawn) -> Segmentation:
        return Segmentation(
            label=found.label,
            positive=found.positive,
            score=found.score,
            threshold=found.threshold,
            lesions=drawn.lesions,
            probability=drawn.probability,
            raw=drawn.raw,
            mask=drawn.mask,
            report=self.report,
            timing=added([found.timing, drawn.timing]),
            members=(
                Member("detector", found.report),
                *(() if not found.boxes else (Member("segmenter", self._segmenter.report),)),
            ),
            score_of="box",
            note=_note(found, drawn),
        )


def _prompts(found: Detections) -> tuple[Prompt, ...]:
    return tuple(Prompt(b.box, b.label, b.score) for b in found.boxes)


def _note(found: Detections, drawn: Drawn) -> str:
    if found.positive and not found.boxes:
        return "No box of this label reached its threshold."
    return " ".join(filter(None, (found.note, drawn.note)))
