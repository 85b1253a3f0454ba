"""MobileNetV1's definition as data, and how parameters and mult-adds of any network are counted.

Both the torch network and the figures that `clinicedge models` prints come from here; nothing
in this file needs torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

BN_EPS = 1e-3
FIRST_CHANNELS = 32
# (output channels at width 1, stride of the depthwise convolution)
BLOCKS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (1024, 2),
    (1024, 1),
)


@dataclass(frozen=True)
class Conv:
    """A square convolution without bias."""

    name: str
    inputs: int
    outputs: int
    kernel: int
    stride: int
    groups: int

    @property
    def weights(self) -> int:
        """Kernel values."""
        return self.outputs * (self.inputs // self.groups) * self.kernel**2

    def mult_adds(self, out_size: int) -> int:
        """Multiply-adds for an output of out_size x out_size; padding positions count."""
        return out_size**2 * self.weights


@dataclass(frozen=True)
class Placed:
    """A convolution and the side of its square output in pixels."""

    conv: Conv
    out_size: int


@dataclass(frozen=True)
class Cost:
    """What a network costs. `params_total` counts the moving mean and variance of the batch
    normalization, `params_trainable` does not. `mult_adds` leaves out normalization, activation,
    bias and pooling."""

    params_total: int
    params_trainable: int
    mult_adds: int


@cache
def backbone(width: float) -> tuple[Conv, ...]:
    """The 27 convolutions before the pooling at channel multiplier `width`."""
    channels = int(FIRST_CHANNELS * width)
    layers = [Conv("conv1", 3, channels, 3, 2, 1)]
    for i, (base, stride) in enumerate(BLOCKS, start=1):
        out = int(base * width)
        layers.append(Conv(f"dw{i}", channels, channels, 3, stride, channels))
        layers.append(Conv(f"pw{i}", channels, out, 1, 1, 1))
        channels = out
    return tuple(layers)


def cost(width: float, resolution: int, classes: int) -> Cost:
    """Parameters and mult-adds, by counting over the definition.

    Args:
        resolution: side of the square input in pixels, a multiple of 32.
    """
    size, placed = resolution, []
    layers = backbone(width)
    for conv in layers:
        size //= conv.stride
        placed.append(Placed(conv, size))
    return total(placed, sum(c.outputs for c in layers), layers[-1].outputs, classes)


def total(placed: Sequence[Placed], norms: int, features: int, classes: int) -> Cost:
    """Convolutions, batch normalization of `norms` channels, and one linear layer with bias."""
    head = features * classes
    trainable = sum(p.conv.weights for p in placed) + 2 * norms + head + classes
    mult_adds = sum(p.conv.mult_adds(p.out_size) for p in placed)
    return Cost(trainable + 2 * norms, trainable, mult_adds + head)


def feature_shape(width: float, resolution: int) -> tuple[int, int, int]:
    """(C, h, w) of the pooling's input."""
    return (backbone(width)[-1].outputs, resolution // 32, resolution // 32)
