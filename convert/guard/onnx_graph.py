"""An ONNX graph as the search sees it: its layers, what they cost, which stay in float anyway."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ...runtime.spec import ModelSpec
from ..float_tail import trailing
from ..source import pooled_features, scores_output
from .driver import Layer

# Quantized with what feeds them or only moving values: reverting them alone changes nothing.
_PASSING = frozenset(
    {
        "Relu",
        "Clip",
        "Reshape",
        "Transpose",
        "Squeeze",
        "Unsqueeze",
        "Flatten",
        "Slice",
        "Split",
        "Gather",
        "GatherElements",
        "Pad",
        "MaxPool",
        "Resize",
        "TopK",
        "CumSum",
        "ArgMax",
        "Where",
    }
)
_ACTIVATIONS = ("Relu", "Clip")
_BYTES = np.dtype(np.float32).itemsize

Shapes = Mapping[str, tuple[int, ...]]


def with_names(model: Any) -> Any:
    """The same model; nodes that nobody named get a name, which quantization needs."""
    taken = {node.name for node in model.graph.node}
    for i, node in enumerate(model.graph.node):
        if not node.name:
            name = f"{node.op_type}.{i}"
            node.name = name if name not in taken else f"{name}.unnamed"
    return model


def layers_of(model: Any, spec: ModelSpec) -> tuple[Layer, ...]:
    """Every node that ONNX Runtime would quantize for its own sake, as they run."""
    tail = set(tail_nodes(model, spec))
    shapes = shapes_of(model)
    constants = {t.name: tuple(t.dims) for t in model.graph.initializer}
    made_by = {name: node for node in model.graph.node for name in node.output}
    names = {n.name for n in model.graph.node if is_layer(n)}
    return tuple(
        Layer(
            name=node.name,
            operation=node.op_type,
            multiply_adds=_multiply_adds(node, shapes, constants),
            weight_bytes=sum(_BYTES * _size(constants[i]) for i in node.input if i in constants),
            inputs=tuple(dict.fromkeys(_sources(node, made_by, names))),
            tail=node.name in tail,
        )
        for node in model.graph.node
        if node.name in names
    )


def is_layer(node: Any) -> bool:
    """Whether the static recipes quantize the node for its own sake."""
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

    known = node.op_type in QDQRegistry or node.op_type in QLinearOpsRegistry
    return known and node.op_type not in _PASSING


def results_of(model: Any) -> dict[str, str]:
    """Layer -> the tensor that holds its result, behind an activation that is merged into it."""
    users: dict[str, list[Any]] = {}
    for node in model.graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    given = {o.name for o in model.graph.output}
    found = {}
    for node in model.graph.node:
        if not is_layer(node):
            continue
        result = node.output[0]
        after = users.get(result, [])
        if len(after) == 1 and after[0].op_type in _ACTIVATIONS and result not in given:
            result = after[0].output[0]
        found[node.name] = result
    return found


def untouched(model: Any, quantized: Any) -> tuple[str, ...]:
    """Layers that stand in the quantized graph as they were, with no operand out of 8 bits.

    The dynamic recipe puts other operations in their place and makes a Gemm a MatMul before.
    """
    scaled = {o for n in quantized.graph.node if n.op_type == "DequantizeLinear" for o in n.output}
    there = {node.name: node for node in quantized.graph.node if not scaled & set(node.input)}
    names = (node.name for node in model.graph.node if is_layer(node))
    return tuple(name for name in names if name in there or f"{name}_MatMul" in there)


def shapes_of(model: Any) -> dict[str, tuple[int, ...]]:
    """Of every tensor whose shape can be worked out."""
    import onnx

    graph = onnx.shape_inference.infer_shapes(model).graph
    return {
        value.name: tuple(d.dim_value for d in value.type.tensor_type.shape.dim)
        for value in (*graph.input, *graph.value_info, *graph.output)
    }


def tail_nodes(model: Any, spec: ModelSpec) -> list[str]:
    """Names of the nodes that stay in float in any case, see `float_tail`."""
    pooled = pooled_features(spec)
    if pooled is not None:
        return _after(model, pooled)
    if spec.task == "segmentation":
        return _last_convolution(model, scores_output(spec).name)
    if spec.task == "promptable-segmentation":
        return _attention(model)
    if spec.task == "detection":
        return _back_to_convolutions(model)
    sizes = {t.name: _size(t.dims) for t in model.graph.initializer}
    linear = [n for n in model.graph.node if n.op_type in ("Gemm", "MatMul")]
    weights = [max((sizes.get(i, 0) for i in n.input), default=0) for n in linear]
    return [linear[i].name for i in trailing(weights, sum(sizes.values()))]


def _after(model: Any, features: str) -> list[str]:
    """Names of the nodes that follow the feature map."""
    reached = {features}
    names = []
    for node in model.graph.node:
        if reached & set(node.input):
            reached |= set(node.output)
            names.append(node.name)
    return names


def _attention(model: Any) -> list[str]:
    """Softmax and products of two activations, and whatever depends on no film."""
    fixed = {t.name for t in model.graph.initializer} | {""}
    names = []
    for node in model.graph.node:
        if all(name in fixed for name in node.input):
            fixed.update(node.output)
            names.append(node.name)
        elif node.op_type == "Softmax" or (
            node.op_type == "MatMul" and not any(name in fixed for name in node.input)
        ):
            names.append(node.name)
    return names


def _last_convolution(model: Any, output: str) -> list[str]:
    """The convolution that gives the mask, and what only passes its values on."""
    made_by = {name: node for node in model.graph.node for name in node.output}
    names: list[str] = []
    while output in made_by:
        node = made_by[output]
        names.append(node.name)
        if node.op_type == "Conv":
            break
        output = node.input[0]
    return names


def _back_to_convolutions(model: Any) -> list[str]:
    """Everything between the outputs and the convolutions before them, these too, as they run."""
    made_by = {name: node for node in model.graph.node for name in node.output}
    waiting, found = [output.name for output in model.graph.output], set()
    while waiting:
        node = made_by.get(waiting.pop())
        if node is None or node.name in found:
            continue
        found.add(node.name)
        if node.op_type != "Conv":
            waiting.extend(node.input)
    return [node.name for node in model.graph.node if node.name in found]


def _sources(node: Any, made_by: Mapping[str, Any], layers: set[str]) -> Iterator[str]:
    """The layers whose results reach the node through nodes that are none."""
    waiting, seen = list(node.input), set(node.input)
    while waiting:
        maker = made_by.get(waiting.pop(0))
        if maker is None:
            continue
        if maker.name in layers:
            yield maker.name
            continue
        fresh = [name for name in maker.input if name not in seen]
        seen.update(fresh)
        waiting.extend(fresh)


def _multiply_adds(node: Any, shapes: Shapes, constants: Shapes) -> int:
    """Of convolutions and matrix products."""
    result = _size(shapes.get(node.output[0], ()))
    if node.op_type == "Conv":
        return result * _size(_shape(node.input[1], shapes, constants)[1:])
    if node.op_type == "ConvTranspose":
        given = _size(shapes.get(node.input[0], ()))
        return given * _size(_shape(node.input[1], shapes, constants)[1:])
    if node.op_type == "MatMul":
        return result * (_shape(node.input[0], shapes, constants) or (0,))[-1]
    if node.op_type == "Gemm":
        crossed = any(a.name == "transA" and a.i for a in node.attribute)
        return result * (_shape(node.input[0], shapes, constants) or (0, 0))[0 if crossed else -1]
    return 0


def _shape(name: str, shapes: Shapes, constants: Shapes) -> tuple[int, ...]:
    return constants.get(name) or shapes.get(name, ())


def _size(shape: Any) -> int:
    return int(np.prod(shape, dtype=np.int64)) if len(shape) else 0
