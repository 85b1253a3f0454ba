"""The separable CNN as data: its blocks, the sides of its maps, its cost."""

from collections.abc import Iterator

from .layers import Cost

SIDE = 180
STEM = 16
# Output channels of each block, and the share dropped after it.
FILTERS = ((32, 0.0), (64, 0.0), (128, 0.2), (256, 0.2))
# Units of each dense layer, and the share dropped after it.
DENSE = ((512, 0.7), (128, 0.5), (64, 0.3))


def sides(side: int) -> tuple[int, ...]:
    """Side of the maps in the stem and in each block, before their pooling."""
    return tuple(side >> i for i in range(1 + len(FILTERS)))


def flattened(side: int) -> int:
    """Values that enter the first dense layer."""
    channels, _ = FILTERS[-1]
    return channels * (sides(side)[-1] // 2) ** 2


def _layers(side: int) -> Iterator[tuple[int, int, int]]:
    """(kernel values, biases, positions) of each convolution and dense layer."""
    at = sides(side)
    for inputs in (3, STEM):
        yield 9 * inputs * STEM, STEM, at[0] ** 2
    inputs = STEM
    for (filters, _), here in zip(FILTERS, at[1:], strict=True):
        for channels in (inputs, filters):
            yield 9 * channels, 0, here**2
            yield channels * filters, filters, here**2
        inputs = filters
    inputs = flattened(side)
    for units in (*(units for units, _ in DENSE), 1):
        yield inputs * units, units, 1
        inputs = units


def cost(side: int) -> Cost:
    """Parameters and mult-adds of the network for side x side pixels, by counting."""
    layers = list(_layers(side))
    norms = sum(channels for channels, _ in (*FILTERS, *DENSE))
    trainable = sum(kernel + bias for kernel, bias, _ in layers) + 2 * norms
    mult_adds = sum(kernel * positions for kernel, _, positions in layers)
    return Cost(trainable + 2 * norms, trainable, mult_adds)
