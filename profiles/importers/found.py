"""What an importer finds in a folder as it was downloaded, before anything is written."""

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...runtime.errors import DataError
from ..measure import Progress

Readers = Literal["majority", "any"]
Split = Literal["stratified", "hash"]
FILM_SUFFIXES = (".jpeg", ".jpg", ".png", ".dicom", ".dcm")
# What archives and file managers leave behind.
_LITTER = ("__MACOSX", "Thumbs.db", "desktop.ini")
_SHOWN = 5


@dataclass(frozen=True)
class Shape:
    """Part of a mask: corners (x, y) of a polygon, or two opposite ones of a rectangle."""

    kind: Literal["polygon", "rectangle"]
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Drawing:
    """A mask to draw: `size` (width, height) of the film in pixels; no shapes, nothing there."""

    size: tuple[int, int]
    shapes: tuple[Shape, ...]


@dataclass(frozen=True)
class Row:
    """A film and what the manifest says of it, by column."""

    film: Path
    values: Mapping[str, str]
    drawing: Drawing | None = None


@dataclass(frozen=True)
class BoxRow:
    """A box on a film: corners in pixels of the original, whose size is (width, height)."""

    film: Path
    label: str
    corners: tuple[float, float, float, float]
    size: tuple[str, str]


@dataclass(frozen=True)
class Bad:
    """A file that cannot be taken, and why."""

    file: str
    reason: str


@dataclass(frozen=True)
class Found:
    """All that was found.

    Attributes:
        root: the folder that the files lie in, the one asked for or inside it.
        columns: of the manifest, without `file` and `mask`.
        group: the column whose values the report counts in each part; "|" joins several.
        notes: what a user should know of this set.
    """

    root: Path
    columns: tuple[str, ...]
    group: str
    rows: tuple[Row, ...]
    bad: tuple[Bad, ...] = ()
    boxes: tuple[BoxRow, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Importer:
    """A public set: `layout` shows what its folder holds, for help and refusals.

    `stratified`: it names no patients, so its parts may be stratified by the report's column.
    """

    name: str
    what: str
    layout: str
    read: Callable[[Path, Readers, Progress], Found]
    stratified: bool = False


def find_root(source: Path, marks: Sequence[str], layout: str) -> Path:
    """`source`, or the nearest folder up to two levels inside it, that holds all of `marks`.

    Raises:
        DataError: there is none.
    """
    near = sorted(_folders(source))
    for folder in (source, *near, *(f for n in near for f in sorted(_folders(n)))):
        if all((folder / mark).exists() for mark in marks):
            return folder
    seen = ", ".join(p.name for p in sorted(source.iterdir())[:_SHOWN]) if source.is_dir() else ""
    raise DataError(
        f"{source} holds {seen or 'nothing that can be read'}; expected {layout}. Unpack the "
        "download and name its folder."
    )


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [p for p in folder.iterdir() if p.is_dir() and not _is_litter(p)]


def _is_litter(path: Path) -> bool:
    return path.name.startswith(".") or path.name in _LITTER


def films_in(folder: Path) -> list[Path]:
    """All image files in a folder and below, sorted; hidden files and litter left aside."""
    found = []
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.suffix.lower() in FILM_SUFFIXES and not any(
            _is_litter(Path(part)) for part in inside.parts
        ):
            found.append(path)
    return found


def by_name(films: Iterable[Path], stem: bool = False) -> dict[str, Path]:
    """Films by file name, or by its stem.

    Raises:
        DataError: two have the same name.
    """
    found: dict[str, Path] = {}
    for film in films:
        name = film.stem if stem else film.name
        if name in found:
            raise DataError(
                f"{found[name]} and {film} have the same name; expected each film once. Remove "
                "the copy."
            )
        found[name] = film
    return found


def read_table(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a CSV file; column names are compared without case.

    Raises:
        DataError: it cannot be read, lacks a column or has no rows.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            return checked_rows(list(csv.reader(stream)), columns, path)
    except (OSError, UnicodeDecodeError, csv.Error) as err:
        raise DataError(f"cannot read {path}: {err}. Expected the CSV file of the set.") from err


def checked_rows(
    lines: Sequence[Sequence[str]], columns: Sequence[str], path: Path
) -> list[dict[str, str]]:
    """Lines below a line of column names, as dicts with lower-case keys."""
    head = [cell.strip().lower() for cell in lines[0]] if lines else []
    missing = [c for c in columns if c.lower() not in head]
    if missing:
        raise DataError(
            f"{path} has the columns {', '.join(head) or '(none)'}; expected also "
            f"{', '.join(missing)}. Is it the file of the set as it was downloaded?"
        )
    rows = [
        {**dict.fromkeys(head, ""), **dict(zip(head, (c.strip() for c in line), strict=False))}
        for line in lines[1:]
        if any(cell.strip() for cell in line)
    ]
    if not rows:
        raise DataError(f"{path} has no rows; expected one a film.")
    return rows
