"""How alike two maps are: rank correlation and SSIM, in numpy."""

import numpy as np
from numpy.typing import NDArray

from ...runtime.explanations.growing import grow

Map = NDArray[np.float32]
# Wang et al. 2004: a Gaussian window of 11 pixels and deviation 1.5, K1 = .01, K2 = .03.
_REACH, _SIGMA = 5, 1.5
_C1, _C2 = 0.01**2, 0.03**2


def rank_correlation(one: Map, other: Map) -> float:
    """Spearman's, of two maps of the same size; equal values share their mean rank.

    Two flat maps are alike (1); a flat map and another have nothing in common (0).
    """
    ranks = [_ranks(m.ravel()) for m in (one, other)]
    a, b = (r - r.mean() for r in ranks)
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    if norm > 0:
        return max(-1.0, min(1.0, float(a @ b) / norm))
    return float(not a.any() and not b.any())


def ssim(one: Map, other: Map, size: tuple[int, int]) -> float:
    """The mean structural similarity of two maps, 0..1 each, enlarged bilinearly to `size`.

    Wang, Bovik, Sheikh and Simoncelli 2004, IEEE Transactions on Image Processing 13(4), over the
    places where the whole window fits. Sizes below the window are compared as they are padded at
    the border.
    """
    x, y = (grow(m, *size).astype(np.float64) for m in (one, other))
    mean_x, mean_y = _window(x), _window(y)
    var_x = _window(x * x) - mean_x**2
    var_y = _window(y * y) - mean_y**2
    both = _window(x * y) - mean_x * mean_y
    top = (2 * mean_x * mean_y + _C1) * (2 * both + _C2)
    bottom = (mean_x**2 + mean_y**2 + _C1) * (var_x + var_y + _C2)
    return float((top / bottom).mean())


def _ranks(values: NDArray[np.float32]) -> NDArray[np.float64]:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - (count + 1) / 2.0)[place.reshape(-1)], np.float64)


def _window(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The Gaussian mean around each place where the window fits."""
    weights = np.exp(-0.5 * (np.arange(-_REACH, _REACH + 1) / _SIGMA) ** 2)
    weights /= weights.sum()
    for axis in (0, 1):
        if values.shape[axis] <= 2 * _REACH:
            pad = [(_REACH, _REACH) if a == axis else (0, 0) for a in (0, 1)]
            values = np.pad(values, pad, mode="edge")
        seen = np.lib.stride_tricks.sliding_window_view(values, len(weights), axis)
        values = seen @ weights
    return values
