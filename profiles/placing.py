"""Where a film of a manifest stands: its patient's key and its part of the split.

The part is a hash of the key. Only where the manifest has a column `part` (an importer writes it
for sets without patient numbers, see `importers.strata`) does that column decide.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, get_args

from ..runtime.errors import DataManifestError
from ..runtime.figures import Part
from ..runtime.manifest import DataPart
from .splits import SPLIT_RULE, OfficialPart, key_hash, part_of, patient_key

PARTS: tuple[Part, ...] = get_args(Part)
PART_COLUMN = "part"
GIVEN_RULE = "by the column part of the manifest: patients or blocks whole, official test apart"
_GIVEN: dict[str, Part] = {str(p): p for p in PARTS if p != "official-test"}


class Placed(Protocol):
    """A film with its place."""

    @property
    def patient_key(self) -> str: ...
    @property
    def part(self) -> Part: ...


@dataclass(frozen=True)
class Place:
    """`key` stands for the patient across data folders of one origin."""

    key: str
    official: OfficialPart
    part: Part


def place(row: Mapping[str, str], patient: str, origin: str, where: str) -> Place:
    """The place of a manifest's row; without a column `split` it is of the official train part.

    Args:
        patient: number, name or block; unique in its official part.
        where: the row, for messages.

    Raises:
        DataManifestError: no patient, or an unknown split or part.
    """
    split, given = row.get("split", "train"), row.get(PART_COLUMN, "")
    if not patient:
        raise DataManifestError(
            f"{where}: no patient; expected a number or name that is the same for all films "
            "of a patient, without it no split is safe."
        )
    if split not in ("train", "test"):
        raise DataManifestError(f"{where}: split {split!r}; expected 'train' or 'test'.")
    official: OfficialPart = "test" if split == "test" else "train"
    allowed = ("official-test",) if official == "test" else tuple(_GIVEN)
    if given and given not in allowed:
        raise DataManifestError(
            f"{where}: part {given!r} of the official {official} part; expected "
            f"{' or '.join(allowed)}. Rename the column where it means something else."
        )
    key = patient_key(origin, official, patient)
    if official == "test":
        return Place(key, official, "official-test")
    return Place(key, official, _GIVEN[given] if given else part_of(key))


def checked_rule(path: Path, rows: Iterable[Mapping[str, str]], films: Iterable[Placed]) -> str:
    """How the films were divided, in words.

    Raises:
        DataManifestError: only some rows name a part, or a patient is in two.
    """
    named = {bool(row.get(PART_COLUMN)) for row in rows if row.get("split") != "test"}
    if named == {True, False}:
        raise DataManifestError(
            f"{path}: some rows name a part and some do not; expected all or none. Import the "
            "folder anew, or remove the column."
        )
    parts: dict[str, Part] = {}
    for film in films:
        if parts.setdefault(film.patient_key, film.part) != film.part:
            raise DataManifestError(
                f"{path}: films of {film.patient_key} are in {parts[film.patient_key]} and in "
                f"{film.part}; expected a patient or block in one part. Figures would be inflated."
            )
    return GIVEN_RULE if True in named else SPLIT_RULE


def key_hashes(films: Iterable[Placed]) -> tuple[str, ...]:
    """Hashes of the patient keys, sorted."""
    return tuple(sorted({key_hash(film.patient_key) for film in films}))


def hygiene_of(films: Sequence[Placed]) -> tuple[DataPart, ...]:
    """Which patients are in which part; parts without films are left out."""
    records = []
    for name in PARTS:
        chosen = [film for film in films if film.part == name]
        if chosen:
            keys = key_hashes(chosen)
            records.append(DataPart(name, len(chosen), len(keys), " ".join(keys)))
    return tuple(records)
