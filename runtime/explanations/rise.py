"""RISE: the mean score of random views of the film, by what each view showed."""

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from .growing import grow
from .heat import heat
from .records import Heat, Method, Progress, Subject

USUAL_PASSES = 256
CELLS = 7
SHOWN = 0.5
SEED = 20180619


def rise(
    tensor: NDArray[np.float32],
    score: Callable[[NDArray[np.float32]], float],
    passes: int = USUAL_PASSES,
    progress: Progress | None = None,
) -> NDArray[np.float64]:
    """The mean probability of the views in which a pixel was shown, weighted by how much.

    The publication divides by the expected coverage of a pixel; dividing by what it really was
    needs fewer views for as quiet a map. Views are the same for every film of a size.

    Args:
        tensor: float32 (1, channels, H, W), the network's input; a view is it times a mask, so
            what is hidden is 0 of the scaled input.
        score: the class's logit for an input; one run of the network.

    Returns:
        float64 (H, W), 0..1: a probability, not scaled.
    """
    height, width = tensor.shape[2:]
    total = np.zeros((height, width))
    cover = np.zeros((height, width))
    for number, mask in enumerate(masks(height, width, passes), start=1):
        total += _sigmoid(score(tensor * mask)) * mask
        cover += mask
        if progress is not None:
            progress(number, passes)
    return np.divide(total, cover, out=np.zeros_like(total), where=cover > 0)


def masks(height: int, width: int, count: int) -> Iterator[NDArray[np.float32]]:
    """`count` masks float32 (height, width), 0..1, the same at every call.

    CELLS x CELLS cells are shown or hidden with equal chance, enlarged to one cell more than the
    input, and cut out at a random shift (section 3.2 of the publication).
    """
    random = np.random.default_rng(SEED)
    tall, broad = math.ceil(height / CELLS), math.ceil(width / CELLS)
    for _ in range(count):
        cells = (random.random((CELLS, CELLS)) < SHOWN).astype(np.float32)
        top, left = int(random.integers(tall)), int(random.integers(broad))
        grown = grow(cells, (CELLS + 1) * tall, (CELLS + 1) * broad)
        yield grown[top : top + height, left : left + width]


def _sigmoid(logit: float) -> float:
    return 1.0 / (1.0 + math.exp(-logit)) if logit >= 0 else 1.0 - _sigmoid(-logit)


def _make(subject: Subject) -> Heat:
    values = rise(subject.tensor, subject.score, subject.passes, subject.progress)
    found = heat(values, size=1.0)
    return Heat(found.map, found.sign, found.note, subject.passes)


METHOD = Method(
    name="rise",
    source="Petsiuk, Das and Saenko 2018, RISE, arXiv:1806.07421",
    needs=(),
    passes=USUAL_PASSES,
    make=_make,
)
