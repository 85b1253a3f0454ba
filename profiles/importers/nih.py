"""NIH ChestX-ray14 (Wang et al. 2017): text-mined findings, boxes on some films.

A film without a finding is NORMAL, one with pneumonia PNEUMONIA, whatever else it shows; films of
other findings have no label, so that a chest classifier can be evaluated on the rest.
"""

from pathlib import Path

from ...runtime.errors import DataError
from ..datasets import BETWEEN_FINDINGS, LABELS, label_of_findings
from ..measure import Progress
from .found import (
    Bad,
    BoxRow,
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
    "Data_Entry_2017.csv and the folder images (or images_001 to images_012), perhaps "
    "BBox_List_2017.csv, train_val_list.txt and test_list.txt"
)
_TABLES = ("Data_Entry_2017.csv", "Data_Entry_2017_v2020.csv")
_COLUMNS = ("Image Index", "Finding Labels", "Patient ID")
_BOXES = "BBox_List_2017.csv"
_NONE = "no finding"
# The table calls two findings otherwise than the boxes do.
_SPELLING = {"Infiltrate": "Infiltration", "Pleural_Thickening": "Pleural thickening"}


def read(source: Path, _readers: Readers, progress: Progress) -> Found:
    """Find the films and read the tables.

    Films of the table that are not there are left aside: the set comes in twelve archives.

    Raises:
        DataError: the table is missing or malformed, or none of its films is there.
    """
    root, table = _root(source)
    films = by_name(films_in(root))
    rows = read_table(root / table, _COLUMNS)
    tests = _test_films(root)
    taken: list[Row] = []
    sizes: dict[str, tuple[str, str]] = {}
    for number, row in enumerate(rows):
        progress(number, len(rows), "reading the table")
        film = films.pop(row["image index"], None)
        if film is None:
            continue
        taken.append(_row(film, row, tests))
        sizes[film.name] = (row.get("originalimage[width", ""), row.get("height]", ""))
    if not taken:
        raise DataError(
            f"none of the {len(rows)} films of {root / table} is in {root}; expected {LAYOUT}."
        )
    return Found(
        root=root,
        columns=("label", "findings", "patient", "age", "sex", "view", "split", "origin"),
        group="findings",
        rows=tuple(taken),
        bad=tuple(
            Bad(str(f.relative_to(root)), f"{table} has no row for it") for f in films.values()
        ),
        boxes=_boxes(root, {r.film.name: r.film for r in taken}, sizes),
        notes=_notes(taken, len(rows) - len(taken), bool(tests)),
    )


def _notes(taken: list[Row], left: int, tests: bool) -> tuple[str, ...]:
    """What to know of the films; `left` are in the table alone."""
    return (
        f"{left} films of the table are not in the folder, left aside",
        "findings were mined from reports, pneumonia among the least reliable; most films are "
        "of adults, outside the intended use of models for children",
        f"{sum(not r.values['label'] for r in taken)} films have findings other than "
        "pneumonia: no label, left out where NORMAL and PNEUMONIA are asked for",
        "the official test list was used" if tests else "no test_list.txt: all films are train",
    )


def _root(source: Path) -> tuple[Path, str]:
    for table in _TABLES[1:]:
        if (source / table).is_file():
            return source, table
    return find_root(source, (_TABLES[0],), LAYOUT), _TABLES[0]


def _row(film: Path, row: dict[str, str], tests: frozenset[str]) -> Row:
    found = [_SPELLING.get(w, w) for w in (x.strip() for x in row["finding labels"].split("|"))]
    values = {
        "label": label_of_findings(row["finding labels"], LABELS),
        "findings": BETWEEN_FINDINGS.join(w for w in found if w and w.lower() != _NONE),
        "patient": row["patient id"],
        "age": row.get("patient age", ""),
        "sex": row.get("patient gender", row.get("patient sex", "")),
        "view": row.get("view position", ""),
        "split": "test" if film.name in tests else "train",
        "origin": "nih",
    }
    return Row(film, values)


def _test_films(root: Path) -> frozenset[str]:
    path = root / "test_list.txt"
    if not path.is_file():
        return frozenset()
    try:
        return frozenset(path.read_text(encoding="utf-8").split())
    except UnicodeDecodeError as err:
        raise DataError(f"cannot read {path}: {err}. Expected one file name a line.") from err


def _boxes(
    root: Path, films: dict[str, Path], sizes: dict[str, tuple[str, str]]
) -> tuple[BoxRow, ...]:
    """Boxes of the films that are there; the head of that table is `Bbox [x,y,w,h]`, cut apart."""
    path = root / _BOXES
    if not path.is_file():
        return ()
    found = []
    for number, row in enumerate(read_table(path, ("Image Index", "Finding Label")), start=2):
        film = films.get(row["image index"])
        if film is None:
            continue
        try:
            x, y, width, height = (float(row[c]) for c in ("bbox [x", "y", "w", "h]"))
        except (KeyError, ValueError) as err:
            raise DataError(
                f"{path}, line {number}: the box is not four numbers ({err}); expected the columns "
                "Bbox [x,y,w,h]."
            ) from err
        label = _SPELLING.get(row["finding label"], row["finding label"])
        corners = (x, y, x + width, y + height)
        found.append(BoxRow(film, label, corners, sizes[film.name]))
    return tuple(found)


IMPORTER = Importer(
    "nih", "NIH ChestX-ray14: 14 text-mined findings, boxes on some films", LAYOUT, read
)
