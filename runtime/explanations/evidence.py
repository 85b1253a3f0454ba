"""What speaks for a class at each place of a feature map."""

import numpy as np
from numpy.typing import NDArray

from .components import blocks
from .growing import grow
from .heat import heat
from .records import Subject


def class_evidence(features: NDArray[np.float32], row: NDArray[np.float32]) -> NDArray[np.float64]:
    """The class row times the features at each place; its mean is the logit less the bias.

    Args:
        features: float32 (C, h, w).
        row: float32 (C,).

    Returns:
        float64 (h, w).
    """
    channels, height, width = features.shape
    total = np.zeros(height * width)
    start = 0
    for block in blocks(features.reshape(channels, height * width)):
        total += row[start : start + len(block)].astype(np.float64) @ block
        start += len(block)
    return total.reshape(height, width)


def outlined(places: NDArray[np.float32], height: int, width: int) -> NDArray[np.float64]:
    """The mean probability of a mask within each place of a feature map, float64 (h, w)."""
    from PIL import Image

    shrunk = Image.fromarray(places).resize((width, height), Image.Resampling.BOX)
    return np.asarray(shrunk, np.float64)


def halves(component: NDArray[np.float64], subject: Subject) -> NDArray[np.float64]:
    """The component or its negative: whichever half of it keeps the class's score higher.

    For heads that have no row a place: the film is shown twice, once through the positive half
    and once through the negative half as a mask, as Score-CAM shows it through a channel.
    """
    height, width = subject.tensor.shape[2:]
    scores = []
    for number, side in enumerate((component, -component), start=1):
        mask = grow(heat(side).map, height, width)
        scores.append(subject.score(subject.tensor * mask))
        if subject.progress is not None:
            subject.progress(number, 2)
    return -component if scores[1] > scores[0] else component
