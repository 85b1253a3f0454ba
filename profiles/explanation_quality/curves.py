"""Deletion and insertion: what the score does while the places that a map calls important go or
come.

Petsiuk, Das and Saenko 2018, RISE, arXiv:1806.07421, section 4.2: pixels are deleted, the most
important first, to a constant (here the mean of the network's input), and inserted into a blurred
copy. Areas are of the probability of the class over the share of pixels, 0..1: a map that names
what the score hangs on has a small deletion and a large insertion area.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...runtime.explanations.growing import grow
from ...runtime.masks import blur

USUAL_STEPS = 16
# The publication blurs 224 pixels with a kernel of 11 and a deviation of 5.
_BLUR_SHARE = 5.0 / 224.0
# Which of equally important pixels goes first is drawn once, the same for every map.
_SEED = 2018

Tensor = NDArray[np.float32]
Score = Callable[[Tensor], float]


@dataclass(frozen=True)
class Curves:
    """Probabilities of the class at 0 / steps ... steps / steps of the pixels."""

    deletion: tuple[float, ...]
    insertion: tuple[float, ...]

    @property
    def deletion_area(self) -> float:
        """0..1, the smaller the better."""
        return area(self.deletion)

    @property
    def insertion_area(self) -> float:
        """0..1, the larger the better."""
        return area(self.insertion)


@dataclass(frozen=True, eq=False)
class Ends:
    """A film whole, deleted and blurred, and the class's probability of each.

    They are the same for all maps of a film, so they are scored once.
    """

    whole: Tensor
    gone: Tensor
    blurred: Tensor
    scores: tuple[float, float, float]


def ends(tensor: Tensor, score: Score) -> Ends:
    """Three runs of the network.

    Args:
        tensor: float32 (1, C, H, W), the network's input.
        score: the class's logit.
    """
    gone = np.broadcast_to(tensor.mean(axis=(2, 3), keepdims=True), tensor.shape)
    gone = np.ascontiguousarray(gone, np.float32)
    sigma = _BLUR_SHARE * max(tensor.shape[2:])
    blurred = np.stack([blur(channel, sigma) for channel in tensor[0]])[None]
    blurred = np.ascontiguousarray(blurred, np.float32)
    told = [probability(score(view)) for view in (tensor, gone, blurred)]
    return Ends(tensor, gone, blurred, (told[0], told[1], told[2]))


def curves(heat: NDArray[np.float32], shown: Ends, score: Score, steps: int) -> Curves:
    """2 * (steps - 1) runs of the network.

    Args:
        heat: float32 (h, w), the map, at any size; enlarged bilinearly to the input.
        steps: at least 1; the share of pixels grows by 1 / steps.
    """
    order = importance(heat, shown.whole.shape[2:])
    whole, gone, blurred = shown.scores
    deletion, insertion = [whole], [blurred]
    for step in range(1, steps):
        important = np.zeros(order.size, bool)
        important[order[: round(order.size * step / steps)]] = True
        there = important.reshape(shown.whole.shape[2:])
        deletion.append(probability(score(np.where(there, shown.gone, shown.whole))))
        insertion.append(probability(score(np.where(there, shown.whole, shown.blurred))))
    return Curves((*deletion, gone), (*insertion, whole))


def importance(heat: NDArray[np.float32], size: tuple[int, ...]) -> NDArray[np.intp]:
    """Numbers of the pixels of an input of that size, the most important first."""
    values = heat if heat.shape == tuple(size) else grow(heat, size[0], size[1])
    chance = np.random.default_rng(_SEED).permutation(values.size)
    return np.lexsort((chance, -values.ravel()))


def area(curve: tuple[float, ...]) -> float:
    """Under a curve over 0..1, by trapezoids."""
    values = np.asarray(curve, np.float64)
    return float((values[1:] + values[:-1]).mean() / 2.0)


def probability(logit: float) -> float:
    """The logistic function, without overflow."""
    if logit >= 0:
        return 1.0 / (1.0 + math.exp(-logit))
    grown = math.exp(logit)
    return grown / (1.0 + grown)
