"""Regions drawn on a film."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .film import Film
from .outlines import Polygon
from .predictions import Lesion, Segmentation

_LINE = (255, 176, 0)
_RAW = (120, 160, 255)
_BOX = (90, 200, 120)


def outline_overlay(film: Film, seen: Segmentation, raw: bool = False) -> NDArray[np.uint8]:
    """The film with the outlines of the regions on it, and the boxes asked about, uint8 (H, W, 3).

    Args:
        raw: also the mask before cleaning, in another colour.
    """
    from .outlines import region_outlines
    from .predictions_json import RAW_REGIONS

    return _drawn(film, seen.lesions, region_outlines(seen.raw, RAW_REGIONS) if raw else ())


def lesion_overlay(film: Film, lesions: Sequence[Lesion]) -> NDArray[np.uint8]:
    """The film with lesions alone, as `outline_overlay`."""
    return _drawn(film, lesions, ())


def _drawn(
    film: Film, lesions: Sequence[Lesion], beneath: Sequence[tuple[Polygon, ...]]
) -> NDArray[np.uint8]:
    from PIL import Image, ImageDraw

    asked = tuple(one.prompt for one in lesions if one.prompt is not None)
    image = Image.fromarray(box_overlay(film, asked))
    draw = ImageDraw.Draw(image)
    thick = _thick(film)
    for polygons, colour in (
        *((p, _RAW) for p in beneath),
        *((lesion.outline, _LINE) for lesion in lesions),
    ):
        for polygon in polygons:
            draw.line([*polygon, polygon[0]], fill=colour, width=thick)
    return np.asarray(image, np.uint8)


def box_overlay(
    film: Film, boxes: tuple[tuple[float, float, float, float], ...]
) -> NDArray[np.uint8]:
    """The film with boxes (x0, y0, x1, y1) on it, uint8 (H, W, 3)."""
    from PIL import Image, ImageDraw

    image = Image.fromarray(np.repeat(film.pixels[..., None], 3, axis=2))
    draw = ImageDraw.Draw(image)
    for x0, y0, x1, y1 in boxes:
        corners = (x0, y0, max(x0, x1 - 1), max(y0, y1 - 1))
        draw.rectangle(corners, outline=_BOX, width=_thick(film))
    return np.asarray(image, np.uint8)


def _thick(film: Film) -> int:
    return max(1, round(max(map(int, film.pixels.shape)) / 400))
