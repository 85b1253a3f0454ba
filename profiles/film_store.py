"""Films for scoring, again and again: kept in memory as far as that is small."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..runtime.film import Film, FilmSource
from ..runtime.images import read_film, resize
from ..runtime.spec import InputSpec, Voi

KEPT_BYTES = 256 * 1024 * 1024


class Films(Protocol):
    """Films by number."""

    def __len__(self) -> int: ...

    def film(self, number: int) -> Film:
        """The film of that number.

        Raises:
            FilmError: it cannot be read.
        """
        ...


class FilmStore:
    """Whole films; decoded again where they did not fit into `kept_bytes`."""

    def __init__(self, paths: Sequence[Path], voi: Voi, kept_bytes: int = KEPT_BYTES) -> None:
        self._paths, self._voi = tuple(paths), voi
        self._kept: dict[int, Film] = {}
        self._left = kept_bytes

    def __len__(self) -> int:
        return len(self._paths)

    def film(self, number: int) -> Film:
        """As `Films.film`."""
        known = self._kept.get(number)
        if known is not None:
            return known
        film = read_film(self._paths[number], self._voi)
        if film.pixels.nbytes <= self._left:
            self._left -= film.pixels.nbytes
            self._kept[number] = film
        return film


class ResizedFilms:
    """Films at a network's input size, each decoded and resized once.

    The predictor's own resize leaves them as they are.
    """

    def __init__(
        self, paths: Sequence[Path], spec: InputSpec, progress: Callable[[int, int, str], None]
    ) -> None:
        self._pixels: NDArray[np.uint8] = np.empty((len(paths), spec.height, spec.width), np.uint8)
        for number, path in enumerate(paths):
            progress(number, len(paths), "reading films")
            self._pixels[number] = resize(read_film(path, spec.dicom.voi).pixels, spec)
        progress(len(paths), len(paths), "reading films")

    def __len__(self) -> int:
        return len(self._pixels)

    def film(self, number: int) -> Film:
        """As `Films.film`."""
        return Film(self._pixels[number], None, FilmSource("array", "resized"))
