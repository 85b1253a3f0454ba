"""Which films are looked at: positive ones, few of a patient, the same at every run."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ...runtime.errors import DataError
from ..datasets import DataFilm
from ..masks import THERE, MaskFilm, read_mask_pixels
from .records import Bounds

Some = TypeVar("Some", DataFilm, MaskFilm)


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


def choose_masked(films: Sequence[MaskFilm], bounds: Bounds) -> tuple[Chosen, ...]:
    """As `choose_films`, of films whose mask is not empty; no more masks are read than needed.

    Raises:
        DataError: every mask is empty.
        DamagedFilmError: a mask cannot be read.
    """
    found = _few(films, bounds, lambda film: bool((read_mask_pixels(film) == THERE).any()))
    if not found:
        raise DataError(
            f"none of {len(films)} films has anything in its mask; maps are judged on films where "
            "there is something to find. Choose another part or data folder."
        )
    return found


def _few(
    films: Sequence[Some], bounds: Bounds, wanted: Callable[[Some], bool] = lambda _: True
) -> tuple[Chosen, ...]:
    taken: list[Chosen] = []
    seen: dict[str, int] = {}
    for film in sorted(films, key=lambda f: (_hash(f.patient_key), f.path.name)):
        if seen.get(film.patient_key, 0) >= bounds.per_patient or not wanted(film):
            continue
        seen[film.patient_key] = seen.get(film.patient_key, 0) + 1
        taken.append(Chosen(film.path, film.patient_key))
        if len(taken) == bounds.films:
            break
    return tuple(taken)


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8")).hexdigest()
