"""The films of a data part, resized once by the shared path and kept as uint8."""

from collections.abc import Callable
from dataclasses import dataclass

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
    """Read, crop and resize all films; `advance` is called after each.

    A film on which `cropped` finds nothing is left out: the device gives it no score.

    Raises:
        FilmError: a film cannot be read.
        DataManifestError: the part has no films.
    """
    if not data.films:
        raise DataManifestError(
            f"{data.root}: a part of the split has no films; expected films of enough patients "
            "(76 % of them train, 8 % each select, guard and test)."
        )
    pixels, labelled = [], []
    for film in data.films:
        read: Film | None = read_film(film.path, spec.dicom.voi)
        if cropped is not None and read is not None:
            read = cropped(read)
        advance()
        if read is not None:
            pixels.append(resize(read.pixels, spec))
            labelled.append(film)
    index = np.array([labels.index(f.label) for f in labelled], np.int64)
    return FilmArrays(np.stack(pixels), index, tuple(f.patient_key for f in labelled))
