"""Grey films in colour's clothes, and colour photographs.

The limits were measured: benchmarks/colour_limit.py, docs/decisions/0002-colour-limit.md.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .errors import FilmColourError

if TYPE_CHECKING:
    from PIL.Image import Image

SATURATION_LIMIT = 0.04
TINT_LIMIT = 0.35
_SIDE = 128
_LEVELS = 16


def saturation(rgb: NDArray[np.uint8]) -> tuple[float, float]:
    """How colourful uint8 (H, W, 3) is: (mean saturation beyond the tint, mean saturation).

    The saturation of a pixel is (max - min) / 255 of its three values. A tint, i.e. a colour
    that depends on the brightness alone (blue film base, warm lamp), is taken out for the first
    number: the mean colour of each of 16 brightness levels is subtracted.
    """
    planes = [plane.astype(np.float64).ravel() for plane in np.moveaxis(rgb, -1, 0)]
    total = planes[0] + planes[1] + planes[2]
    level = (total * (_LEVELS / (3 * 256))).astype(np.intp)
    counts = np.maximum(np.bincount(level, minlength=_LEVELS), 1)
    beyond = []
    for plane in planes:
        off_grey = plane - total / 3
        tint = np.bincount(level, off_grey, minlength=_LEVELS) / counts
        beyond.append(off_grey - tint[level])
    return _mean_spread(beyond), _mean_spread(planes)


def _mean_spread(planes: list[NDArray[np.float64]]) -> float:
    red, green, blue = planes
    high = np.maximum(np.maximum(red, green), blue)
    return float((high - np.minimum(np.minimum(red, green), blue)).mean() / 255)


def small(image: "Image") -> NDArray[np.uint8]:
    """uint8 (h, w, 3) of an RGB image at about 128 pixels, without its noise."""
    return np.asarray(image.reduce(max(1, max(image.size) // _SIDE)))


def grey(image: "Image", name: str) -> "Image":
    """The 8-bit grey of an RGB film (ITU-R 601; R = G = B keeps its bits).

    Raises:
        FilmColourError: the image is a colour photograph.
    """
    beyond, all_ = saturation(small(image))
    if beyond > SATURATION_LIMIT or all_ > TINT_LIMIT:
        raise FilmColourError(
            f"'{name}' is a colour picture: mean saturation {beyond:.3f} beyond its tint, "
            f"{all_:.3f} in all; a film has at most {SATURATION_LIMIT} and {TINT_LIMIT}. "
            "Send the radiograph itself, or a photograph that shows nothing but the film."
        )
    return image.convert("L")
