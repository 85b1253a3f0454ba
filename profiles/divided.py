"""What data folders have in common, of labels, masks or boxes: their rows and their split."""

import csv
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, Protocol, Self, TypeVar

from ..runtime.errors import DataManifestError
from ..runtime.figures import Part
from ..runtime.manifest import DataHygiene, DataPart
from .placing import Placed, hygiene_of, key_hashes
from .splits import SPLIT_RULE, OfficialPart


class OfficialFilm(Placed, Protocol):
    """A film with its place, and the official part that it is from."""

    @property
    def official(self) -> OfficialPart: ...


FilmOf = TypeVar("FilmOf", bound=OfficialFilm)


@dataclass(frozen=True)
class DividedFilms(Generic[FilmOf]):
    """A data folder or some of its films. `split` says how they were divided."""

    name: str
    root: Path
    films: tuple[FilmOf, ...]
    split: str = SPLIT_RULE

    def part(self, *parts: Part) -> Self:
        """The films of the named parts."""
        return replace(self, films=tuple(f for f in self.films if f.part in parts))

    def official_test_new_patients(self) -> Self:
        """Official test films whose patient does not occur in the official train part.

        Whether a number that occurs in both is the same child is unknown.
        """
        known = {f.patient_key.split("/", 2)[2] for f in self.films if f.official == "train"}
        official = (f for f in self.films if f.official == "test")
        new = (f for f in official if f.patient_key.split("/", 2)[2] not in known)
        return replace(self, films=tuple(new))

    def patients(self) -> tuple[str, ...]:
        """The patient key of each film."""
        return tuple(f.patient_key for f in self.films)

    def key_hashes(self) -> tuple[str, ...]:
        """Hashes of the patient keys, sorted."""
        return key_hashes(self.films)

    def hygiene(self) -> tuple[DataPart, ...]:
        """Which patients are in which part; parts without films are left out."""
        return hygiene_of(self.films)

    def hygiene_record(self) -> DataHygiene:
        """The bundle's record of this data and its split."""
        return DataHygiene(self.name, self.split, self.hygiene())


def manifest_rows(path: Path, columns: str) -> list[dict[str, str]]:
    """The rows of a manifest.

    Args:
        columns: the expected ones, in words.

    Raises:
        DataManifestError: it cannot be read or lists no films.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, restval="")
            found = ", ".join(reader.fieldnames or ()) or "(none)"
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as err:
        raise DataManifestError(
            f"cannot read {path}: {err}. Expected a UTF-8 CSV file with the columns {columns}."
        ) from err
    if not rows:
        raise DataManifestError(
            f"{path} lists no films (columns {found}); expected one line a film."
        )
    return rows
