"""What is kept of a case, and what is told of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..runtime.film import Film
from ..runtime.predictions import CAUTION
from ..runtime.predictions_json import RAW_OUTLINE
from ..runtime.spec import Voi
from .raw_masks import RAW_MASK

NO_SCORE = "no-score"


@dataclass(frozen=True)
class FilmRecord:
    """A film as it was sent.

    Attributes:
        file: the original bytes, relative to the folder of cases.
        sha256, bytes: of these bytes.
        width, height: of the film as read, in pixels.
        spacing_mm: (row, column), None where unknown.
        voi: the grey range that was read from a DICOM file.
    """

    name: str
    format: str
    file: str
    sha256: str
    bytes: int
    width: int
    height: int
    spacing_mm: tuple[float, float] | None
    modality: str | None
    body_part: str | None
    voi: Voi
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Reading:
    """What the clinician said before the answer.

    Attributes:
        first_opinion: a label of the model, "none" of a lesion, "unsure", or None.
        first_findings: the main one first; () where none was seen, None where nobody asked.
        symptoms: of `readings.SYMPTOMS`.
    """

    first_opinion: str | None = None
    first_findings: tuple[str, ...] | None = None
    symptoms: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """One film that a clinic sent, and what was answered.

    Attributes:
        number: counts up on this box, for people to talk about.
        created: ISO 8601, UTC, milliseconds.
        predictions: as they were answered, word for word; never computed anew. One of kind
            "no-score" says in its `reason` why there is none.
        discrepancy: between the reading and the answer, found when it was answered; None where
            there was nothing to compare.
    """

    id: str
    number: int
    created: str
    film: FilmRecord
    reading: Reading
    predictions: tuple[Mapping[str, Any], ...]
    discrepancy: Mapping[str, Any] | None = None

    @property
    def answer(self) -> Mapping[str, Any]:
        """The prediction that the page shows."""
        return self.predictions[0]


@dataclass(frozen=True)
class Links:
    """Where the parts of a case are; None where it has no such part."""

    self: str
    image: str
    explanation: str | None
    segmentation: str | None


@dataclass(frozen=True)
class CaseView:
    """A case as the interface tells it."""

    id: str
    number: int
    created: str
    film: FilmRecord
    first_opinion: str | None
    first_findings: tuple[str, ...] | None
    symptoms: tuple[str, ...]
    predictions: tuple[dict[str, Any], ...]
    discrepancy: dict[str, Any] | None
    links: Links
    caution: str


@dataclass(frozen=True)
class CaseList:
    """The latest cases first; `total` counts all on this box."""

    cases: tuple[CaseView, ...]
    total: int


def case_path(case_id: str) -> str:
    """The case's address on this server."""
    return f"/api/v1/cases/{case_id}"


def view(case: Case) -> CaseView:
    """What the interface tells of a case; outlines are left to its segmentation."""
    path = case_path(case.id)
    kind = case.answer["kind"]
    links = Links(
        self=path,
        image=f"{path}/image",
        explanation=None if kind == NO_SCORE else f"{path}/explanation",
        segmentation=f"{path}/segmentation" if kind == "segmentation" else None,
    )
    return CaseView(
        id=case.id,
        number=case.number,
        created=case.created,
        film=case.film,
        first_opinion=case.reading.first_opinion,
        first_findings=case.reading.first_findings,
        symptoms=case.reading.symptoms,
        predictions=tuple(_without_outlines(p) for p in case.predictions),
        discrepancy=None if case.discrepancy is None else dict(case.discrepancy),
        links=links,
        caution=CAUTION,
    )


def _without_outlines(answer: Mapping[str, Any]) -> dict[str, Any]:
    """A long list of cases would be megabytes of corners otherwise."""
    told = {k: v for k, v in answer.items() if k not in (RAW_MASK, RAW_OUTLINE)}
    if "lesions" in told:
        told["lesions"] = [
            {k: v for k, v in lesion.items() if k != "outline"} for lesion in told["lesions"]
        ]
    return told


def film_record(film: Film, file: str, length: int, voi: Voi) -> FilmRecord:
    """The record of a film whose original bytes are in `file`."""
    height, width = film.pixels.shape
    source = film.source
    return FilmRecord(
        name=source.name,
        format=source.format,
        file=file,
        sha256=source.sha256 or "",
        bytes=length,
        width=width,
        height=height,
        spacing_mm=film.spacing_mm,
        modality=source.modality,
        body_part=source.body_part,
        voi=voi,
        notes=source.notes,
    )
