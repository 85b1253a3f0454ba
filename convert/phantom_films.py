"""Phantom films where a conversion is given no others, and for the acceptance of every bundle."""

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..runtime.figures import Part
from ..runtime.film import Film
from ..runtime.images import resize
from ..runtime.lungs import Box, crop
from ..runtime.manifest import DataHygiene
from ..runtime.phantom import Phantom, draw, sample
from ..runtime.spec import InputSpec
from .films import PHANTOMS, ConversionFilms, FilmSet

if TYPE_CHECKING:
    from ..models.training.cropping import Crop

_SEED = {"train": 1_000_000, "select": 2_000_000, "guard": 3_000_000}
# Drawing takes time and phantoms are alike: more of them tell nothing more.
COUNT = 64
# A phantom that is larger makes no other picture, only a larger PNG.
_MAX_HEIGHT = 256
# Where lungs usually lie, for phantoms on which the network finds none.
_FIXED = (0.08, 0.12, 0.92, 0.86)
# Crops are brought to one size, so that two of them can be blended.
_CROP_ASPECT = 1.1


def phantom_pixels(drawn: Phantom, spec: InputSpec, cropped: "Crop | None") -> NDArray[np.uint8]:
    """uint8 (h, w) of a phantom drawn no larger than the network can see, 4 : 3.

    With `cropped` its lungs alone, where none are found its middle; all crops have one size.
    """
    height = min(spec.height, _MAX_HEIGHT)
    if cropped is None:
        return _drawn(replace(drawn, height=height, width=round(height * 4 / 3))).pixels
    film = _drawn(replace(drawn, height=round(height * 1.4), width=round(height * 1.4 * 4 / 3)))
    return _one_size(cropped(film) or _middle(film), height)


@lru_cache(maxsize=512)
def _drawn(drawn: Phantom) -> Film:
    """Several conversions of one run draw the same phantoms."""
    return draw(drawn)


def _middle(film: Film) -> Film:
    height, width = film.pixels.shape
    x0, y0, x1, y1 = _FIXED
    box = Box(round(x0 * width), round(y0 * height), round(x1 * width), round(y1 * height))
    return crop(film, box)


def _one_size(film: Film, height: int) -> NDArray[np.uint8]:
    from PIL import Image

    size = (round(height * _CROP_ASPECT), height)
    image = Image.fromarray(film.pixels).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(image)


def phantom_films(
    spec: InputSpec, count: int, hygiene: tuple[DataHygiene, ...], cropped: "Crop | None"
) -> ConversionFilms:
    """Films that calibrate, and show parity; nothing is known of them."""

    def part(name: Part, wanted: int) -> FilmSet:
        seeds = [_SEED[name] + i for i in range(wanted)]
        drawn = [resize(phantom_pixels(sample(seed), spec, cropped), spec) for seed in seeds]
        patients = tuple(f"phantom/{seed}" for seed in seeds)
        return FilmSet(PHANTOMS, name, np.stack(drawn), None, patients, spec)

    return ConversionFilms(
        part("train", min(count, COUNT)), part("select", COUNT), part("guard", COUNT), hygiene
    )
