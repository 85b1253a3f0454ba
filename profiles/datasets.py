"""Data folders: a `manifest.csv` with the columns file, label, patient, split.

Several findings a film stand in a column `findings`, joined by `|`; the subtype of a pneumonia in
a column `subtype`, the age in years in a column `age`. `placing` reads patient, split and part.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import DataManifestError
from ..runtime.figures import Part
from .divided import DividedFilms, manifest_rows
from .placing import PARTS as PARTS
from .placing import checked_rule, place
from .splits import OfficialPart

MANIFEST = "manifest.csv"
COLUMNS = ("file", "label", "patient", "split")
FINDINGS_COLUMNS = ("file", "patient")
BETWEEN_FINDINGS = "|"
LABELS = ("NORMAL", "PNEUMONIA")
NORMAL, NO_FINDING = "NORMAL", "no finding"
# Folders that show the same children share an origin, so that a patient has one part in all.
ORIGINS = {"kermany224": "kermany", "kermany512": "kermany", "lungmasks": "kermany"}
_SHOWN = 5
# As DICOM writes ages (058Y, 006M), or as a bare number of years.
_AGE = re.compile(r"([0-9]{1,3}(?:\.[0-9]+)?)([YMWD]?)", re.IGNORECASE)
_A_YEAR = {"": 1.0, "Y": 1.0, "M": 12.0, "W": 52.18, "D": 365.25}
_OLDEST = 120.0


@dataclass(frozen=True)
class DataFilm:
    """A labelled film. `patient` is the number in the manifest, unique in its official part.

    `findings`: those that it has, of the labels asked for; () where films have one label each.
    `age_years`: None where the manifest does not tell it.
    """

    path: Path
    label: str
    patient: str
    patient_key: str
    official: OfficialPart
    part: Part
    findings: tuple[str, ...] = ()
    age_years: float | None = None


@dataclass(frozen=True)
class Dataset(DividedFilms[DataFilm]):
    """A data folder or some of its films.

    `left_out` counts films of the folder whose findings say nothing about the labels asked for.
    """

    origin: str = ""
    left_out: int = 0

    def positives(self, positive_label: str) -> tuple[bool, ...]:
        """Whether each film has that label."""
        return tuple(f.label == positive_label for f in self.films)

    def findings(self, labels: Sequence[str]) -> NDArray[np.bool_]:
        """Whether each film has each finding: bool (N, K), columns in the order of `labels`."""
        rows = [[label in f.findings for label in labels] for f in self.films]
        return np.array(rows, bool).reshape(len(self.films), len(labels))


def read_dataset(root: Path, labels: Sequence[str] = LABELS) -> Dataset:
    """Read a data folder's manifest.

    Where it has a column `findings`, films whose `label` is empty are left out: they have findings
    that are none of the labels. Without a column `label` the findings decide: NORMAL for "No
    Finding" alone, else the one label among them; `split` is needed only where there is an
    official test set.

    Args:
        root: the folder; its name decides the origin unless a column `origin` does.
        labels: the labels that the manifest may use.

    Raises:
        DataManifestError: no manifest, a column or a film is missing, a label, split or part is
            unknown, a path leaves the folder, a patient is in two parts, or there are no films.
    """
    path = root / MANIFEST
    rows = manifest_rows(path, ", ".join(COLUMNS))
    by_findings = "findings" in rows[0]
    _refuse_columns(path, rows[0], FINDINGS_COLUMNS if by_findings else COLUMNS)
    name = root.resolve().name
    films, kept = [], []
    for number, row in enumerate(rows, start=2):
        where = f"{path}, line {number}"
        label = _label(row, labels, where)
        if not label:
            continue
        row = _with_split({**row, "label": label}) if by_findings else row
        films.append(_read_film(root.resolve(), row, _origin(row, name), where))
        kept.append(row)
    if not films:
        raise DataManifestError(
            f"{path}: none of the {len(rows)} films has one of the labels {', '.join(labels)}; "
            "expected them in the column label, or among the findings."
        )
    return replace(_dataset(root, kept, films), left_out=len(rows) - len(films))


def _label(row: dict[str, str], labels: Sequence[str], where: str) -> str:
    """Of a film; "" where it has findings that are none of the labels."""
    label = row["label"] if "label" in row else label_of_findings(row["findings"], labels)
    if label not in labels and (label or "findings" not in row):
        raise DataManifestError(
            f"{where}: label {label!r}; expected one of {', '.join(labels)}. "
            "Rename the label or remove the line."
        )
    return label


def label_of_findings(findings: str, labels: Sequence[str]) -> str:
    """The label that a cell of findings amounts to, "" where none or several do.

    NORMAL for "No Finding" alone, else the one label among the findings, in any case of letters.
    """
    words = {word.strip().casefold() for word in findings.split(BETWEEN_FINDINGS)}
    if words == {NO_FINDING}:
        return NORMAL if NORMAL in labels else ""
    named = [label for label in labels if label.casefold() in words]
    return named[0] if len(named) == 1 else ""


def _with_split(row: dict[str, str]) -> dict[str, str]:
    return {**row, "split": row.get("split") or "train"}


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
    rows = manifest_rows(path, ", ".join(COLUMNS))
    _refuse_columns(path, rows[0], FINDINGS_COLUMNS)
    name = root.resolve().name
    films = []
    kept = []
    for number, row in enumerate(rows, start=2):
        found = _row_findings(row, labels)
        if found is None:
            continue
        row = _with_split(row)
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
    split = checked_rule(root / MANIFEST, rows, films)
    return Dataset(name, root, tuple(films), split, origin)


def _refuse_columns(path: Path, row: dict[str, str], needed: Sequence[str]) -> None:
    missing = [c for c in needed if c not in row]
    if missing:
        raise DataManifestError(
            f"{path} has the columns {', '.join(row) or '(none)'}; expected also "
            f"{', '.join(missing)}. Add them: one line a film."
        )


def _read_film(folder: Path, row: dict[str, str], origin: str, where: str) -> DataFilm:
    at = place(row, row["patient"], origin, where)
    return DataFilm(
        path=_inside(folder, row["file"], where),
        label=row.get("label") or "",
        patient=row["patient"],
        patient_key=at.key,
        official=at.official,
        part=at.part,
        age_years=_age(row.get("age", "")),
    )


def _age(text: str) -> float | None:
    """In years; None where it is not told, or no age that a patient can have."""
    match = _AGE.fullmatch(text.strip())
    if match is None:
        return None
    years = float(match[1]) / _A_YEAR[match[2].upper()]
    return years if years <= _OLDEST else None


def _inside(folder: Path, file: str, where: str) -> Path:
    path = (folder / file).resolve()
    if not file or not path.is_relative_to(folder):
        raise DataManifestError(
            f"{where}: file {file!r} is not inside {folder}; expected a path relative to it."
        )
    return path
