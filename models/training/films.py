"""The films of a data part, resized once by the shared path and kept as uint8."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...profiles.datasets import Dataset
from ...runtime.errors import DataManifestError
from ...runtime.film import Film
from ...runtime.images import read_film, resize
from ...runtime.spec import InputSpec
from .cropping import Crop


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
    cropped: Crop | None = None,
) -> FilmArrays:
    """Read, crop and resize all films, see `read_films`.

    Raises:
        FilmError: a film cannot be read.
        DataManifestError: the part has no films.
    """
    pixels, kept = read_films(data, spec, advance, cropped)
    index = np.array([labels.index(f.label) for f in kept.films], np.int64)
    return FilmArrays(pixels, index, kept.patients())


def read_films(
    data: Dataset, spec: InputSpec, advance: Callable[[], None], cropped: Crop | None
) -> tuple[NDArray[np.uint8], Dataset]:
    """Pixels uint8 (N, H, W) and the films that they are of; `advance` is called after each.

    A film on which `cropped` finds nothing is left out: the device gives it no score.

    Raises:
        FilmError: a film cannot be read.
        DataManifestError: the part has no films, or none with lungs.
    """
    if not data.films:
        raise DataManifestError(
            f"{data.root}: a part of the split has no films; expected films of enough patients "
            "(76 % of them train, 8 % each select, guard and test)."
        )
    pixels, kept = [], []
    for film in data.films:
        read: Film | None = read_film(film.path, spec.dicom.voi)
        if cropped is not None and read is not None:
            read = cropped(read)
        advance()
        if read is not None:
            pixels.append(resize(read.pixels, spec))
            kept.append(film)
    if not pixels:
        raise DataManifestError(
            f"{data.root}: lungs were found on none of {len(data.films)} films of a part; "
            "expected frontal chest films."
        )
    return np.stack(pixels), replace(data, films=tuple(kept))
