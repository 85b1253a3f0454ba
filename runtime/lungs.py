"""Where the lungs are on a film, and the crop that a classifier sees.

What lies outside the lungs tells the label of many training films without being evidence, so
chest classifiers look at the lungs alone. Training, conversion and the device crop here.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .errors import NoLungsError
from .film import Film
from .regions import label_regions

# To be raised with whatever gives a film another box, beside the network and the rule.
SEARCH_REVISION = 1


@dataclass(frozen=True)
class CropRule:
    """How lung probabilities become a crop, and when there are no lungs.

    Attributes:
        threshold: a pixel is lung where its probability is at least this.
        min_region_share: regions below this share of the film's area are not lungs.
        min_area_share, max_area_share: of the two largest regions together, share of the film.
        min_confidence: mean probability inside them.
        min_extent: of their bounding box, share of the film's width and height.
        margin: added on each side of their bounding box, share of the box's side.
    """

    threshold: float = 0.5
    min_region_share: float = 0.02
    min_area_share: float = 0.12
    max_area_share: float = 0.75
    min_confidence: float = 0.9
    min_extent: float = 0.4
    margin: float = 0.05


@dataclass(frozen=True)
class Box:
    """Pixels of a film: x0 <= x < x1, y0 <= y < y1."""

    x0: int
    y0: int
    x1: int
    y1: int


@dataclass(frozen=True, eq=False)
class Lungs:
    """The lung fields found. `mask` bool (h, w) on the grid of the network; `box` on the film,
    margin included."""

    mask: NDArray[np.bool_]
    box: Box
    confidence: float
    area_share: float


def find_lungs(
    probabilities: NDArray[np.float32], film_shape: tuple[int, int], rule: CropRule
) -> Lungs:
    """The two largest regions of lung and the box around them.

    Args:
        probabilities: float32 (h, w), 0..1, over the whole film stretched to that grid.
        film_shape: (H, W) of the film in pixels.

    Raises:
        NoLungsError: no region is large and certain enough to be lungs.
    """
    labels, areas = label_regions(probabilities >= rule.threshold)
    size = probabilities.size
    kept = int((areas[:2] >= rule.min_region_share * size).sum())
    mask = (labels > 0) & (labels <= kept)
    share = float(mask.sum()) / size
    if not rule.min_area_share <= share <= rule.max_area_share:
        raise _none(
            f"{share:.0%} of the film looks like lung",
            f"{rule.min_area_share:.0%} to {rule.max_area_share:.0%}",
        )
    confidence = float(probabilities[mask].mean())
    if confidence < rule.min_confidence:
        raise _none(f"certainty {confidence:.2f}", f"at least {rule.min_confidence:.2f}")
    extent = min(float(mask.any(axis=axis).mean()) for axis in (0, 1))
    if extent < rule.min_extent:
        raise _none(
            f"they would span {extent:.0%} of the film's width or height",
            f"at least {rule.min_extent:.0%}",
        )
    return Lungs(mask, _box(mask, film_shape, rule.margin), confidence, share)


def _none(found: str, expected: str) -> NoLungsError:
    return NoLungsError(
        f"no lungs found: {found}, expected {expected}. No score is given; send a frontal chest "
        "film that shows both lungs."
    )


def _box(mask: NDArray[np.bool_], film_shape: tuple[int, int], margin: float) -> Box:
    def span(hit: NDArray[np.bool_], length: int) -> tuple[int, int]:
        places = np.flatnonzero(hit)
        start, end = float(places[0]) / len(hit), float(places[-1] + 1) / len(hit)
        extra = margin * (end - start)
        low, high = max(0.0, start - extra), min(1.0, end + extra)
        return int(np.floor(low * length)), int(np.ceil(high * length))

    height, width = film_shape
    y0, y1 = span(np.asarray(mask.any(axis=1)), height)
    x0, x1 = span(np.asarray(mask.any(axis=0)), width)
    return Box(x0, y0, x1, y1)


def crop(film: Film, box: Box) -> Film:
    """The box of a film in the film's own resolution."""
    return replace(film, pixels=np.ascontiguousarray(film.pixels[box.y0 : box.y1, box.x0 : box.x1]))
