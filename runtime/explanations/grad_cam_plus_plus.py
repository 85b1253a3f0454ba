"""Grad-CAM++ in closed form for heads of global pooling and one linear layer."""

import numpy as np
from numpy.typing import NDArray

from .evidence import class_evidence
from .heat import heat
from .records import Heat, Method, Subject

# Of the grad-cam package; it is not small beside the square of such a head's gradient.
_EPSILON = 1e-6


def grad_cam_plus_plus(
    features: NDArray[np.float32], row: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Channels weighted by equations 7 and 19 of the paper, before the ReLU.

    With g = row / (h w) the gradient of a channel, the same at every place, and S the channel's
    sum, the channel's weight is relu(g) g^2 / (2 g^2 + S g^3 + 1e-6): channels whose row is
    negative say nothing, and a channel that is strong everywhere counts for less.

    Args:
        features: float32 (C, h, w).
        row: float32 (C,), the classifier's row of the class.

    Returns:
        float64 (h, w), not scaled.
    """
    return class_evidence(features, channel_weights(features, row))


def channel_weights(features: NDArray[np.float32], row: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 (C,), not negative; 0 where features below zero would divide by zero."""
    channels, places = len(features), features[0].size
    sums = features.reshape(channels, places).sum(axis=1, dtype=np.float64)
    gradient = row.astype(np.float64) / places
    square = gradient * gradient
    below = 2.0 * square + sums * square * gradient + _EPSILON
    share = np.divide(square, below, out=np.zeros(channels), where=below > 0)
    return np.asarray(np.maximum(gradient, 0.0) * share * places, np.float32)


def _make(subject: Subject) -> Heat:
    features = subject.feature_map
    weights = channel_weights(features, subject.row)
    size = float(class_evidence(np.abs(features), weights).max())
    return heat(class_evidence(features, weights), size)


METHOD = Method(
    name="grad-cam++",
    source="Chattopadhay et al. 2018, Grad-CAM++, arXiv:1710.11063",
    needs=("features", "pooled head"),
    passes=0,
    make=_make,
)
