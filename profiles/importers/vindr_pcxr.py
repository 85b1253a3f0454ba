"""VinDr-PCXR (Pham et al. 2022, doi 10.13026/k8qc-na36): children's films in DICOM, 15 labels.

Where several radiologists read a film, a finding counts with more than half of them, or with any
of them, as asked for; so does a pneumonia of either kind. A film is normal where more than half see
no finding and none of the five counts.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ...runtime.errors import DataError
from ..datasets import BETWEEN_FINDINGS, LABELS
from ..measure import Progress
from .found import (
    Bad,
    Found,
    Importer,
    Readers,
    Row,
    by_name,
    films_in,
    find_root,
    read_table,
)

LAYOUT = (
    "the folders train and test with .dicom files, image_labels_train.csv and image_labels_test.csv"
)
FINDINGS = ("Bronchitis", "Broncho-pneumonia", "Other disease", "Bronchiolitis", "Pneumonia")
# The tables' own spelling.
_OWN = {name: name for name in FINDINGS} | {"Broncho-pneumonia": "Brocho-pneumonia"}
_PNEUMONIAS = ("Pneumonia", "Broncho-pneumonia")
_NONE_SEEN = "No finding"
NORMAL, PNEUMONIA = LABELS
_TRUE, _FALSE = ("1", "1.0"), ("0", "0.0", "")


def read(source: Path, readers: Readers, progress: Progress) -> Found:
    """Find the films and read the labels and the header of each.

    Raises:
        DataError: a folder or table is missing or malformed.
    """
    marks = ("train", "test", "image_labels_train.csv", "image_labels_test.csv")
    root = find_root(source, marks, LAYOUT)
    rows, bad = [], []
    for part in ("train", "test"):
        more, worse = _read_part(root, part, readers, progress)
        rows += more
        bad += worse
    return Found(
        root=root,
        columns=("label", "findings", "patient", "split", "readers", "origin"),
        group="findings",
        rows=tuple(rows),
        bad=tuple(bad),
        notes=(
            "files without a patient number count as a patient each; two films of one child may "
            "then fall into different parts",
            f"a finding counts with {'any' if readers == 'any' else 'more than half'} of a "
            "film's readers; labels beyond the five are left aside",
            "the label is NORMAL, PNEUMONIA (broncho-pneumonia too), or empty where it is neither",
        ),
    )


def _read_part(
    root: Path, part: str, readers: Readers, progress: Progress
) -> tuple[list[Row], list[Bad]]:
    rows, bad = [], []
    table = root / f"image_labels_{part}.csv"
    films = by_name(films_in(root / part), stem=True)
    lines = read_table(table, ("image_id",))
    columns = _columns(lines[0], table)
    read_by = _readings(lines)
    for number, (image, readings) in enumerate(read_by.items()):
        progress(number, len(read_by), f"reading {part}")
        film = films.get(image)
        if film is None:
            bad.append(Bad(f"{part}/{image}", f"{table.name} names it; no such file"))
            continue
        try:
            found = _findings(readings, columns, readers)
            label = _label(readings, columns, readers)
            patient = _patient(film) or image
        except DataError as err:
            bad.append(Bad(str(film.relative_to(root)), str(err)))
            continue
        values = {
            "label": label,
            "findings": BETWEEN_FINDINGS.join(found),
            "patient": patient,
            "split": part,
            "readers": str(len(readings)),
            "origin": "vindr-pcxr",
        }
        rows.append(Row(film, values))
    for image in sorted(films.keys() - read_by.keys()):
        name = str(films[image].relative_to(root))
        bad.append(Bad(name, f"{table.name} has no row for it"))
    return rows, bad


def _columns(row: Mapping[str, str], table: Path) -> dict[str, str]:
    """The table's own name of each finding, and of having none."""
    found = {}
    for name, own in (*_OWN.items(), (_NONE_SEEN, _NONE_SEEN)):
        column = next((c for c in (name.lower(), own.lower()) if c in row), None)
        if column is None:
            raise DataError(
                f"{table} has the columns {', '.join(row)}; expected also {own}. Is it the file of "
                "the set as it was downloaded?"
            )
        found[name] = column
    return found


def _readings(rows: Sequence[dict[str, str]]) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        found.setdefault(row["image_id"], []).append(row)
    return found


def _findings(
    readings: Sequence[Mapping[str, str]], columns: Mapping[str, str], readers: Readers
) -> tuple[str, ...]:
    needed = _needed(readings, readers)
    return tuple(name for name in FINDINGS if _votes(readings, columns, (name,)) >= needed)


def _label(
    readings: Sequence[Mapping[str, str]], columns: Mapping[str, str], readers: Readers
) -> str:
    """NORMAL or PNEUMONIA, "" where it is neither."""
    well = _votes(readings, columns, (_NONE_SEEN,)) >= _needed(readings, "majority")
    if _votes(readings, columns, _PNEUMONIAS) >= _needed(readings, readers):
        return PNEUMONIA
    return NORMAL if well and not _findings(readings, columns, readers) else ""


def _needed(readings: Sequence[Mapping[str, str]], readers: Readers) -> int:
    return 1 if readers == "any" else len(readings) // 2 + 1


def _votes(
    readings: Sequence[Mapping[str, str]], columns: Mapping[str, str], names: Sequence[str]
) -> int:
    """How many readers marked one of these."""
    marked = 0
    for reading in readings:
        cells = {name: reading[columns[name]] for name in names}
        for name, cell in cells.items():
            if cell not in (*_TRUE, *_FALSE):
                raise DataError(f"{name} is {cell!r}; expected 0 or 1")
        marked += any(cell in _TRUE for cell in cells.values())
    return marked


def _patient(film: Path) -> str:
    """The patient's number in a DICOM header, "" where there is none.

    Raises:
        DataError: the file is no DICOM, or pydicom is not installed.
    """
    if film.suffix.lower() not in (".dicom", ".dcm"):
        return ""
    try:
        import pydicom
    except ImportError as err:
        raise DataError("pydicom is not installed; install clinicedge[dicom]") from err
    try:
        header = pydicom.dcmread(film, specific_tags=["PatientID"], stop_before_pixels=True)
    except (OSError, pydicom.errors.InvalidDicomError) as err:
        raise DataError(f"its DICOM header cannot be read: {err}") from err
    return str(header.get("PatientID", "")).strip()


IMPORTER = Importer(
    "vindr-pcxr",
    f"VinDr-PCXR: children's films in DICOM; {', '.join(FINDINGS)}",
    LAYOUT,
    read,
)
