"""Occlusion: how far the class's score falls when a square of the film is hidden."""

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from .heat import heat
from .records import Heat, Method, Progress, Subject

USUAL_PASSES = 145
# A square's side in steps between squares: each pixel is hidden about four times.
_SIDE = 2


def occlusion(
    tensor: NDArray[np.float32],
    score: Callable[[NDArray[np.float32]], float],
    passes: int = USUAL_PASSES,
    progress: Progress | None = None,
) -> NDArray[np.float64]:
    """The mean fall of the logit over the squares that hid a pixel.

    Squares of the input's mean lie on a grid of n x n, n * n < passes, two steps wide.

    Args:
        tensor: float32 (1, channels, H, W), the network's input.
        score: the class's logit for an input; one run of the network.

    Returns:
        float64 (H, W), not scaled; negative where hiding raises the score.
    """
    height, width = tensor.shape[2:]
    whole = score(tensor)
    hidden = tensor.mean(axis=(2, 3), keepdims=True)
    total, cover = np.zeros((height, width)), np.zeros((height, width))
    squares = list(grid(height, width, passes))
    for number, (rows, columns) in enumerate(squares, start=1):
        view = tensor.copy()
        view[:, :, rows, columns] = hidden
        total[rows, columns] += whole - score(view)
        cover[rows, columns] += 1
        if progress is not None:
            progress(number, len(squares))
    return np.divide(total, cover, out=np.zeros_like(total), where=cover > 0)


def grid(height: int, width: int, passes: int) -> Iterator[tuple[slice, slice]]:
    """The squares (rows, columns), half of the outermost ones beyond the edge."""
    count = max(1, math.isqrt(passes - 1))
    for top, bottom in _spans(height, count):
        for left, right in _spans(width, count):
            yield slice(top, bottom), slice(left, right)


def _spans(length: int, count: int) -> list[tuple[int, int]]:
    step = length / count
    centres = (np.arange(count) + 0.5) * step
    reach = _SIDE * step / 2
    return [(max(0, math.floor(c - reach)), min(length, math.ceil(c + reach))) for c in centres]


def _make(subject: Subject) -> Heat:
    values = occlusion(subject.tensor, subject.score, subject.passes, subject.progress)
    found = heat(values)
    height, width = values.shape
    asked = 1 + len(list(grid(height, width, subject.passes)))
    return Heat(found.map, found.sign, found.note, asked)


METHOD = Method(
    name="occlusion",
    source="Zeiler and Fergus 2014, Visualizing and Understanding CNNs, arXiv:1311.2901",
    needs=(),
    passes=USUAL_PASSES,
    make=_make,
)
