"""YOLO-NAS S, M and L as data, and what each costs; nothing here needs torch.

Deci-AI 2023, super-gradients (Apache-2.0). The three differ in the CSP layers and the heads
alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from ..layers import Cost

STRIDES = (8, 16, 32)
# A side's distance is a distribution over 0 ... 16 strides.
BINS = 17
SIDES = 4
BN_EPS = 1e-3
BN_MOMENTUM = 0.03


@dataclass(frozen=True)
class Csp:
    """A CSP layer: bottlenecks, channels within, and whether all their outputs are joined."""

    repeats: int
    hidden: int
    join_all: bool = False


@dataclass(frozen=True)
class Size:
    """One variant.

    Attributes:
        stages, necks: the CSP layers of the backbone's four stages and of the four necks.
        heads: channels of the heads at strides 8, 16 and 32.
        stem, stage_widths, neck_widths: channels, the same in S, M and L.
    """

    stages: tuple[Csp, Csp, Csp, Csp]
    necks: tuple[Csp, Csp, Csp, Csp]
    heads: tuple[int, int, int]
    stem: int = 48
    stage_widths: tuple[int, int, int, int] = (96, 192, 384, 768)
    neck_widths: tuple[int, int, int, int] = (192, 96, 192, 384)


S = Size(
    (Csp(2, 32), Csp(3, 64), Csp(5, 96), Csp(2, 192)),
    (Csp(2, 64), Csp(2, 48), Csp(2, 64), Csp(2, 64)),
    (64, 128, 256),
)
M = Size(
    (Csp(2, 64, True), Csp(3, 128, True), Csp(5, 256, True), Csp(2, 384)),
    (Csp(2, 192), Csp(3, 64), Csp(2, 192), Csp(3, 256)),
    (96, 192, 384),
)
L = Size(
    (Csp(2, 96, True), Csp(3, 128, True), Csp(5, 256, True), Csp(2, 512, True)),
    (Csp(4, 128), Csp(4, 128), Csp(4, 128), Csp(4, 256)),
    (128, 256, 512),
)
# For tests of the machinery: every kind of part, hardly any channels.
TINY = Size(
    (Csp(1, 8, True), Csp(1, 8), Csp(2, 8, True), Csp(1, 8)),
    (Csp(1, 8), Csp(1, 8), Csp(1, 8), Csp(1, 8)),
    (8, 8, 16),
    stem=8,
    stage_widths=(8, 16, 16, 32),
    neck_widths=(16, 8, 16, 32),
)


def positions(side: int) -> int:
    """Places that predict a box on side x side pixels."""
    return sum((side // stride) ** 2 for stride in STRIDES)


@dataclass(frozen=True)
class _Layer:
    """A convolution as it runs on the device: with bias, normalization folded in."""

    inputs: int
    outputs: int
    kernel: int
    stride: int

    @property
    def weights(self) -> int:
        return self.inputs * self.outputs * self.kernel**2


def cost(size: Size, side: int, classes: int) -> Cost:
    """Of the network as it is deployed: each block one convolution.

    Args:
        side: of the square input in pixels, a multiple of 32.
    """
    layers = tuple(_layers(size, classes))
    alphas = sum(csp.repeats for csp in (*size.stages, *size.necks))
    params = sum(layer.weights + layer.outputs for layer in layers) + alphas
    mult_adds = sum(layer.weights * (side // layer.stride) ** 2 for layer in layers)
    return Cost(params, params, mult_adds)


def _csp(inputs: int, outputs: int, csp: Csp, stride: int) -> Iterator[_Layer]:
    joined = csp.repeats + 2 if csp.join_all else 2
    yield _Layer(inputs, csp.hidden, 1, stride)
    yield _Layer(inputs, csp.hidden, 1, stride)
    yield _Layer(joined * csp.hidden, outputs, 1, stride)
    for _ in range(2 * csp.repeats):
        yield _Layer(csp.hidden, csp.hidden, 3, stride)


def _layers(size: Size, classes: int) -> Iterator[_Layer]:
    yield _Layer(3, size.stem, 3, 2)
    inputs = size.stem
    for stage, (width, csp) in enumerate(zip(size.stage_widths, size.stages, strict=True)):
        stride = 4 << stage
        yield _Layer(inputs, width, 3, stride)
        yield from _csp(width, width, csp, stride)
        inputs = width
    yield _Layer(inputs, inputs // 2, 1, 32)
    yield _Layer(4 * (inputs // 2), inputs, 1, 32)
    yield from _neck_layers(size)
    for width, head, stride in zip(size.neck_widths[1:], size.heads, STRIDES, strict=True):
        yield _Layer(width, head, 1, stride)
        yield _Layer(head, head, 3, stride)
        yield _Layer(head, head, 3, stride)
        yield _Layer(head, classes, 1, stride)
        yield _Layer(head, SIDES * BINS, 1, stride)


def _neck_layers(size: Size) -> Iterator[_Layer]:
    c2, c3, c4, c5 = size.stage_widths
    first, second, third, fourth = size.neck_widths
    ups = ((c5, c4, c3, first, 16), (first, c3, c2, second, 8))
    for (low, near, far, width, stride), csp in zip(ups, size.necks[:2], strict=True):
        yield _Layer(near, width, 1, stride)
        yield _Layer(far, width, 1, stride // 2)
        yield _Layer(width, width, 3, stride)
        yield _Layer(low, width, 1, 2 * stride)
        # Each place of the coarse map makes 2 x 2 of the fine one.
        yield _Layer(width, width, 2, 2 * stride)
        yield _Layer(3 * width, width, 1, stride)
        yield from _csp(width, width, csp, stride)
    downs = ((second, second, third, 16), (third, first, fourth, 32))
    for (inputs, skip, width, stride), csp in zip(downs, size.necks[2:], strict=True):
        yield _Layer(inputs, width // 2, 3, stride)
        yield from _csp(width // 2 + skip, width, csp, stride)
