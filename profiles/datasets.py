"""Data folders: a `manifest.csv` with the columns file, label, patient, split."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..runtime.errors import DataManifestError
from ..runtime.manifest import DataHygiene, DataPart, Part
from .splits import SPLIT_RULE, OfficialPart, key_hash, part_of, patient_key

MANIFEST = "manifest.csv"
COLUMNS = ("file", "label", "patient", "split")
LABELS = ("NORMAL", "PNEUMONIA")
PARTS: tuple[Part, ...] = ("train", "select", "guard", "test", "official-test")
# Folders that show the same children share an origin, so that a patient has one part in all.
ORIGINS = {"kermany224": "kermany", "kermany512": "kermany", "lungmasks": "kermany"}
_SHOWN = 5


@dataclass(frozen=True)
class DataFilm:
    """A labelled film. `patient` is the number in the manifest, unique in its official part."""

    path: Path
    label: str
    patient: str
    patient_key: str
    official: OfficialPart
    part: Part


@dataclass(frozen=True)
class Dataset:
    """A data folder or some of its films."""

    name: str
    origin: str
    root: Path
    films: tuple[DataFilm, ...]

    def part(self, *parts: Part) -> "Dataset":
        """The films of the named parts."""
        return self._keep(f for f in self.films if f.part in parts)

    def official_test_new_patients(self) -> "Dataset":
        """Official test films whose patient number does not occur in the official train part.

        Whether a number that occurs in both is the same child is unknown.
        """
        known = {f.patient for f in self.films if f.official == "train"}
        official = (f for f in self.films if f.official == "test")
        return self._keep(f for f in official if f.patient not in known)

    def key_hashes(self) -> tuple[str, ...]:
        """Hashes of the patient keys, sorted."""
        return tuple(sorted({key_hash(f.patient_key) for f in self.films}))

    def hygiene(self) -> tuple[DataPart, ...]:
        """Which patients are in which part; parts without films are left out."""
        records = []
        for name in PARTS:
            chosen = self.part(name)
            if chosen.films:
                keys = chosen.key_hashes()
                records.append(DataPart(name, len(chosen.films), len(keys), " ".join(keys)))
        return tuple(records)

    def hygiene_record(self) -> DataHygiene:
        """The bundle's record of this data and its split."""
        return DataHygiene(self.name, SPLIT_RULE, self.hygiene())

    def positives(self, positive_label: str) -> tuple[bool, ...]:
        """Whether each film has that label."""
        return tuple(f.label == positive_label for f in self.films)

    def patients(self) -> tuple[str, ...]:
        """The patient key of each film."""
        return tuple(f.patient_key for f in self.films)

    def _keep(self, films: Iterable[DataFilm]) -> "Dataset":
        return replace(self, films=tuple(films))


def read_dataset(root: Path, labels: Sequence[str] = LABELS) -> Dataset:
    """Read a data folder's manifest.

    Args:
        root: the folder; its name decides the origin unless a column `origin` does.
        labels: the labels that the manifest may use.

    Raises:
        DataManifestError: no manifest, a column or a film is missing, a label or split is
            unknown, a path leaves the folder, or there are no films.
    """
    path = root / MANIFEST
    rows = _read_rows(path)
    name = root.resolve().name
    default_origin = ORIGINS.get(name, name)
    folder = root.resolve()
    films = []
    origins = set()
    for number, row in enumerate(rows, start=2):
        origin = row.get("origin") or default_origin
        origins.add(origin)
        films.append(_read_film(folder, row, origin, labels, f"{path}, line {number}"))
    missing = [f.path for f in films if not f.path.is_file()]
    if missing:
        shown = ", ".join(str(p.relative_to(folder)) for p in missing[:_SHOWN])
        raise DataManifestError(
            f"{path} names {len(films)} films, {len(missing)} are missing: {shown}. "
            "Restore the files or remove their lines."
        )
    origin = origins.pop() if len(origins) == 1 else default_origin
    return Dataset(name, origin, root, tuple(films))


def _read_rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, restval="")
            columns = reader.fieldnames or []
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as err:
        raise DataManifestError(
            f"cannot read {path}: {err}. Expected a UTF-8 CSV file with the columns "
            f"{', '.join(COLUMNS)}."
        ) from err
    missing = [c for c in COLUMNS if c not in columns]
    if missing:
        raise DataManifestError(
            f"{path} has the columns {', '.join(columns) or '(none)'}; expected also "
            f"{', '.join(missing)}. Add them: one line a film."
        )
    if not rows:
        raise DataManifestError(f"{path} lists no films; expected one line a film.")
    return rows


def _read_film(
    folder: Path, row: dict[str, str], origin: str, labels: Sequence[str], where: str
) -> DataFilm:
    label, patient, split = row["label"], row["patient"], row["split"]
    if label not in labels:
        raise DataManifestError(
            f"{where}: label {label!r}; expected one of {', '.join(labels)}. "
            "Rename the label or remove the line."
        )
    if not patient:
        raise DataManifestError(
            f"{where}: no patient; expected a number or name that is the same for all films "
            "of a patient, without it no split is safe."
        )
    if split not in ("train", "test"):
        raise DataManifestError(f"{where}: split {split!r}; expected 'train' or 'test'.")
    official: OfficialPart = "test" if split == "test" else "train"
    key = patient_key(origin, official, patient)
    part: Part = "official-test" if official == "test" else part_of(key)
    return DataFilm(_inside(folder, row["file"], where), label, patient, key, official, part)


def _inside(folder: Path, file: str, where: str) -> Path:
    path = (folder / file).resolve()
    if not file or not path.is_relative_to(folder):
        raise DataManifestError(
            f"{where}: file {file!r} is not inside {folder}; expected a path relative to it."
        )
    return path
