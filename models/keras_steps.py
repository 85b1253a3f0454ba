"""Keras layers as torch modules that work channels first, for `keras_module.py`.

Maps are (N, C, H, W), scores (N, K). Keras pads "same" as TensorFlow does: what is odd goes to
the bottom and the right.
"""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from .keras_graph import Call

Pair = tuple[int, int]


class UnknownStepError(Exception):
    """No module for this layer or these arguments; the caller runs the Keras layer instead."""


class Function(nn.Module):
    """A function without weights as a module."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self._function = function

    def forward(self, *inputs: Tensor) -> Tensor:
        """Whatever the function takes and gives."""
        return self._function(*inputs)


class SamePad(nn.Module):
    """Zeros around (N, C, H, W), as a convolution with "same" padding wants them."""

    def __init__(self, kernel: Pair, stride: Pair, dilation: Pair) -> None:
        super().__init__()
        self._how = tuple(zip(kernel, stride, dilation, strict=True))

    def forward(self, x: Tensor) -> Tensor:
        """float32 (N, C, H, W) -> (N, C, H + a, W + b)."""
        pads: list[int] = []
        for size, (kernel, stride, dilation) in zip(x.shape[2:], self._how, strict=True):
            before, after = same(size, (kernel - 1) * dilation + 1, stride)
            pads = [before, after, *pads]
        return functional.pad(x, pads)


class Pool(nn.Module):
    """Max or average pooling; padded places count for neither, as in TensorFlow."""

    def __init__(self, call: Call, average: bool) -> None:
        super().__init__()
        self._kernel = pair(call.config["pool_size"])
        self._stride = pair(call.config.get("strides") or self._kernel)
        self._same, self._average = call.config.get("padding") == "same", average
        # Torch's ceil_mode stands for one more place after than before, but not at stride 1.
        pairs = zip(self._kernel, self._stride, strict=True)
        if self._same and any(s == 1 and k % 2 == 0 for k, s in pairs):
            raise UnknownStepError

    def forward(self, x: Tensor) -> Tensor:
        """float32 (N, C, H, W) -> (N, C, h, w)."""
        padding, ceil = [0, 0], False
        if self._same:
            both = [
                same(size, kernel, stride)
                for size, kernel, stride in zip(
                    x.shape[2:], self._kernel, self._stride, strict=True
                )
            ]
            padding = [before for before, _ in both]
            ceil = any(after > before for before, after in both)
        if self._average:
            return functional.avg_pool2d(x, self._kernel, self._stride, padding, ceil, False)
        return functional.max_pool2d(x, self._kernel, self._stride, padding, 1, ceil)


class Norm(nn.Module):
    """Batch normalization with its final statistics, of maps or of scores."""

    def __init__(self, call: Call) -> None:
        super().__init__()
        mean = call.weights["moving_mean"]
        ones, zeros = np.ones_like(mean), np.zeros_like(mean)
        self.weight = _parameter(call.weights.get("gamma", ones))
        self.bias = _parameter(call.weights.get("beta", zeros))
        self.running_mean = _parameter(mean)
        self.running_var = _parameter(call.weights["moving_variance"])
        self._eps = float(call.config.get("epsilon", 1e-3))

    def forward(self, x: Tensor) -> Tensor:
        """float32, the same shape."""
        return functional.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self._eps
        )


class Dense(nn.Module):
    """A linear layer of scores; of maps it is a 1x1 convolution."""

    def __init__(self, call: Call) -> None:
        super().__init__()
        kernel = call.weights["kernel"]
        self.linear = nn.Linear(kernel.shape[0], kernel.shape[1], bias=_has_bias(call))
        _fill(self.linear, kernel.T, call)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs) -> (N, outputs), or (N, inputs, H, W) -> (N, outputs, H, W)."""
        y: Tensor = self.linear(x.movedim(1, -1) if x.ndim > 2 else x)
        return y.movedim(-1, 1) if x.ndim > 2 else y


class Raise(nn.Module):
    """A transposed convolution; "same" gives stride times the size, cut where it is more."""

    def __init__(self, call: Call) -> None:
        super().__init__()
        kernel = call.weights["kernel"]
        self._kernel, self._stride = pair(kernel.shape[:2]), pair(call.config["strides"])
        self._same = call.config["padding"] == "same"
        short = any(k < s for k, s in zip(self._kernel, self._stride, strict=True))
        if short or call.config.get("output_padding") is not None or _dilation(call) != (1, 1):
            raise UnknownStepError
        self.conv = nn.ConvTranspose2d(
            kernel.shape[3], kernel.shape[2], self._kernel, self._stride, bias=_has_bias(call)
        )
        _fill(self.conv, kernel.transpose(3, 2, 0, 1), call)

    def forward(self, x: Tensor) -> Tensor:
        """float32 (N, C, H, W) -> (N, D, H', W')."""
        y: Tensor = self.conv(x)
        if self._same and self._kernel != self._stride:
            (high, wide), (top, left) = self._stride, self._cut()
            height, width = x.shape[2] * high, x.shape[3] * wide
            y = y[:, :, top : top + height, left : left + width]
        return y

    def _cut(self) -> Pair:
        return (self._kernel[0] - self._stride[0]) // 2, (self._kernel[1] - self._stride[1]) // 2


def same(size: int, kernel: int, stride: int) -> Pair:
    """Places to add before and after, e.g. (0, 1) for 8 pixels, kernel 3, stride 2."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def pair(value: object) -> Pair:
    """Two whole numbers from one or two."""
    if isinstance(value, int):
        return (value, value)
    if isinstance(value, (list, tuple)) and len(value) == 2:
        return (int(value[0]), int(value[1]))
    raise UnknownStepError


def convolution(call: Call) -> nn.Module:
    """Conv2D, grouped or dilated too."""
    kernel = call.weights["kernel"].transpose(3, 2, 0, 1)
    return _padded(call, kernel, int(call.config.get("groups", 1)))


def depthwise(call: Call) -> nn.Module:
    """DepthwiseConv2D; output channels run over the inputs first, then the multiplier."""
    key = "kernel" if "kernel" in call.weights else "depthwise_kernel"
    return _padded(call, _depthwise_kernel(call.weights[key]), call.weights[key].shape[2])


def separable(call: Call) -> nn.Module:
    """SeparableConv2D: depthwise, then 1x1 with the bias."""
    kernel = call.weights["depthwise_kernel"]
    inner = Call(call.kind, call.name, {**call.config, "use_bias": False}, {}, ())
    point = call.weights["pointwise_kernel"].transpose(3, 2, 0, 1)
    pointwise = nn.Conv2d(point.shape[1], point.shape[0], 1, bias=_has_bias(call))
    _fill(pointwise, point, call)
    return nn.Sequential(_padded(inner, _depthwise_kernel(kernel), kernel.shape[2]), pointwise)


def _depthwise_kernel(kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    high, wide, inputs, multiplier = kernel.shape
    return kernel.transpose(2, 3, 0, 1).reshape(inputs * multiplier, 1, high, wide)


def _padded(call: Call, kernel: NDArray[np.float32], groups: int) -> nn.Module:
    """A convolution with kernel (out, in / groups, h, w) and Keras' padding."""
    size, stride, dilation = pair(kernel.shape[2:]), pair(call.config["strides"]), _dilation(call)
    spans = [(k - 1) * d for k, d in zip(size, dilation, strict=True)]
    is_same = call.config["padding"] == "same"
    simple = stride == (1, 1) and all(span % 2 == 0 for span in spans)
    conv = nn.Conv2d(
        kernel.shape[1] * groups,
        kernel.shape[0],
        size,
        stride,
        (spans[0] // 2, spans[1] // 2) if is_same and simple else 0,
        dilation,
        groups,
        bias=_has_bias(call),
    )
    _fill(conv, kernel, call)
    return conv if simple or not is_same else nn.Sequential(SamePad(size, stride, dilation), conv)


def _dilation(call: Call) -> Pair:
    return pair(call.config.get("dilation_rate", 1))


def _has_bias(call: Call) -> bool:
    return bool(call.config.get("use_bias", True))


def _fill(module: nn.Conv2d | nn.ConvTranspose2d | nn.Linear, kernel: object, call: Call) -> None:
    with torch.no_grad():
        module.weight.copy_(_tensor(kernel))
        if module.bias is not None:
            module.bias.copy_(_tensor(call.weights["bias"]))


def _tensor(values: object) -> Tensor:
    return torch.from_numpy(np.array(values, np.float32, order="C"))


def _parameter(values: object) -> nn.Parameter:
    return nn.Parameter(_tensor(values), requires_grad=False)


ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "linear": lambda x: x,
    "relu": functional.relu,
    "relu6": functional.relu6,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softmax": lambda x: torch.softmax(x, dim=1),
    "elu": functional.elu,
    "selu": functional.selu,
    "softplus": functional.softplus,
    "swish": functional.silu,
    "silu": functional.silu,
    "gelu": functional.gelu,
}
