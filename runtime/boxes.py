"""Boxes (x0, y0, x1, y1) in pixels, as rows of an array: overlap, and between film and network.

A point at x = 0 is the left edge of the first pixel, x = W the right edge of the last, on the film
as in the network's input.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .errors import TensorError
from .images import letterbox_frame
from .spec import InputSpec

Box = tuple[float, float, float, float]
Boxes = tuple[tuple[float, ...], ...]
Rows = NDArray[np.floating]
# One question to a promptable model; a page or a detector that sends more is out of order.
MAX_BOXES = 100


def area(boxes: Rows) -> NDArray[np.float64]:
    """Width times height of (N, 4) boxes; 0 where a side is not above 0."""
    sides = np.maximum(boxes[:, 2:].astype(np.float64) - boxes[:, :2], 0.0)
    return np.asarray(sides[:, 0] * sides[:, 1])


def iou(one: Rows, other: Rows) -> NDArray[np.float64]:
    """Intersection over union of boxes (N, 4) and (M, 4), float64 (N, M), 0..1.

    0 where neither has an area.
    """
    first, second = one.astype(np.float64), other.astype(np.float64)
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    sides = np.maximum(high - low, 0.0)
    both = sides[..., 0] * sides[..., 1]
    union = area(first)[:, None] + area(second)[None, :] - both
    return np.asarray(np.divide(both, union, out=np.zeros_like(both), where=union > 0.0))


def to_input(boxes: Rows, size: tuple[int, ...], spec: InputSpec) -> NDArray[np.float32]:
    """Boxes (N, 4) on a film (H, W) as boxes on the network's input, float32 (N, 4)."""
    scale, shift = _placed(size, spec)
    return np.asarray(boxes.astype(np.float64) * scale + shift, np.float32)


def to_film(boxes: Rows, size: tuple[int, ...], spec: InputSpec) -> NDArray[np.float64]:
    """Boxes (N, 4) on the network's input as boxes on a film (H, W), float64, not clipped."""
    scale, shift = _placed(size, spec)
    return np.asarray((boxes.astype(np.float64) - shift) / scale)


def clip(boxes: Rows, size: tuple[int, ...]) -> NDArray[np.float64]:
    """The part of boxes (N, 4) that lies on a film (H, W), float64; no area beside it."""
    far = np.array([size[1], size[0], size[1], size[0]], np.float64)
    return np.clip(boxes.astype(np.float64), 0.0, far)


def check_prompts(boxes: Sequence[Sequence[float]], size: tuple[int, ...], model: str) -> Rows:
    """Boxes on a film (H, W) that a promptable model is asked with, as float64 (N, 4).

    Raises:
        TensorError: none, more than 100, not four finite numbers, without area, or not on the film.
    """
    if not 0 < len(boxes) <= MAX_BOXES:
        raise TensorError(
            f"'{model}' outlines what lies in boxes; found {len(boxes)}, expected 1 to {MAX_BOXES}."
            " Give boxes as x0,y0,x1,y1 in pixels of the film, or take a pipeline that finds them."
        )
    for number, box in enumerate(boxes, start=1):
        problem = _problem(box, size)
        if problem:
            raise TensorError(
                f"'{model}': box {number}, {tuple(box)}, {problem}; expected 0 <= x0 < x1 <= "
                f"{size[1]} and 0 <= y0 < y1 <= {size[0]}, in pixels of the film."
            )
    return np.asarray(boxes, np.float64)


def _problem(box: Sequence[float], size: tuple[int, ...]) -> str:
    if len(box) != 4:
        return f"has {len(box)} numbers"
    if not np.isfinite(box).all():
        return "is no box of numbers"
    x0, y0, x1, y1 = box
    if x0 >= x1 or y0 >= y1:
        return "has no area"
    if x0 < 0 or y0 < 0 or x1 > size[1] or y1 > size[0]:
        return "is not on the film"
    return ""


def _placed(
    size: tuple[int, ...], spec: InputSpec
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Factors and offsets of x0, y0, x1, y1 from a film to the input, as `images.resize` does."""
    height, width, top, left = spec.height, spec.width, 0, 0
    if spec.resize == "letterbox":
        height, width, top, left = letterbox_frame(size[0], size[1], spec)
    across, down = width / size[1], height / size[0]
    return np.array([across, down] * 2), np.array([left, top] * 2, np.float64)
