"""Lungs, crop, classifier: a chest classifier that sees nothing but the lungs."""

import weakref
from dataclasses import replace
from typing import Protocol

from .boxes import Boxes
from .bundle import Bundle
from .errors import ArtifactError
from .explanations.records import USUAL, MapRequest
from .film import Film
from .lungs import Box, CropRule, Lungs, crop, find_lungs
from .pipeline import CropPredictor, Pipeline, added, contributed
from .predictions import Classification, Explanation, Findings, Member, Timing
from .predictor import Part
from .segmenter import Segmenter


class Finder(Protocol):
    """What an `OnLungs` asks; see `LungFinder`."""

    segmenter: Segmenter
    rule: CropRule

    def find(self, film: Film) -> tuple[Lungs, Timing]: ...

    def cut(self, film: Film) -> tuple[Film, Box, Timing]: ...


class LungFinder:
    """Where the lungs are; the same film asked again is not searched or cut again."""

    def __init__(self, segmenter: Segmenter, rule: CropRule) -> None:
        if segmenter.input.resize != "stretch":
            raise ArtifactError(
                f"'{segmenter.report.model}' lays films in a letterbox; expected a lung network "
                "whose input is stretched."
            )
        self.segmenter = segmenter
        self.rule = rule
        self._film: weakref.ref[Film] | None = None
        self._lungs: Lungs | None = None
        self._crop: Film | None = None

    def find(self, film: Film) -> tuple[Lungs, Timing]:
        """The lungs, and how long the search took now: 0 where it was remembered.

        Raises:
            NoLungsError: there are none.
        """
        if self._lungs is not None and self._film is not None and self._film() is film:
            return self._lungs, Timing(0.0, 0.0)
        grid, timing = self.segmenter.probabilities(film)
        height, width = film.pixels.shape
        lungs = find_lungs(grid, (height, width), self.rule)
        self._film, self._lungs, self._crop = weakref.ref(film), lungs, None
        return lungs, timing

    def cut(self, film: Film) -> tuple[Film, Box, Timing]:
        """The film inside the box around its lungs, that box, and how long the search took.

        Raises:
            NoLungsError: there are none.
        """
        lungs, timing = self.find(film)
        if self._crop is None:
            self._crop = crop(film, lungs.box)
        return self._crop, lungs.box, timing


class OnLungs(Pipeline):
    """The answer is the classifier's on the crop; `crop` tells where on the film it looked.

    `finder` may be replaced by one that knows the lungs of many films.
    """

    finder: Finder

    def __init__(self, bundle: Bundle, finder: LungFinder, classifier: CropPredictor) -> None:
        lungs, deciding = Part("lungs", finder.segmenter), Part("classifier", classifier)
        super().__init__(bundle, classifier.kind, (lungs, deciding), deciding)
        self.finder = finder
        self._classifier = classifier

    def find(self, film: Film) -> Lungs:
        """The lungs of a film, as `predict` crops to them.

        Raises:
            NoLungsError: there are none.
        """
        return self.finder.find(film)[0]

    def predict(self, film: Film, boxes: Boxes = ()) -> Classification | Findings:
        """Find the lungs, crop, score; raises as `Predictor.predict`."""
        self._admit(film, boxes)
        inside, box, search = self.finder.cut(film)
        answer = self._classifier.predict_crop(inside)
        return replace(
            answer,
            report=self.report,
            timing=added([search, answer.timing]),
            crop=box,
            members=(
                Member("lungs", self.finder.segmenter.report),
                *contributed("classifier", answer),
            ),
        )

    def explain(self, film: Film, request: MapRequest = USUAL) -> Explanation:
        """The classifier's map over the crop; raises as `Predictor.explain`."""
        self._admit(film)
        inside, box, _ = self.finder.cut(film)
        told = self._classifier.explain_crop(inside, request)
        return replace(told, report=self.report, crop=box)
