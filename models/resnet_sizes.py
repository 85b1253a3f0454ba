"""ResNet50 as data: its blocks, its convolutions, its cost."""

from collections.abc import Iterator

from .layers import Conv, Cost, Placed, total

SIDE = 224
FIRST_CHANNELS = 64
# A block's output has EXPANSION times the channels of its 3x3 convolution.
EXPANSION = 4
# (channels of the 3x3 convolution, blocks, stride of the first block)
STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))
FEATURES = STAGES[-1][0] * EXPANSION


def convolutions() -> Iterator[Placed]:
    """All convolutions with their output's side; the stride is in the 3x3 one ("v1.5")."""
    side = SIDE // 2
    yield Placed(Conv("conv1", 3, FIRST_CHANNELS, 7, 2, 1), side)
    side //= 2
    inputs = FIRST_CHANNELS
    for stage, (channels, blocks, first_stride) in enumerate(STAGES, start=1):
        outputs = channels * EXPANSION
        for block in range(blocks):
            stride = first_stride if block == 0 else 1
            at = f"layer{stage}.{block}"
            yield Placed(Conv(f"{at}.conv1", inputs, channels, 1, 1, 1), side)
            side //= stride
            yield Placed(Conv(f"{at}.conv2", channels, channels, 3, stride, 1), side)
            yield Placed(Conv(f"{at}.conv3", channels, outputs, 1, 1, 1), side)
            if block == 0:
                yield Placed(Conv(f"{at}.downsample.0", inputs, outputs, 1, stride, 1), side)
            inputs = outputs


def cost(classes: int) -> Cost:
    """By counting over the definition."""
    placed = tuple(convolutions())
    return total(placed, sum(p.conv.outputs for p in placed), FEATURES, classes)
