"""Shapes that phantoms are drawn with: planes float64 (H, W), 0..1, soft edges, exact arithmetic.

Only additions, multiplications, divisions, square roots and comparisons (see `phantom.py`).
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float64]
Point = tuple[float, float]


def smooth(t: Plane) -> Plane:
    """0 below 0, 1 above 1, smooth between."""
    t = np.clip(t, 0.0, 1.0)
    return t * t * (3 - 2 * t)


def triangle(t: Plane) -> Plane:
    """A wave of period 1 between 0 (at whole numbers) and 1."""
    return 1 - 2 * np.abs(t - np.floor(t) - 0.5)


def bars(t: Plane) -> Plane:
    """Profile of a bone of half width 1 at distance `t`: marrow inside, brighter at the edges."""
    distance = np.abs(t)
    body = np.sqrt(np.clip(1 - t * t, 0.0, 1.0))
    rim = smooth(1 - np.abs(distance - 0.8) * 3.5)
    return 0.62 * smooth(body * 1.6) + 0.38 * rim


def ellipse(x: Plane, y: Plane, centre: Point, radii: Point) -> Plane:
    """Depth of an ellipsoid, steep at its border."""
    across, along = (x - centre[0]) / radii[0], (y - centre[1]) / radii[1]
    inside = np.clip(1 - across * across - along * along, 0.0, 1.0)
    return np.sqrt(inside) * smooth(inside * 6)


def capsule(x: Plane, y: Plane, ends: tuple[Point, Point], radius: float) -> Plane:
    """Depth of a straight round rod between two points."""
    total = np.zeros(x.shape)
    _add_rod(total, x, y, ends, radius)
    return total


def _add_rod(total: Plane, x: Plane, y: Plane, ends: tuple[Point, Point], radius: float) -> None:
    """Raise `total` to the rod's depth, looking only at the pixels near it."""
    (x0, y0), (x1, y1) = ends
    near = (x > min(x0, x1) - radius) & (x < max(x0, x1) + radius)
    near &= (y > min(y0, y1) - radius) & (y < max(y0, y1) + radius)
    at = np.flatnonzero(near)
    dx, dy = x1 - x0, y1 - y0
    from_x, from_y = x.ravel()[at] - x0, y.ravel()[at] - y0
    share = np.clip((from_x * dx + from_y * dy) / (dx * dx + dy * dy), 0.0, 1.0)
    off_x, off_y = from_x - share * dx, from_y - share * dy
    inside = np.clip(1 - (off_x * off_x + off_y * off_y) / (radius * radius), 0.0, 1.0)
    flat = total.ravel()
    flat[at] = np.maximum(flat[at], np.sqrt(inside))


def bent(start: Point, pull: Point, end: Point, pieces: int = 6) -> tuple[Point, ...]:
    """Points along the curve from `start` to `end` that `pull` draws towards itself (Bezier)."""
    points = []
    for number in range(pieces + 1):
        t = number / pieces
        a, b, c = (1 - t) * (1 - t), 2 * t * (1 - t), t * t
        points.append(
            (a * start[0] + b * pull[0] + c * end[0], a * start[1] + b * pull[1] + c * end[1])
        )
    return tuple(points)


def curve(x: Plane, y: Plane, points: tuple[Point, ...], radius: float) -> Plane:
    """A rod through several points."""
    total = np.zeros(x.shape)
    for start, end in pairwise(points):
        _add_rod(total, x, y, (start, end), radius)
    return total


def blobs(rng: np.random.Generator, shape: tuple[int, int], cells: int) -> Plane:
    """Smooth random clouds, about `cells` of them down the plane, 0..1."""
    height, width = shape
    columns = cells * width // height + 2
    grid = rng.integers(0, 1001, (cells + 2, columns)) / 1000.0
    at_y = np.arange(height) * (cells / height)
    at_x = np.arange(width) * (cells / height)
    row, column = np.floor(at_y).astype(np.intp), np.floor(at_x).astype(np.intp)
    part_y, part_x = smooth(at_y - row)[:, None], smooth(at_x - column)[None, :]
    upper = grid[row][:, column] * (1 - part_x) + grid[row][:, column + 1] * part_x
    lower = grid[row + 1][:, column] * (1 - part_x) + grid[row + 1][:, column + 1] * part_x
    return np.asarray(upper * (1 - part_y) + lower * part_y, np.float64)


def grain(rng: np.random.Generator, shape: tuple[int, int]) -> Plane:
    """Nearly normal noise of standard deviation 1, from whole numbers."""
    total = rng.integers(-1000, 1001, (4, *shape)).sum(axis=0)
    return np.asarray(total / 1155.2777443829995, np.float64)


def box_blur(plane: Plane, radius: int) -> Plane:
    """Mean over a square of side 2 radius + 1; the border repeats."""
    side = 2 * radius + 1
    padded = np.pad(plane, radius, mode="edge")
    rows = padded[: plane.shape[0]]
    for step in range(1, side):
        rows = rows + padded[step : step + plane.shape[0]]
    both = rows[:, : plane.shape[1]]
    for step in range(1, side):
        both = both + rows[:, step : step + plane.shape[1]]
    return both / (side * side)
