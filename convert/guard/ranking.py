"""In which order layers go back to float, and how many may."""

import math
from collections.abc import Mapping, Sequence

from .driver import Layer

# An artifact that computes more of its multiply-adds in float than this is INT8 by name only.
MOST_FLOAT = 0.5
# So that a layer that computes next to nothing does not always go first.
_SMALL_SHARE = 0.01


def ranked(layers: Sequence[Layer], noise: Mapping[str, float]) -> tuple[str, ...]:
    """Names of the layers that can be reverted, by own noise for what they compute.

    A layer's own noise is its noise power over signal power less that of its noisiest input.
    """
    power = {name: math.pow(10.0, -db / 10) for name, db in noise.items()}
    total = sum(layer.multiply_adds for layer in layers) or 1

    def cost(layer: Layer) -> float:
        came_in = max((power.get(name, 0.0) for name in layer.inputs), default=0.0)
        own = max(power.get(layer.name, 0.0) - came_in, 0.0)
        return own / (layer.multiply_adds / total + _SMALL_SHARE)

    free = [layer for layer in layers if not layer.tail]
    return tuple(layer.name for layer in sorted(free, key=cost, reverse=True))


def within_cap(order: Sequence[str], layers: Sequence[Layer], most: float) -> tuple[str, ...]:
    """Those of the order that can go to float together, with the tail, below a share."""
    cost = {layer.name: layer.multiply_adds for layer in layers}
    room = most * sum(cost.values()) - sum(la.multiply_adds for la in layers if la.tail)
    taken = []
    for name in order:
        if cost[name] <= room:
            taken.append(name)
            room -= cost[name]
    return tuple(taken)


def float_share(layers: Sequence[Layer], reverted: Sequence[str]) -> float:
    """Share of the multiply-adds that stays in float, tail and reverted layers."""
    total = sum(layer.multiply_adds for layer in layers)
    kept = sum(x.multiply_adds for x in layers if x.tail or x.name in set(reverted))
    return kept / total if total else 0.0
