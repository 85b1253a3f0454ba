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
    """The fall of the logit for each square.

    Squares of the input's mean lie on a grid of n x n, n * n < passes, two steps wide.

    Args:
        tensor: float32 (1, channels, H, W), the network's input.
        score: the class's logit for an input; one run of the network.

    Returns:
        float64 (n, n), not scaled; negative where hiding raises the score.
    """
    height, width = tensor.shape[2:]
    whole = score(tensor)
    hidden = tensor.mean(axis=(2, 3), keepdims=True)
    count = squares_a_side(passes)
    falls = np.zeros(count * count)
    for number, (rows, columns) in enumerate(grid(height, width, count)):
        view = tensor.copy()
        view[:, :, rows, columns] = hidden
        falls[number] = whole - score(view)
        if progress is not None:
            progress(number + 1, len(falls))
    return falls.reshape(count, count)


def squares_a_side(passes: int) -> int:
    """The largest n with n * n < passes; one run is for the film as it is."""
    return max(1, math.isqrt(passes - 1))


def grid(height: int, width: int, count: int) -> Iterator[tuple[slice, slice]]:
    """The count * count squares (rows, columns); the outermost reach half over the edge."""
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
    return Heat(found.map, found.sign, found.note, values.size + 1)


METHOD = Method(
    name="occlusion",
    source="Zeiler and Fergus 2014, Visualizing and Understanding CNNs, arXiv:1311.2901",
    needs=(),
    passes=USUAL_PASSES,
    make=_make,
)
