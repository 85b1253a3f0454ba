"""From the mask that a promptable model draws for a box to a lesion on the film, in numpy.

Its grid of logits is brought to the film's own size (bilinear) and then compared with the
threshold, as SAM 2 does; only the part of the film on which it reaches it is made.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .boxes import Box, to_input
from .film import Film
from .masks import location
from .outlines import outline
from .predictions import Lesion
from .recorded_values import logit
from .regions import label_regions, region_boxes
from .segmenter import sigmoid
from .spec import InputSpec, MaskRules


@dataclass(frozen=True)
class Prompt:
    """A box (x0, y0, x1, y1) in film pixels, what it stands for, and who says so."""

    box: Box
    label: str
    confidence: float | None = None


@dataclass(frozen=True)
class Drawing:
    """How grids of logits become masks: the input that they lie on, the rules, the threshold."""

    spec: InputSpec
    rules: MaskRules
    threshold: float


@dataclass(frozen=True, eq=False)
class Patch:
    """A part of the film from its pixel (y0, x0) on: logits (h, w), and bool (h, w) where they
    reach the threshold (`raw`) and what of it was kept (`mask`)."""

    y0: int
    x0: int
    logits: NDArray[np.float32]
    raw: NDArray[np.bool_]
    mask: NDArray[np.bool_]

    def put(self, raw: NDArray[np.bool_], mask: NDArray[np.bool_]) -> None:
        """Add what is drawn here to masks bool (H, W) of the whole film."""
        height, width = self.raw.shape
        here = np.s_[self.y0 : self.y0 + height, self.x0 : self.x0 + width]
        raw[here] |= self.raw
        mask[here] |= self.mask


def draw(grid: NDArray[np.float32], size: tuple[int, ...], how: Drawing) -> Patch:
    """The part of a film (H, W) that a grid of logits float32 (h, w) marks."""
    level = logit(how.threshold)
    x0, y0, x1, y1 = _reach(grid >= level, size, how.spec)
    if x0 >= x1 or y0 >= y1:
        none = np.zeros((0, 0), bool)
        return Patch(0, 0, np.zeros((0, 0), np.float32), none, none)
    logits = _enlarged(grid, (x0, y0, x1, y1), size, how.spec)
    raw = logits >= level
    labels, areas = label_regions(raw)
    kept = int(np.count_nonzero(areas >= how.rules.min_area_share * size[0] * size[1]))
    if how.rules.max_regions:
        kept = min(kept, how.rules.max_regions)
    return Patch(y0, x0, logits, raw, (labels > 0) & (labels <= kept))


def lesion(patch: Patch, film: Film, prompt: Prompt, quality: float | None) -> Lesion:
    """What was drawn for a box; the box itself, with an area of 0, where nothing was."""
    down, across = patch.mask.sum(axis=1), patch.mask.sum(axis=0)
    count = int(down.sum())
    if count:
        ((x0, y0, x1, y1),) = region_boxes(patch.mask.astype(np.int32), 1)
        box = (x0 + patch.x0, y0 + patch.y0, x1 + patch.x0, y1 + patch.y0)
        drawn = outline(patch.mask[y0:y1, x0:x1], (box[0], box[1]))
        centre = (_mean(down) + patch.y0, _mean(across) + patch.x0)
        score = min(1.0, float(sigmoid(patch.logits[patch.mask]).mean(dtype=np.float64)))
    else:
        drawn, score = (), 0.0
        low, high = np.floor(prompt.box[:2]).astype(int), np.ceil(prompt.box[2:]).astype(int)
        box = (int(low[0]), int(low[1]), int(high[0]), int(high[1]))
        centre = ((prompt.box[1] + prompt.box[3]) / 2, (prompt.box[0] + prompt.box[2]) / 2)
    spacing = film.spacing_mm
    return Lesion(
        label=prompt.label,
        outline=drawn,
        box=box,
        area_px=count,
        area_mm2=None if spacing is None else count * spacing[0] * spacing[1],
        score=score,
        location=location(centre, film.pixels.shape),
        prompt=prompt.box,
        confidence=prompt.confidence,
        quality=quality,
    )


def _mean(counts: NDArray[np.int64]) -> float:
    """The mean place of what is counted at places 0.5, 1.5, ...

    A sum of whole numbers, so no order of arithmetic moves it.
    """
    return int(counts @ np.arange(len(counts))) / int(counts.sum()) + 0.5


def _reach(
    hit: NDArray[np.bool_], size: tuple[int, ...], spec: InputSpec
) -> tuple[int, int, int, int]:
    """Pixels of the film, x0, y0, x1, y1, outside which no value can reach the threshold.

    A pixel is a mean of the grid's cells around it, of more of them where the film is smaller.
    """
    spans = []
    for axis, length in ((1, size[1]), (0, size[0])):
        places = np.flatnonzero(hit.any(axis=1 - axis))
        if not len(places):
            return 0, 0, 0, 0
        scale, shift = _cells(axis, hit.shape, size, spec)
        margin = 1.0 + 2.0 * scale
        low = (float(places[0]) - margin - shift) / scale
        high = (float(places[-1]) + 1.0 + margin - shift) / scale
        spans.append((max(0, int(np.floor(low))), min(length, int(np.ceil(high)))))
    (x0, x1), (y0, y1) = spans
    return x0, y0, x1, y1


def _cells(
    axis: int, grid: tuple[int, ...], size: tuple[int, ...], spec: InputSpec
) -> tuple[float, float]:
    """Cells of the grid a pixel of the film, and the cell at which the film begins."""
    across = axis == 1
    whole = to_input(np.array([[0.0, 0.0, size[1], size[0]]]), size, spec)[0].tolist()
    low, high = (whole[0], whole[2]) if across else (whole[1], whole[3])
    a_cell = (spec.width if across else spec.height) / grid[axis]
    return (high - low) / a_cell / size[axis], low / a_cell


def _enlarged(
    grid: NDArray[np.float32], part: tuple[int, ...], size: tuple[int, ...], spec: InputSpec
) -> NDArray[np.float32]:
    """The grid over a part (x0, y0, x1, y1) of the film, bilinear, one value a pixel."""
    from PIL import Image

    edges = [0.0] * 4
    for axis, (low, high) in ((1, (0, 2)), (0, (1, 3))):
        scale, shift = _cells(axis, grid.shape, size, spec)
        for edge in (low, high):
            edges[edge] = min(max(part[edge] * scale + shift, 0.0), float(grid.shape[axis]))
    image = Image.fromarray(np.ascontiguousarray(grid))
    shape = (part[2] - part[0], part[3] - part[1])
    found = image.resize(shape, Image.Resampling.BILINEAR, (edges[0], edges[1], edges[2], edges[3]))
    return np.asarray(found, np.float32)
