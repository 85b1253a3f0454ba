"""The films of a data part, resized once by the shared path and kept as uint8."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...profiles.datasets import Dataset
from ...runtime.errors import DataManifestError
from ...runtime.images import read_film, resize
from ...runtime.spec import InputSpec


@dataclass(frozen=True, eq=False)
class FilmArrays:
    """`pixels` uint8 (N, H, W); `labels` int64 (N,), the index of the label."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    patients: tuple[str, ...]


def load_films(
    data: Dataset,
    spec: InputSpec,
    labels: tuple[str, ...],
    advance: Callable[[], None] = lambda: None,
) -> FilmArrays:
    """Read and resize all films; `advance` is called after each.

    Raises:
        FilmError: a film cannot be read.
        DataManifestError: the part has no films.
    """
    if not data.films:
        raise DataManifestError(
            f"{data.root}: a part of the split has no films; expected films of enough patients "
            "(76 % of them train, 8 % each select, guard and test)."
        )
    pixels = np.empty((len(data.films), spec.height, spec.width), np.uint8)
    for i, film in enumerate(data.films):
        pixels[i] = resize(read_film(film.path, spec.dicom.voi).pixels, spec)
        advance()
    index = np.array([labels.index(f.label) for f in data.films], np.int64)
    return FilmArrays(pixels, index, data.patients())
