"""From a network's grid of probabilities to a mask over the film and its regions, in numpy.

The grid is cut to where the film lies in it, blurred where the rules say so, brought to the
film's own size as probabilities (bilinear), and only then compared with the threshold: a mask
that was enlarged has stairs as high as the network's pixels.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .film import Film
from .images import letterbox_frame
from .outlines import outline
from .predictions import Lesion
from .regions import label_regions, region_boxes
from .spec import InputSpec, MaskRules

VERTICAL = ("upper", "middle", "lower")
HORIZONTAL = ("left", "centre", "right")
# Three standard deviations hold 99.7 % of the blur.
_REACH = 3.0


@dataclass(frozen=True)
class Drawn:
    """What a mask stands for; a pixel is in where its probability reaches the threshold."""

    label: str
    threshold: float


@dataclass(frozen=True, eq=False)
class FilmMask:
    """Masks bool (H, W) of the film's size and its regions, the largest first.

    `score` is the largest probability on the film; `raw` was neither blurred nor cleaned.
    """

    score: float
    raw: NDArray[np.bool_]
    mask: NDArray[np.bool_]
    lesions: tuple[Lesion, ...]


def film_mask(
    grid: NDArray[np.float32],
    film: Film,
    spec: InputSpec,
    rules: MaskRules,
    drawn: Drawn,
) -> FilmMask:
    """Probabilities float32 (h, w), 0..1, on the network's grid as a mask over the film."""
    size = film.pixels.shape
    lying = on_frame(grid, size, spec)
    whole = enlarge(lying, size)
    raw = whole >= drawn.threshold
    sigma = rules.smooth * max(spec.height, spec.width)
    soft = raw if sigma <= 0 else enlarge(blur(lying, sigma), size) >= drawn.threshold
    labels, areas = label_regions(soft)
    kept = int(np.count_nonzero(areas >= rules.min_area_share * soft.size))
    if rules.max_regions:
        kept = min(kept, rules.max_regions)
    lesions = tuple(
        _lesion(labels, number, box, _Ground(film, whole, drawn.label))
        for number, box in enumerate(region_boxes(labels, kept), start=1)
    )
    return FilmMask(float(lying.max()), raw, (labels > 0) & (labels <= kept), lesions)


def on_frame(
    grid: NDArray[np.float32], size: tuple[int, ...], spec: InputSpec
) -> NDArray[np.float32]:
    """The part of the grid that the film (H, W) covers: all of it where films are stretched."""
    if spec.resize == "stretch":
        return grid
    height, width, top, left = letterbox_frame(size[0], size[1], spec)
    up, across = grid.shape[0] / spec.height, grid.shape[1] / spec.width
    rows = slice(int(np.floor(top * up)), int(np.ceil((top + height) * up)))
    columns = slice(int(np.floor(left * across)), int(np.ceil((left + width) * across)))
    return grid[rows, columns]


def enlarge(values: NDArray[np.float32], size: tuple[int, ...]) -> NDArray[np.float32]:
    """float32 (h, w) brought to (H, W), bilinear."""
    from PIL import Image

    if values.shape == tuple(size[:2]):
        return values
    image = Image.fromarray(np.ascontiguousarray(values))
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling.BILINEAR), np.float32)


def blur(values: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Gaussian of standard deviation `sigma` in pixels; the border repeats its last value."""
    reach = int(np.ceil(_REACH * sigma))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    weights /= weights.sum()
    for axis in (0, 1):
        turned = np.swapaxes(values, 0, axis)
        padded = np.pad(turned, ((reach, reach), (0, 0)), mode="edge")
        total = np.zeros(turned.shape, np.float32)
        for step, weight in enumerate(weights.astype(np.float32)):
            total += weight * padded[step : step + len(turned)]
        values = np.swapaxes(total, 0, axis)
    return values


@dataclass(frozen=True, eq=False)
class _Ground:
    """What regions lie on: the film, its probabilities (H, W), and what they stand for."""

    film: Film
    whole: NDArray[np.float32]
    label: str


def _lesion(
    labels: NDArray[np.int32], number: int, box: tuple[int, int, int, int], ground: _Ground
) -> Lesion:
    x0, y0, x1, y1 = box
    inside = labels[y0:y1, x0:x1] == number
    rows, columns = np.nonzero(inside)
    spacing = ground.film.spacing_mm
    centre = (float(rows.mean()) + 0.5 + y0, float(columns.mean()) + 0.5 + x0)
    return Lesion(
        label=ground.label,
        outline=outline(inside, (x0, y0)),
        box=box,
        area_px=len(rows),
        area_mm2=None if spacing is None else len(rows) * spacing[0] * spacing[1],
        score=min(1.0, float(ground.whole[y0:y1, x0:x1][inside].mean(dtype=np.float64))),
        location=location(centre, ground.film.pixels.shape),
    )


def location(centre: tuple[float, float], size: tuple[int, ...]) -> tuple[str, str]:
    """Third of the film in which a point (y, x) lies, in words, as the picture lies."""

    def third(place: float, length: int) -> int:
        return min(2, int(3.0 * place / length))

    return VERTICAL[third(centre[0], size[0])], HORIZONTAL[third(centre[1], size[1])]
