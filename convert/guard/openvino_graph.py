"""The operations of an OpenVINO model: their names, their work, what feeds them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

_FLOAT_BYTES = 4
CONVOLUTIONS = (
    "Convolution",
    "GroupConvolution",
    "ConvolutionBackpropData",
    "GroupConvolutionBackpropData",
)
# What NNCF quantizes the inputs of beside convolutions and matrices (metatypes/groups.py).
_OTHERS = (
    "AdaptiveAvgPool",
    "AvgPool",
    "GroupNormalization",
    "Interpolate",
    "MVN",
    "NormalizeL2",
    "ReduceMean",
    "ScaledDotProductAttention",
)
# Layers where both operands are computed; with a constant they are a bias or a scale.
_PAIRS = ("Add", "Divide", "Multiply", "Power", "SquaredDifference", "Subtract")
# What follows a convolution and has no scale of its own before the next layer.
_TAKEN_ALONG = ("Add", "Multiply", "Subtract", "Relu", "Clamp", "PRelu", "Swish", "HSwish")


@dataclass(frozen=True)
class Operation:
    """One layer: `measured` is the operation whose output is compared, after bias and activation.

    `fed_by`: names of the layers that it reads, through operations that are none.
    """

    name: str
    kind: str
    measured: str
    multiply_adds: int
    weight_bytes: int
    fed_by: tuple[str, ...]


def steady_names(model: Any) -> None:
    """Name operations that nobody named by kind and place: a counter of the process is theirs."""
    for place, node in enumerate(model.get_ordered_ops()):
        kind = node.get_type_name()
        if kind != "Constant" and re.fullmatch(rf"{kind}_\d+", node.get_friendly_name()):
            node.set_friendly_name(f"{kind}.{place}")


def operations(model: Any) -> tuple[Operation, ...]:
    """The layers as they run; the model's names must be steady."""
    found = []
    for node in model.get_ordered_ops():
        if not _is_layer(node):
            continue
        adds, size = _work(node)
        found.append(
            Operation(
                name=node.get_friendly_name(),
                kind=node.get_type_name(),
                measured=_end(node).get_friendly_name(),
                multiply_adds=adds,
                weight_bytes=size,
                fed_by=tuple(sorted(set(_layers_above(node)))),
            )
        )
    return tuple(found)


def probe(model: Any, names: tuple[str, ...]) -> tuple[Any, tuple[str, ...]]:
    """A model that gives the outputs of the operations of these names, and which it has."""
    import openvino as ov
    from openvino import opset13

    nodes = {node.get_friendly_name(): node for node in model.get_ordered_ops()}
    had = tuple(name for name in names if name in nodes)
    results = [opset13.result(nodes[name].output(0)) for name in had]
    return ov.Model(results, model.get_parameters(), "probe"), had


def _is_layer(node: Any) -> bool:
    kind = node.get_type_name()
    if kind in CONVOLUTIONS or kind in _OTHERS:
        return True
    if kind != "MatMul" and kind not in _PAIRS:
        return False
    computed = [not _constant(node.input_value(i).get_node()) for i in range(2)]
    return all(computed) or (kind == "MatMul" and any(computed))


def _constant(node: Any) -> bool:
    """Whether nothing but constants makes it, e.g. weights that a Convert widens."""
    waiting = [node]
    while waiting:
        here = waiting.pop()
        if here.get_type_name() == "Parameter":
            return False
        waiting.extend(value.get_node() for value in here.input_values())
    return True


def _end(node: Any) -> Any:
    """The last operation of bias, scale and activation that alone reads a layer."""
    while True:
        readers = [t.get_node() for t in node.output(0).get_target_inputs()]
        if len(readers) != 1 or readers[0].get_type_name() not in _TAKEN_ALONG:
            return node
        others = [v.get_node() for v in readers[0].input_values()]
        others = [o for o in others if o.get_friendly_name() != node.get_friendly_name()]
        if not all(_constant(o) for o in others):
            return node
        node = readers[0]


def _layers_above(node: Any) -> Iterator[str]:
    seen: set[str] = set()
    waiting = [value.get_node() for value in node.input_values()]
    while waiting:
        here = waiting.pop()
        name = here.get_friendly_name()
        if name in seen:
            continue
        seen.add(name)
        if _is_layer(here):
            yield name
        else:
            waiting.extend(value.get_node() for value in here.input_values())


def _work(node: Any) -> tuple[int, int]:
    """Multiply-adds for one film, and bytes of the constants in float32."""
    weights = [_size(value) for value in node.input_values() if _constant(value.get_node())]
    size = _FLOAT_BYTES * sum(weights)
    kind, result = node.get_type_name(), _size(node.output(0))
    if kind == "MatMul":
        depth = list(node.input_value(0).get_shape())[
            -2 if node.get_attributes()["transpose_a"] else -1
        ]
        return result * int(depth), size
    if kind not in CONVOLUTIONS:
        return 0, size
    film, kernel = list(node.input_value(0).get_shape()), list(node.input_value(1).get_shape())
    if "Backprop" in kind:
        # Each value of the film meets every weight of its channel.
        return _size(node.input_value(0)) // int(film[1]) * int(np.prod(kernel)), size
    # Convolution: (out, in, h, w); GroupConvolution: (groups, out, in, h, w).
    outputs = int(np.prod(kernel[:2])) if kind == "GroupConvolution" else int(kernel[0])
    return result * (int(np.prod(kernel)) // outputs), size


def _size(output: Any) -> int:
    return int(np.prod(output.get_shape()))
