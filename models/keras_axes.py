"""Keras layers' weights as torch's tensors: other axes, the same numbers.

Each function yields (name in the twin's state_dict, values) of one layer.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .keras_graph import Call
from .layers import BN_EPS

Array = NDArray[np.float32]


def conv(name: str, call: Call) -> Iterator[tuple[str, Array]]:
    """(height, width, in, out) -> (out, in, height, width); a missing bias is 0."""
    kernel = call.weights["kernel"]
    yield f"{name}.weight", kernel.transpose(3, 2, 0, 1)
    yield f"{name}.bias", _bias(call, kernel.shape[3])


def raised(name: str, call: Call) -> Iterator[tuple[str, Array]]:
    """A transposed convolution's (height, width, out, in) -> (in, out, height, width)."""
    kernel = call.weights["kernel"]
    yield f"{name}.weight", kernel.transpose(3, 2, 0, 1)
    yield f"{name}.bias", _bias(call, kernel.shape[2])


def separable_conv(name: str, call: Call) -> Iterator[tuple[str, Array]]:
    """A depthwise (height, width, in, 1) and a pointwise kernel (1, 1, in, out)."""
    depthwise, pointwise = call.weights["depthwise_kernel"], call.weights["pointwise_kernel"]
    yield f"{name}.depthwise.weight", depthwise.transpose(2, 3, 0, 1)
    yield f"{name}.pointwise.weight", pointwise.transpose(3, 2, 0, 1)
    yield f"{name}.pointwise.bias", _bias(call, pointwise.shape[3])


def dense(name: str, call: Call) -> Iterator[tuple[str, Array]]:
    """(in, out) -> (out, in)."""
    kernel = call.weights["kernel"]
    yield f"{name}.weight", kernel.T
    yield f"{name}.bias", _bias(call, kernel.shape[1])


def _bias(call: Call, n: int) -> Array:
    return call.weights.get("bias", np.zeros(n, np.float32))


def norm(name: str, call: Call) -> Iterator[tuple[str, Array]]:
    """Another epsilon than the twin's goes into the variance: only their sum matters."""
    mean, variance = call.weights["moving_mean"], call.weights["moving_variance"]
    shift = np.float32(float(call.config.get("epsilon", BN_EPS)) - BN_EPS)
    yield f"{name}.weight", call.weights.get("gamma", np.ones_like(mean))
    yield f"{name}.bias", call.weights.get("beta", np.zeros_like(mean))
    yield f"{name}.running_mean", mean
    yield f"{name}.running_var", variance + shift
