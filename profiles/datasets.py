"""Data folders: a `manifest.csv` with the columns file, label, patient, split.

Several findings a film stand in a column `findings`, joined by `|`; the subtype of a pneumonia in
a column `subtype`.
"""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import DataManifestError
from ..runtime.figures import Part
from ..runtime.manifest import DataHygiene, DataPart
from .splits import SPLIT_RULE, OfficialPart, key_hash, part_of, patient_key

MANIFEST = "manifest.csv"
COLUMNS = ("file", "label", "patient", "split")
FINDINGS_COLUMNS = ("file", "patient")
BETWEEN_FINDINGS = "|"
LABELS = ("NORMAL", "PNEUMONIA")
PARTS: tuple[Part, ...] = ("train", "select", "guard", "test", "official-test")
# Folders that show the same children share an origin, so that a patient has one part in all.
ORIGINS = {"kermany224": "kermany", "kermany512": "kermany", "lungmasks": "kermany"}
_SHOWN = 5


@dataclass(frozen=True)
class DataFilm:
    """A labelled film. `patient` is the number in the manifest, unique in its official part.

    `findings`: those that it has, of the labels asked for; () where films have one label each.
    """

    path: Path
    label: str
    patient: str
    patient_key: str
    official: OfficialPart
    part: Part
    findings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dataset:
    """A data folder or some of its films. `split` says how they were divided."""

    name: str
    origin: str
    root: Path
    films: tuple[DataFilm, ...]
    split: str = SPLIT_RULE

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
        return DataHygiene(self.name, self.split, self.hygiene())

    def positives(self, positive_label: str) -> tuple[bool, ...]:
        """Whether each film has that label."""
        return tuple(f.label == positive_label for f in self.films)

    def findings(self, labels: Sequence[str]) -> NDArray[np.bool_]:
        """Whether each film has each finding: bool (N, K), columns in the order of `labels`."""
        rows = [[label in f.findings for label in labels] for f in self.films]
        return np.array(rows, bool).reshape(len(self.films), len(labels))

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
    rows = _read_rows(path, COLUMNS)
    name = root.resolve().name
    films = []
    for number, row in enumerate(rows, start=2):
        where = f"{path}, line {number}"
        if row["label"] not in labels:
            raise DataManifestError(
                f"{where}: label {row['label']!r}; expected one of {', '.join(labels)}. "
                "Rename the label or remove the line."
            )
        films.append(_read_film(root.resolve(), row, _origin(row, name), where))
    return _dataset(root, rows, films)


def read_findings_dataset(root: Path, labels: Sequence[str]) -> Dataset:
    """Read a data folder whose films have any number of findings each.

    They stand in the column `findings`, joined by `|` (an empty cell: none); findings that are not
    among `labels` are left aside. Without that column the column `subtype` tells the one finding
    of a film, in upper or lower case; films without a subtype among `labels` are left out, since
    they say nothing about it. A column `split` is needed only where there is an official test set.

    Raises:
        DataManifestError: as `read_dataset`; or no film has any of the labels.
    """
    path = root / MANIFEST
    rows = _read_rows(path, FINDINGS_COLUMNS)
    name = root.resolve().name
    films = []
    kept = []
    for number, row in enumerate(rows, start=2):
        found = _row_findings(row, labels)
        if found is None:
            continue
        row = {**row, "split": row.get("split") or "train"}
        film = _read_film(root.resolve(), row, _origin(row, name), f"{path}, line {number}")
        label = row.get("label") or BETWEEN_FINDINGS.join(found)
        films.append(replace(film, label=label, findings=found))
        kept.append(row)
    if not any(f.findings for f in films):
        raise DataManifestError(
            f"{path} has no film with any of {', '.join(labels)}; expected a column findings "
            f"with some of them joined by {BETWEEN_FINDINGS!r}, or a column subtype."
        )
    return _dataset(root, kept, films)


def _row_findings(row: dict[str, str], labels: Sequence[str]) -> tuple[str, ...] | None:
    """In the order of the labels; None where the row says nothing."""
    if "findings" in row:
        named = {word.strip() for word in row["findings"].split(BETWEEN_FINDINGS)}
        return tuple(label for label in labels if label in named)
    subtype = row.get("subtype", "").strip().upper()
    return tuple(label for label in labels if label.upper() == subtype) or None


def _origin(row: dict[str, str], name: str) -> str:
    return row.get("origin") or ORIGINS.get(name, name)


def _dataset(root: Path, rows: list[dict[str, str]], films: list[DataFilm]) -> Dataset:
    name, folder = root.resolve().name, root.resolve()
    missing = [f.path for f in films if not f.path.is_file()]
    if missing:
        shown = ", ".join(str(p.relative_to(folder)) for p in missing[:_SHOWN])
        raise DataManifestError(
            f"{root / MANIFEST} names {len(films)} films, {len(missing)} are missing: {shown}. "
            "Restore the files or remove their lines."
        )
    origins = {_origin(row, name) for row in rows}
    origin = origins.pop() if len(origins) == 1 else ORIGINS.get(name, name)
    return Dataset(name, origin, root, tuple(films))


def _read_rows(path: Path, needed: Sequence[str]) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, restval="")
            columns = reader.fieldnames or []
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as err:
        raise DataManifestError(
            f"cannot read {path}: {err}. Expected a UTF-8 CSV file with the columns "
            f"{', '.join(needed)}."
        ) from err
    missing = [c for c in needed if c not in columns]
    if missing:
        raise DataManifestError(
            f"{path} has the columns {', '.join(columns) or '(none)'}; expected also "
            f"{', '.join(missing)}. Add them: one line a film."
        )
    if not rows:
        raise DataManifestError(f"{path} lists no films; expected one line a film.")
    return rows


def _read_film(folder: Path, row: dict[str, str], origin: str, where: str) -> DataFilm:
    patient, split = row["patient"], row["split"]
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
    path = _inside(folder, row["file"], where)
    return DataFilm(path, row.get("label") or "", patient, key, official, part)


def _inside(folder: Path, file: str, where: str) -> Path:
    path = (folder / file).resolve()
    if not file or not path.is_relative_to(folder):
        raise DataManifestError(
            f"{where}: file {file!r} is not inside {folder}; expected a path relative to it."
        )
    return path
