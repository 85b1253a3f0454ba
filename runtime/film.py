"""A decoded radiograph."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

FilmFormat = Literal["png", "jpeg", "dicom", "phantom", "array"]


@dataclass(frozen=True)
class FilmSource:
    """Where a film came from.

    `sha256` is of the file's bytes, None for films made in memory. `body_part` and `modality`
    are DICOM's (0018,0015), else the meaning of the region (0008,2218), and (0008,0060), None where
    the file does not say. `notes` tell what was done that a reader should know, e.g. "inverted:
    MONOCHROME1".
    """

    format: FilmFormat
    name: str
    sha256: str | None = None
    body_part: str | None = None
    modality: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Film:
    """A film ready for preprocessing.

    Attributes:
        pixels: uint8 (H, W), 0 = black, C-contiguous.
        spacing_mm: (row, column) distance of pixel centres in millimetres, None where unknown.
        source: where it came from.
    """

    pixels: NDArray[np.uint8]
    spacing_mm: tuple[float, float] | None
    source: FilmSource
