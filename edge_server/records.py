"""What is kept of a case, and what is told of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..runtime.film import Film
from ..runtime.predictions import CAUTION, Classification
from ..runtime.records import to_json
from ..runtime.spec import Voi

UNSURE = "unsure"


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
class Case:
    """One film that a clinic sent, and what was answered.

    Attributes:
        number: counts up on this box, for people to talk about.
        created: ISO 8601, UTC, milliseconds.
        first_opinion: the clinician's label before the answer, "unsure", or None.
        predictions: as they were answered, word for word; never computed anew.
    """

    id: str
    number: int
    created: str
    film: FilmRecord
    first_opinion: str | None
    predictions: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Links:
    """Where the parts of a case are."""

    self: str
    image: str
    explanation: str


@dataclass(frozen=True)
class CaseView:
    """A case as the interface tells it."""

    id: str
    number: int
    created: str
    film: FilmRecord
    first_opinion: str | None
    predictions: tuple[dict[str, Any], ...]
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
    """What the interface tells of a case."""
    path = case_path(case.id)
    return CaseView(
        id=case.id,
        number=case.number,
        created=case.created,
        film=case.film,
        first_opinion=case.first_opinion,
        predictions=tuple(dict(p) for p in case.predictions),
        links=Links(path, f"{path}/image", f"{path}/explanation"),
        caution=CAUTION,
    )


def prediction_json(answer: Classification) -> dict[str, Any]:
    """The whole prediction; `probabilities` by label, in the manifest's order."""
    told: dict[str, Any] = to_json(answer)
    return {"kind": "classification", **told, "probabilities": dict(answer.probabilities)}


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
