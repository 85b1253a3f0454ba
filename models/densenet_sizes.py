"""DenseNet121 as data: its blocks, its convolutions, its cost."""

from collections.abc import Iterator

from .layers import Conv, Cost, Placed, total
from .resnet_sizes import SIDE

FIRST_CHANNELS = 64
# Channels that each layer adds, and those between its two convolutions.
GROWTH = 32
BETWEEN = 4 * GROWTH
# Layers of the dense blocks; a transition between two halves channels and side.
BLOCKS = (6, 12, 24, 16)
FEATURES = 1024


def convolutions() -> Iterator[Placed]:
    """All convolutions with their output's side."""
    side = SIDE // 2
    yield Placed(Conv("features.conv0", 3, FIRST_CHANNELS, 7, 2, 1), side)
    side //= 2
    channels = FIRST_CHANNELS
    for block, layers in enumerate(BLOCKS, start=1):
        for layer in range(1, layers + 1):
            at = f"features.denseblock{block}.denselayer{layer}"
            yield Placed(Conv(f"{at}.conv1", channels, BETWEEN, 1, 1, 1), side)
            yield Placed(Conv(f"{at}.conv2", BETWEEN, GROWTH, 3, 1, 1), side)
            channels += GROWTH
        if block < len(BLOCKS):
            half = channels // 2
            yield Placed(Conv(f"features.transition{block}.conv", channels, half, 1, 1, 1), side)
            channels, side = half, side // 2


def cost(classes: int) -> Cost:
    """By counting over the definition."""
    placed = tuple(convolutions())
    # Normalization comes before each convolution but the first, which has it behind; and last.
    norms = FIRST_CHANNELS + sum(p.conv.inputs for p in placed[1:]) + FEATURES
    return total(placed, norms, FEATURES, classes)
