"""A detector finds, a promptable segmenter outlines: lesions without a box drawn by hand."""

from dataclasses import replace

import numpy as np

from .box_masks import Prompt
from .boxes import Boxes
from .bundle import Bundle
from .detector import Detector
from .explanations.records import USUAL, MapRequest
from .explanations.registry import check_request
from .film import Film
from .pipeline import Pipeline, added
from .predictions import Detections, Explanation, Member, Segmentation
from .predictor import Part
from .promptable import Drawn, PromptableSegmenter


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
        prompts = tuple(Prompt(b.box, b.label, b.score) for b in found.boxes)
        return self._segmenter.outlined(film, prompts)

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


def _note(found: Detections, drawn: Drawn) -> str:
    if found.positive and not found.boxes:
        return "No box of this label reached its threshold."
    return " ".join(filter(None, (found.note, drawn.note)))
