"""Which films are looked at: positive ones, few of a patient, the same at every run."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...runtime.errors import DataError
from ..datasets import DataFilm
from .records import Bounds


@dataclass(frozen=True)
class Chosen:
    """A film to explain."""

    path: Path
    patient: str


def choose_films(films: Iterable[DataFilm], label: str, bounds: Bounds) -> tuple[Chosen, ...]:
    """At most `bounds.films` films that have the label, in the order of a hash of the patient.

    More films are drawn from the same patients in the same order, so a longer run holds a shorter.

    Raises:
        DataError: no film has the label.
    """
    having = [f for f in films if label in (f.label, *f.findings)]
    if not having:
        raise DataError(
            f"no film has the label {label!r}; maps are judged on films that have it. Choose "
            "another part or data folder."
        )
    return _few(having, bounds)


def _few(films: Sequence[DataFilm], bounds: Bounds) -> tuple[Chosen, ...]:
    taken: list[Chosen] = []
    seen: dict[str, int] = {}
    for film in sorted(films, key=lambda f: (_hash(f.patient_key), f.path.name)):
        if seen.get(film.patient_key, 0) >= bounds.per_patient:
            continue
        seen[film.patient_key] = seen.get(film.patient_key, 0) + 1
        taken.append(Chosen(film.path, film.patient_key))
        if len(taken) == bounds.films:
            break
    return tuple(taken)


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8")).hexdigest()
