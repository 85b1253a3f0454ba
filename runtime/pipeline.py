"""What every pipeline shares: its report, its parts, and what it refuses."""

import hashlib
from collections.abc import Mapping
from typing import Protocol

from .boxes import Boxes
from .bundle import Bundle
from .errors import ArtifactError, TensorError
from .explanations.records import USUAL, MapRequest
from .film import Film
from .intended_use import refuse_outside
from .predictions import (
    Classification,
    Explanation,
    Findings,
    Member,
    RunReport,
    SessionReport,
    Timing,
)
from .predictor import Kind, Part, Predictor
from .spec import InputSpec


class CropPredictor(Predictor, Protocol):
    """A predictor that takes what was already cropped to the lungs."""

    def predict_crop(self, film: Film) -> Classification | Findings: ...

    def explain_crop(self, film: Film, request: MapRequest = USUAL) -> Explanation: ...


class Pipeline:
    """Predictors in a row. `deciding`: the one whose answer, labels and input count."""

    def __init__(self, bundle: Bundle, kind: Kind, parts: tuple[Part, ...], deciding: Part) -> None:
        chosen = deciding.predictor
        self.bundle = bundle
        self.kind: Kind = kind
        self.parts = parts
        self.input: InputSpec = chosen.input
        self.labels: tuple[str, ...] = chosen.labels
        self.positive_label: str | None = chosen.positive_label
        self.thresholds: Mapping[str, float] = chosen.thresholds
        self.report = _report(bundle, parts, chosen.report)
        _same_reading(bundle, parts)

    def _admit(self, film: Film, boxes: Boxes = ()) -> None:
        """Refuse boxes, and a film that says that this pipeline was not made for it."""
        if boxes:
            raise TensorError(
                f"'{self.report.model}' looks at whole films; found {len(boxes)} boxes, "
                "expected none."
            )
        refuse_outside(film, self.bundle.manifest.intended_use, self.report.model)


def members_sha256(parts: tuple[Part, ...]) -> str:
    """SHA-256 of the sorted lines `role TAB name TAB artifact's sha256`, each ended by a newline.

    Other artifacts of the same members give another hash.
    """
    reports = [(part.role, part.predictor.report) for part in parts]
    lines = sorted(f"{role}\t{r.model}\t{r.artifact_sha256}\n" for role, r in reports)
    return hashlib.sha256("".join(lines).encode("utf-8")).hexdigest()


def contributed(
    path: str, answer: Classification | Findings, report: RunReport | None = None
) -> tuple[Member, ...]:
    """A member and the members that it has itself; their paths begin with its own."""
    inner = (Member(f"{path}/{m.role}", m.report) for m in answer.members)
    return (Member(path, report or answer.report), *inner)


def added(timings: list[Timing]) -> Timing:
    """The sum."""
    return Timing(
        sum(t.preprocess_ms for t in timings),
        sum(t.inference_ms for t in timings),
    )


def _report(bundle: Bundle, parts: tuple[Part, ...], deciding: RunReport) -> RunReport:
    manifest = bundle.manifest
    session = deciding.session
    notes = dict.fromkeys(
        f"{part.predictor.report.model}: {note}"
        for part in parts
        for note in part.predictor.report.session.notes
    )
    return RunReport(
        model=manifest.name,
        model_version=manifest.version,
        bundle_id=bundle.id,
        artifact=deciding.artifact,
        artifact_sha256=members_sha256(parts),
        session=SessionReport(
            engine=session.engine,
            engine_version=session.engine_version,
            device=session.device,
            compute=session.compute,
            threads=session.threads,
            notes=tuple(notes),
        ),
    )


def _same_reading(bundle: Bundle, parts: tuple[Part, ...]) -> None:
    """A film is read once, so all members must have been made for the same grey range."""
    found = {part.predictor.report.model: part.predictor.input.dicom.voi for part in parts}
    if len(set(found.values())) > 1:
        raise ArtifactError(
            f"pipeline '{bundle.manifest.name}': its members read the grey range of DICOM films "
            f"differently: {found}; expected one way. Make it of members that agree."
        )
