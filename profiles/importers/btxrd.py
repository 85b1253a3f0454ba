"""BTXRD (Yao et al. 2025, doi 10.1038/s41597-024-04311-y): bone tumours, outlined with LabelMe.

The set names no patients, and the films of one lie beside each other: 20 neighbours are a block
that stays together in every split.
"""

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from ...runtime.errors import DataError
from ..measure import Progress
from .found import (
    Bad,
    Drawing,
    Found,
    Importer,
    Readers,
    Row,
    Shape,
    by_name,
    checked_rows,
    films_in,
    find_root,
    read_table,
)
from .xlsx import read_cells

LAYOUT = "the folders images and Annotations, and dataset.csv or dataset.xlsx"
TYPES = (
    "osteochondroma",
    "multiple osteochondromas",
    "simple bone cyst",
    "giant cell tumor",
    "osteofibroma",
    "synovial osteochondroma",
    "other bt",
    "osteosarcoma",
    "other mt",
)
NO_TUMOR = "none"
_BLOCK = 20
_NAME = re.compile(r"IMG(\d+)", re.IGNORECASE)
_MAX_JSON = 32 * 1024 * 1024
_ORIENTATION = 0x0112


def read(source: Path, _readers: Readers, progress: Progress) -> Found:
    """Find the films, their types and outlines.

    Raises:
        DataError: a folder or the table is missing or malformed.
    """
    root = find_root(source, ("images", "Annotations"), LAYOUT)
    films = by_name(films_in(root / "images"), stem=True)
    table = {Path(r["image_id"]).stem: r for r in _table(root)}
    rows, bad = [], []
    for number, (name, film) in enumerate(films.items()):
        progress(number, len(films), "reading outlines")
        try:
            rows.append(_row(root, film, table.get(name)))
        except DataError as err:
            bad.append(Bad(str(film.relative_to(root)), str(err)))
    bad += [
        Bad(f"images/{name}", "the table names it; no such file")
        for name in sorted(table.keys() - films.keys())
    ]
    return Found(
        root=root,
        columns=("label", "tumor_type", "block", "origin"),
        group="tumor_type",
        rows=tuple(rows),
        bad=tuple(bad),
        notes=(
            f"the set names no patients: {_BLOCK} neighbouring films are a block, split together",
        ),
    )


def _table(root: Path) -> list[dict[str, str]]:
    columns = ("image_id", "tumor")
    if (root / "dataset.csv").is_file():
        return read_table(root / "dataset.csv", columns)
    path = root / "dataset.xlsx"
    if path.is_file():
        return checked_rows(read_cells(path), columns, path)
    raise DataError(f"{root} has neither dataset.csv nor dataset.xlsx; expected {LAYOUT}.")


def _row(root: Path, film: Path, facts: Mapping[str, str] | None) -> Row:
    number = _NAME.fullmatch(film.stem)
    if number is None:
        raise DataError("its name has no number; expected IMG000001.jpeg")
    if facts is None:
        raise DataError("the table has no row for it")
    types = [name for name in TYPES if _yes(facts, name)]
    tumor = _yes(facts, "tumor")
    outline = root / "Annotations" / f"{film.stem}.json"
    if tumor != outline.is_file() or (types and not tumor):
        raise DataError(
            f"the table says tumor {facts['tumor']} ({', '.join(types) or 'no type'}), "
            f"{outline.name} is {'there' if outline.is_file() else 'missing'}; expected an "
            "outline for each tumour and no other"
        )
    size = _size(film)
    shapes = _shapes(outline, size) if tumor else ()
    values = {
        "label": "tumor" if tumor else "normal",
        "tumor_type": "|".join(types) or ("unknown" if tumor else NO_TUMOR),
        "block": f"btx{int(number[1]) // _BLOCK}",
        # The same films as in folders of that name, so that their patients are known there too.
        "origin": "btxrd256",
    }
    return Row(film, values, Drawing(size, shapes))


def _yes(facts: Mapping[str, str], column: str) -> bool:
    value = facts.get(column, "").strip()
    if value not in ("", "0", "1", "0.0", "1.0"):
        raise DataError(f"{column} is {value!r}; expected 0 or 1")
    return value.startswith("1")


def _size(film: Path) -> tuple[int, int]:
    """(width, height) as the film is shown."""
    try:
        with Image.open(film) as image:
            turned = image.getexif().get(_ORIENTATION, 1) >= 5
            return (image.height, image.width) if turned else image.size
    except (OSError, SyntaxError, ValueError) as err:
        raise DataError(f"the image cannot be read: {err}") from err


def _shapes(path: Path, size: tuple[int, int]) -> tuple[Shape, ...]:
    content = _read_json(path)
    said = (content.get("imageWidth"), content.get("imageHeight"))
    if said != size and said != (None, None):
        raise DataError(
            f"{path.name} outlines an image of {said[0]} x {said[1]} pixels, the film has "
            f"{size[0]} x {size[1]}; expected the same"
        )
    shapes = content.get("shapes")
    if not isinstance(shapes, list) or not shapes:
        raise DataError(f"{path.name} has no shapes; expected one at least")
    return tuple(_shape(shape, path.name) for shape in shapes)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MAX_JSON:
            raise DataError(f"{path.name} has {path.stat().st_size} bytes; that is no outline")
        content = json.loads(path.read_bytes())
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as err:
        raise DataError(f"{path.name} is not JSON: {err}") from err
    if not isinstance(content, dict):
        raise DataError(f"{path.name} is no LabelMe file; expected an object with shapes")
    return content


def _shape(shape: Any, name: str) -> Shape:
    kind = shape.get("shape_type", "polygon") if isinstance(shape, dict) else None
    if kind not in ("polygon", "rectangle"):
        raise DataError(f"{name}: a shape is a {kind!r}; expected polygon or rectangle")
    try:
        points = tuple((float(x), float(y)) for x, y in shape["points"])
    except (KeyError, TypeError, ValueError) as err:
        raise DataError(f"{name}: points are not pairs of numbers ({err})") from err
    if not all(math.isfinite(v) for p in points for v in p):
        raise DataError(f"{name}: a point is not finite")
    if (kind == "polygon" and len(points) < 3) or (kind == "rectangle" and len(points) != 2):
        raise DataError(
            f"{name}: a {kind} of {len(points)} points; expected "
            f"{'3 or more' if kind == 'polygon' else '2'}"
        )
    return Shape(kind, points)


IMPORTER = Importer(
    "btxrd", "BTXRD: bone tumours with masks, 9 tumour types", LAYOUT, read, stratified=True
)
