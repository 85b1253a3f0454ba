"""Regions of a mask as closed polygons along the edges of pixels, in numpy.

Polygons are closed without repeating the first point and run clockwise on the screen around
what is inside, holes the other way. Pixel (row r, column c) covers x from c to c + 1 and y from
r to r + 1, so the signed areas of a region's polygons add up to its pixels.
"""

import numpy as np
from numpy.typing import NDArray

from .regions import label_regions, region_boxes

Polygon = tuple[tuple[float, float], ...]

# A staircase of pixels leaves its slope by at most 0.71 pixels.
STAIRS = 0.75
# Right, down, left, up on the screen.
_STEPS = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]], np.int64)


def trace(mask: NDArray[np.bool_]) -> tuple[Polygon, ...]:
    """Every boundary of bool (H, W), only its corners; the largest outer one first, holes last.

    Pixels that touch at a corner belong together (as in `regions`), so one region has one outer
    polygon, which may touch itself at a corner.
    """
    starts, turns = _edges(np.asarray(mask, bool))
    if not len(starts):
        return ()
    following = _following(starts, turns, mask.shape[1] + 2)
    polygons = [_corners(starts[loop], turns[loop]) for loop in _loops(following)]
    areas = [signed_area(p) for p in polygons]
    order = sorted(range(len(polygons)), key=lambda i: (areas[i] < 0, -abs(areas[i])))
    return tuple(polygons[i] for i in order)


def region_outlines(
    mask: NDArray[np.bool_], limit: int, tolerance: float = STAIRS
) -> tuple[tuple[Polygon, ...], ...]:
    """Simplified polygons of the largest `limit` regions, each its outer one and its holes."""
    labels, areas = label_regions(mask)
    count = min(limit, len(areas))
    found = []
    for number, (x0, y0, x1, y1) in enumerate(region_boxes(labels, count), start=1):
        found.append(outline(labels[y0:y1, x0:x1] == number, (x0, y0), tolerance))
    return tuple(found)


def outline(
    inside: NDArray[np.bool_], corner: tuple[int, int], tolerance: float = STAIRS
) -> tuple[Polygon, ...]:
    """Simplified polygons of one region, given as its part of the mask and that part's (x, y)."""
    return tuple(
        tuple((x + corner[0], y + corner[1]) for x, y in simplify(polygon, tolerance))
        for polygon in trace(inside)
    )


def signed_area(polygon: Polygon) -> float:
    """Shoelace formula: positive clockwise on the screen (y grows downwards)."""
    x, y = np.asarray(polygon, np.float64).T
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) / 2.0


def simplify(polygon: Polygon, tolerance: float) -> Polygon:
    """Fewer points, none left out farther than `tolerance` from the new outline.

    Douglas and Peucker 1973, from the first point and the one farthest from it. A polygon that
    would fall flat stays as it is.
    """
    points = np.asarray(polygon, np.float64)
    if tolerance <= 0 or len(points) <= 3:
        return polygon
    far = int(np.argmax(((points - points[0]) ** 2).sum(axis=1)))
    closed = np.vstack([points, points[:1]])
    kept = np.array([0, far, len(points)])
    while len(more := _worst(closed, kept, tolerance)):
        kept = np.sort(np.concatenate([kept, more]))
    fewer = points[kept[:-1]]
    return tuple(map(tuple, fewer.tolist())) if len(fewer) >= 3 else polygon


def _worst(
    points: NDArray[np.float64], kept: NDArray[np.intp], tolerance: float
) -> NDArray[np.intp]:
    """In every span between kept points the point farthest from it, where that is too far.

    All spans at once: a round of numpy, where a span at a time would be thousands.
    """
    sizes = np.diff(kept)
    span = np.repeat(np.arange(len(sizes)), sizes)
    start = points[kept[:-1]]
    along = points[kept[1:]] - start
    length = np.maximum((along**2).sum(axis=1), 1e-12)
    off = points[:-1] - start[span]
    share = np.clip((off * along[span]).sum(axis=1) / length[span], 0.0, 1.0)
    away = np.hypot(*(off - share[:, None] * along[span]).T)
    farthest = np.maximum.reduceat(away, kept[:-1])
    places = np.flatnonzero((away == farthest[span]) & (away > tolerance))
    _, first = np.unique(span[places], return_index=True)
    return places[first]


def _edges(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Start (x, y) and direction of every unit edge with the inside on its right hand."""
    padded = np.pad(mask, 1)
    inner = padded[1:-1, 1:-1]
    outside = (padded[:-2, 1:-1], padded[1:-1, 2:], padded[2:, 1:-1], padded[1:-1, :-2])
    starts, turns = [], []
    for turn, (beyond, shift) in enumerate(
        zip(outside, ((0, 0), (1, 0), (1, 1), (0, 1)), strict=True)
    ):
        rows, columns = np.nonzero(inner & ~beyond)
        starts.append(np.stack([columns + shift[0], rows + shift[1]], axis=1))
        turns.append(np.full(len(rows), turn, np.int64))
    return np.concatenate(starts).astype(np.int64), np.concatenate(turns)


def _following(starts: NDArray[np.int64], turns: NDArray[np.int64], width: int) -> NDArray[np.intp]:
    """For each edge the next one: the leftmost turn, which joins pixels that touch at a corner."""
    codes = (starts[:, 1] * width + starts[:, 0]) * 4 + turns
    order = np.argsort(codes)
    ordered = codes[order]
    ends = starts + _STEPS[turns]
    places = (ends[:, 1] * width + ends[:, 0]) * 4
    following = np.full(len(codes), -1, np.intp)
    # The last that is there wins: right, straight, left.
    for change in (1, 0, -1):
        wanted = places + (turns + change) % 4
        at = np.minimum(np.searchsorted(ordered, wanted), len(ordered) - 1)
        there = ordered[at] == wanted
        following[there] = order[at[there]]
    return following


def _loops(following: NDArray[np.intp]) -> list[list[int]]:
    """The cycles of the permutation."""
    after = following.tolist()
    left = [True] * len(after)
    loops = []
    for first in range(len(after)):
        if not left[first]:
            continue
        loop, edge = [], first
        while left[edge]:
            left[edge] = False
            loop.append(edge)
            edge = after[edge]
        loops.append(loop)
    return loops


def _corners(starts: NDArray[np.int64], turns: NDArray[np.int64]) -> Polygon:
    """Only the points at which the direction changes."""
    kept = starts[turns != np.roll(turns, 1)]
    return tuple((float(x), float(y)) for x, y in kept.tolist())
