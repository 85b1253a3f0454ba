"""From raw values to a map of 0..1, and what is said where they show nothing."""

import numpy as np
from numpy.typing import NDArray

from .records import Heat

FLAT = "The map is flat: it points to no place on this film."
NOTHING_FOR_IT = "Nothing on this film speaks for this class, so the map is empty."
# float32 features that should be equal differ by less than this share of their size.
_RELATIVE = 1e-6


def heat(values: NDArray[np.float64], size: float | None = None) -> Heat:
    """ReLU, minus the smallest, over the largest, as the grad-cam package scales its maps.

    Args:
        values: (h, w), any range; high speaks for the class.
        size: of the terms that `values` are sums of; what varies by less than a millionth of it
            is flat. None: the largest magnitude of `values`.
    """
    if size is None:
        size = float(np.abs(values).max())
    if float(np.ptp(values)) <= _RELATIVE * size:
        return _empty(values, FLAT)
    positive = np.maximum(values, 0.0)
    if float(positive.max()) <= _RELATIVE * size:
        return _empty(values, NOTHING_FOR_IT)
    positive -= positive.min()
    return Heat((positive / positive.max()).astype(np.float32), 1)


def _empty(values: NDArray[np.float64], note: str) -> Heat:
    return Heat(np.zeros(values.shape, np.float32), 0, note)
