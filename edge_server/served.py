"""One model or pipeline that this server answers with."""

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..runtime.acceptance import AcceptanceResult, check_acceptance
from ..runtime.bundle import Bundle
from ..runtime.explanations import METHODS, MapRequest, usual_method
from ..runtime.explanations.lung_fields import lung_fields
from ..runtime.explanations.registry import deciding
from ..runtime.film import Film
from ..runtime.intended_use import refuse_outside
from ..runtime.own_thresholds import Stamps, record_paths, stamps
from ..runtime.predictions import Explanation, Prediction
from ..runtime.predictor import Predictor
from ..runtime.spec import Voi
from .readings import NONE, Questions
from .turns import Turns

# A map of many runs is given up after so long; the page waits no longer either.
SLOWEST_S = 60.0
# The member that adds findings.
ADDING = "second"

_LOG = logging.getLogger("clinicedge.edge_server")


@dataclass(frozen=True)
class Checked:
    """How one network fared; `role` is its place in a pipeline, "" for a model alone."""

    role: str
    model: str
    result: AcceptanceResult


@dataclass(frozen=True, eq=False)
class _Opened:
    """A predictor with what acceptance said of it.

    `seen`: the clinic's own thresholds on the disk when it was opened.
    """

    predictor: Predictor
    checks: tuple[Checked, ...]
    seen: Stamps


class Served:
    """Any thread may ask; a predictor takes one question at a time.

    A clinic's own threshold that is set, changed or cleared meanwhile holds from the next answer:
    the bundle is opened again.
    """

    def __init__(self, bundle: Bundle, open_: Callable[[Bundle], Predictor]) -> None:
        """Raises what `open_` does."""
        self.bundle = bundle
        self.turns = Turns()
        self._open = open_
        self._records = record_paths(bundle)
        self._opening = threading.Lock()
        self._opened = self._anew()

    @property
    def predictor(self) -> Predictor:
        """As it is open now."""
        return self._opened.predictor

    @property
    def checks(self) -> tuple[Checked, ...]:
        """What acceptance said of each network."""
        return self._opened.checks

    @property
    def name(self) -> str:
        """What a request calls it by."""
        return self.bundle.manifest.name

    @property
    def passed(self) -> bool:
        """Whether every network in it reproduced its recorded answers here."""
        return all(c.result.passed for c in self.checks)

    @property
    def voi(self) -> Voi:
        """The grey range of DICOM files that the model was made for."""
        return self.predictor.input.dicom.voi

    @cached_property
    def questions(self) -> Questions:
        """What a clinician's own reading may name."""
        labels = self.predictor.labels
        if self.predictor.kind == "findings":
            return Questions((), labels)
        if self.predictor.kind == "segmentation":
            return Questions((*labels, NONE), ())
        second = part(self.predictor, (ADDING,))
        return Questions(labels, second.labels if second is not None else ())

    def current(self) -> Predictor:
        """The predictor with the thresholds that hold now.

        Raises:
            ArtifactError: a clinic's threshold was set for another artifact, or its record is
                damaged; nothing is answered until it is set anew or cleared.
        """
        with self._opening:
            if stamps(self._records) != self._opened.seen:
                self._opened = self._anew()
                _LOG.warning("%s: thresholds of this device changed; opened again", self.name)
            return self._opened.predictor

    def predict(self, film: Film) -> Prediction:
        """As `Predictor.predict`; what the film declares is looked at before anything else."""
        refuse_outside(film, self.bundle.manifest.intended_use, self.name)
        with self.turns.soon():
            return self.current().predict(film)

    def explain(
        self, film: Film, request: MapRequest
    ) -> tuple[Explanation, NDArray[np.bool_] | None]:
        """As `Predictor.explain`, and the lungs that the pipeline sees, bool (H, W).

        Films are answered between the runs of a method that needs many.

        Raises:
            SlowMapError: many runs took longer than SLOWEST_S.
        """
        predictor = self.current()
        if not _many_runs(predictor, request):
            with self.turns.soon():
                return predictor.explain(film, request), lung_fields(predictor, film)
        with self.turns.patient(SLOWEST_S) as turn:
            told = predictor.explain(film, replace(request, progress=turn.between))
            return told, lung_fields(predictor, film)

    def close(self) -> None:
        """End what would take long."""
        self.turns.close()

    def _anew(self) -> _Opened:
        seen = stamps(self._records)
        predictor = self._open(self.bundle)
        return _Opened(predictor, tuple(_checks(predictor)), seen)


def part(predictor: Predictor, roles: tuple[str, ...]) -> Predictor | None:
    """The member in one of these roles; None where the pipeline has none."""
    return next((p.predictor for p in predictor.parts if p.role in roles), None)


def members(predictor: Predictor, above: str = "") -> Iterator[tuple[str, Predictor]]:
    """Everything in a pipeline with its role path such as "first/lungs", outer before inner."""
    for inner in predictor.parts:
        role = f"{above}/{inner.role}" if above else inner.role
        yield role, inner.predictor
        yield from members(inner.predictor, role)


def _many_runs(predictor: Predictor, request: MapRequest) -> bool:
    usual = usual_method(deciding(predictor, request.label).bundle.manifest)
    return METHODS[request.method or usual].passes > 0


def _checks(predictor: Predictor) -> Iterator[Checked]:
    """What acceptance said of each network; passed a moment ago and remembered."""
    for role, member in (("", predictor), *members(predictor)):
        if member.parts:
            continue
        report, bundle = member.report, member.bundle
        computes = bundle.artifact(report.artifact).computes
        compute = next(c for c in computes if c == report.session.compute)
        result = check_acceptance(bundle, report.artifact, compute, report.session.engine)
        yield Checked(role, bundle.manifest.name, result)
