"""A second model looks only where the first says positive."""

from dataclasses import replace
from typing import cast

from .boxes import Boxes
from .bundle import Bundle
from .errors import ArtifactError
from .explanations.records import USUAL, MapRequest
from .explanations.targets import label_number
from .film import Film
from .pipeline import Pipeline, added, contributed
from .predictions import CascadeResult, Classification, Explanation, Findings
from .predictor import Part, Predictor


class Cascade(Pipeline):
    """First a two-label answer, then findings."""

    def __init__(self, bundle: Bundle, first: Predictor, second: Predictor) -> None:
        """
        Raises:
            ArtifactError: the members answer otherwise than with a label, and with findings.
        """
        deciding, later = Part("first", first), Part("second", second)
        super().__init__(bundle, "cascade", (deciding, later), deciding)
        for part, wanted in ((deciding, "classification"), (later, "findings")):
            if part.predictor.kind != wanted:
                raise ArtifactError(
                    f"pipeline '{bundle.manifest.name}': its {part.role} member "
                    f"'{part.predictor.report.model}' gives {part.predictor.kind}; expected "
                    f"{wanted}."
                )
        self._first = first
        self._second = second

    def predict(self, film: Film, boxes: Boxes = ()) -> CascadeResult:
        """Ask the first, and the second where that is positive; raises as `Predictor.predict`."""
        self._admit(film, boxes)
        first = cast(Classification, self._first.predict(film))
        members = contributed("first", first)
        if not first.positive:
            return CascadeResult(first, None, self.report, first.timing, members=members)
        second = cast(Findings, self._second.predict(film))
        return CascadeResult(
            first=first,
            second=second,
            report=self.report,
            timing=added([first.timing, second.timing]),
            members=(*members, *contributed("second", second)),
        )

    def explain(self, film: Film, request: MapRequest = USUAL) -> Explanation:
        """The first's map, which led to the main answer, or the second's for a finding of its.

        Raises as `Predictor.explain`.
        """
        self._admit(film)
        known = (*self._first.labels, *self._second.labels)
        if request.label is not None:
            label_number(known, request.label, self.report.model)
        asked = self._first
        if request.label is not None and request.label not in self._first.labels:
            asked = self._second
        return replace(asked.explain(film, request), report=self.report)
