"""The cells of a spreadsheet's first sheet (ECMA-376 Part 1, 18.3), no more than a table needs."""

import re
import zipfile
from pathlib import Path
from xml.etree import ElementTree

from ...runtime.errors import DataError

_MAX_BYTES = 64 * 1024 * 1024
_SHEET, _STRINGS = "xl/worksheets/sheet1.xml", "xl/sharedStrings.xml"
_SPACE = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def read_cells(path: Path) -> list[list[str]]:
    """The lines of the first sheet as text; empty cells are "".

    Raises:
        DataError: it is no such file.
    """
    try:
        with zipfile.ZipFile(path) as book:
            names = book.namelist()
            strings = _strings(book) if _STRINGS in names else []
            sheet = _parse(book, _SHEET)
        return [_line(row, strings) for row in sheet.iter(f"{_SPACE}row")]
    except (OSError, KeyError, IndexError, ValueError, zipfile.BadZipFile) as err:
        raise _unreadable(path, err) from err
    except ElementTree.ParseError as err:
        raise _unreadable(path, err) from err


def _unreadable(path: Path, err: Exception) -> DataError:
    return DataError(
        f"cannot read {path}: {err}. Expected an .xlsx file; save it as .csv beside it."
    )


def _parse(book: zipfile.ZipFile, name: str) -> ElementTree.Element:
    if book.getinfo(name).file_size > _MAX_BYTES:
        raise ValueError(f"{name} is larger than {_MAX_BYTES} bytes")
    data = book.read(name)
    if b"<!DOCTYPE" in data:
        raise ValueError(f"{name} declares a document type")
    return ElementTree.fromstring(data)


def _strings(book: zipfile.ZipFile) -> list[str]:
    return [_text(item) for item in _parse(book, _STRINGS).iter(f"{_SPACE}si")]


def _text(element: ElementTree.Element) -> str:
    return "".join(t.text or "" for t in element.iter(f"{_SPACE}t"))


def _line(row: ElementTree.Element, strings: list[str]) -> list[str]:
    cells: list[str] = []
    for cell in row.iter(f"{_SPACE}c"):
        column = _column(cell.get("r", "")) if cell.get("r") else len(cells)
        cells += [""] * (column - len(cells))
        value = cell.findtext(f"{_SPACE}v") or ""
        if cell.get("t") == "s":
            value = strings[int(value)]
        elif cell.get("t") == "inlineStr":
            value = _text(cell)
        cells.append(value)
    return cells


def _column(reference: str) -> int:
    """0 of "A12"; at most "XFD", the last that the format has."""
    match = re.fullmatch(r"([A-Z]{1,3})\d+", reference)
    if match is None:
        raise ValueError(f"a cell is called {reference!r}")
    number = 0
    for letter in match[1]:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1
