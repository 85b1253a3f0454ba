"""A map against a region that is known: pointing game and relevance mass."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import DataError, DataManifestError
from ..hiding import Bools
from ..masks import MaskFilm, read_mask_pixels
from .records import RegionKind

BOXES = "boxes.csv"
_COLUMNS = ("file", "label", "x1", "y1", "x2", "y2", "width", "height")
# Folder and name tell a film in most sets.
_TELLING_PARTS = 2


@dataclass(frozen=True)
class RegionFigures:
    """One map against one region.

    Attributes:
        mass: share of the map's weight inside the region, 0..1.
        hit: whether its strongest place lies inside.
        area: share of what the network was shown that the region covers: the mass of a map that
            says the same everywhere.
    """

    mass: float
    hit: bool
    area: float


def against(values: NDArray[np.float32], region: Bools, shown: Bools) -> RegionFigures | None:
    """Pointing game (Zhang et al. 2016, arXiv:1608.00507, without its tolerance of 15 pixels) and
    relevance mass (Arras et al. 2022, Information Fusion 81, relevance mass accuracy).

    Args:
        values: float32 (H, W), 0..1, the map at the film's size.
        region, shown: bool (H, W); `shown` is the part of the film that the network looked at.

    Returns:
        None where the map is empty or the region has no pixel.
    """
    total = float(values.sum(dtype=np.float64))
    if not total > 0 or not region.any():
        return None
    at = np.unravel_index(int(np.argmax(values)), values.shape)
    area = float((region & shown).sum()) / float(shown.sum())
    return RegionFigures(
        mass=min(1.0, float(values[region].sum(dtype=np.float64)) / total),
        hit=bool(region[at]),
        area=area,
    )


class TrueRegions(Protocol):
    """Where findings truly are."""

    @property
    def source(self) -> str:
        """In words."""
        ...

    @property
    def kind(self) -> RegionKind:
        """What the regions are."""
        ...

    def region(self, path: Path, label: str, size: tuple[int, int]) -> Bools | None:
        """Of a film, bool (H, W) of `size`; None where there is none."""
        ...


class TrueMasks:
    """The masks of a data folder's own films; pixels in doubt count as inside."""

    kind: RegionKind = "masks"

    def __init__(self, name: str, films: Iterable[MaskFilm]) -> None:
        """`name`: of the data folder."""
        self.source = f"the true masks of {name}"
        self._films = {film.path: film for film in films}

    def region(self, path: Path, _label: str, size: tuple[int, int]) -> Bools | None:
        """The mask, None where it is empty.

        Raises:
            DamagedFilmError: the mask cannot be read.
            DataError: it has another size than its film.
        """
        film = self._films[path]
        found = read_mask_pixels(film) > 0
        if found.shape != size:
            raise DataError(
                f"the mask {film.mask} has {found.shape[1]} x {found.shape[0]} pixels, its film "
                f"{size[1]} x {size[0]}; expected the same size."
            )
        return found if found.any() else None


class Boxes:
    """The boxes of `boxes.csv` in a folder: file, label, x1, y1, x2, y2 in pixels of a film of
    width x height."""

    kind: RegionKind = "boxes"

    def __init__(self, root: Path) -> None:
        """
        Raises:
            DataManifestError: there is no such file, or a line is not as expected.
        """
        path = root / BOXES
        try:
            with path.open(newline="", encoding="utf-8-sig") as stream:
                rows = list(csv.DictReader(stream, restval=""))
        except (OSError, UnicodeDecodeError, csv.Error) as err:
            raise DataManifestError(
                f"cannot read {path}: {err}. Expected a UTF-8 CSV file with the columns "
                f"{', '.join(_COLUMNS)}."
            ) from err
        missing = [c for c in _COLUMNS if not rows or c not in rows[0]]
        if missing:
            raise DataManifestError(
                f"{path} has no {', '.join(missing)}; expected the columns {', '.join(_COLUMNS)} "
                "and a line a box."
            )
        self.source = f"the boxes of {root.resolve().name}"
        self._by_film: dict[tuple[str, ...], list[tuple[str, tuple[float, ...]]]] = {}
        for number, row in enumerate(rows, 2):
            box = _read(row, f"{path}, line {number}")
            self._by_film.setdefault(_tail(root / row["file"]), []).append((row["label"], box))

    def region(self, path: Path, label: str, size: tuple[int, int]) -> Bools | None:
        """Everything inside a box of that label, bool (H, W) of `size`; None where there is none.

        Upper and lower case are the same.
        """
        found = np.zeros(size, bool)
        height, width = size
        for name, (x1, y1, x2, y2) in self._by_film.get(_tail(path), []):
            if name.casefold() == label.casefold():
                rows = slice(int(y1 * height), max(int(y1 * height) + 1, round(y2 * height)))
                columns = slice(int(x1 * width), max(int(x1 * width) + 1, round(x2 * width)))
                found[rows, columns] = True
        return found if found.any() else None


def _read(row: dict[str, str], where: str) -> tuple[float, float, float, float]:
    """(x1, y1, x2, y2) as shares of the film."""
    try:
        x1, y1, x2, y2, width, height = (float(row[c]) for c in _COLUMNS[2:])
    except ValueError as err:
        raise DataManifestError(f"{where}: {err}; expected six numbers.") from err
    if not (0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height):
        raise DataManifestError(
            f"{where}: the box {x1:g}, {y1:g}, {x2:g}, {y2:g} does not lie on a film of "
            f"{width:g} x {height:g} pixels; expected 0 <= x1 < x2 <= width, and y likewise."
        )
    return x1 / width, y1 / height, x2 / width, y2 / height


def _tail(path: Path) -> tuple[str, ...]:
    return (*path.parts[-_TELLING_PARTS:-1], path.stem)
