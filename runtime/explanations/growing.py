"""Bilinear enlargement of small maps to the network's input."""

import numpy as np
from numpy.typing import NDArray


def grow(values: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """float32 (h, w) to (height, width), corner on corner, as Score-CAM's reference does it."""
    rows = _weights(values.shape[0], height)
    columns = _weights(values.shape[1], width)
    return np.asarray(rows @ values @ columns.T, np.float32)


def _weights(few: int, many: int) -> NDArray[np.float32]:
    """float32 (many, few): what each of the few gives to each of the many."""
    places = np.linspace(0.0, few - 1.0, many) if many > 1 else np.zeros(1)
    low = np.minimum(places.astype(np.intp), max(few - 2, 0))
    share = places - low
    weights = np.zeros((many, few), np.float32)
    weights[np.arange(many), low] = 1.0 - share
    weights[np.arange(many), np.minimum(low + 1, few - 1)] += share
    return weights
