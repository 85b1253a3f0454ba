"""Regions drawn on a film."""

import numpy as np
from numpy.typing import NDArray

from .film import Film
from .predictions import Segmentation

_LINE = (255, 176, 0)
_RAW = (120, 160, 255)


def outline_overlay(film: Film, seen: Segmentation, raw: bool = False) -> NDArray[np.uint8]:
    """The film with the outlines of the regions on it, uint8 (H, W, 3).

    Args:
        raw: also the mask before cleaning, in another colour.
    """
    from PIL import Image, ImageDraw

    from .outlines import region_outlines
    from .predictions_json import RAW_REGIONS

    height, width = film.pixels.shape
    image = Image.fromarray(np.repeat(film.pixels[..., None], 3, axis=2))
    draw = ImageDraw.Draw(image)
    thick = max(1, round(max(height, width) / 400))
    beneath = region_outlines(seen.raw, RAW_REGIONS) if raw else ()
    for polygons, colour in (
        *((p, _RAW) for p in beneath),
        *((lesion.outline, _LINE) for lesion in seen.lesions),
    ):
        for polygon in polygons:
            draw.line([*polygon, polygon[0]], fill=colour, width=thick)
    return np.asarray(image, np.uint8)
