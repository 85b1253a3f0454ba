"""A user's ONNX file as the source of a conversion: batch of one, named as the bundle names."""

from pathlib import Path
from typing import Any

from ..runtime.errors import CheckpointError
from ..runtime.spec import ModelSpec
from .source import OnnxFile

# Taken off the end: the bundle applies them, and its thresholds are on what they give.
_LAST = ("Sigmoid", "Softmax")
_BATCH_AXIS = 0


def read_onnx(path: Path, spec: ModelSpec) -> tuple[OnnxFile, tuple[str, ...]]:
    """Read and check a file; notes tell what was changed.

    Raises:
        CheckpointError: no ONNX, several inputs or outputs, or shapes that the spec does not have.
    """
    import onnx

    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
    except (OSError, ValueError, RuntimeError, onnx.checker.ValidationError) as err:
        raise CheckpointError(f"{path} is no ONNX file that holds: {_short(err)}.") from err
    except _decode_errors() as err:
        raise CheckpointError(f"{path} is no ONNX file: {_short(err)}.") from err
    graph = model.graph
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    for what, found in (("inputs", inputs), ("outputs", list(graph.output))):
        if len(found) != 1:
            raise CheckpointError(
                f"{path} has {len(found)} {what} ({', '.join(v.name for v in found)}); expected "
                "one. Export the network with its film and its logits alone."
            )
    notes = _without_activation(model)
    _set_shape(inputs[0], (1, *spec.input.shape), path)
    output = spec.outputs[0]
    _rename(graph, inputs[0].name, spec.input.name)
    _rename(graph, graph.output[0].name, output.name)
    fixed = _inferred(model, path)
    _check_output(fixed, output.shape, spec, path)
    return OnnxFile(fixed.SerializeToString(deterministic=True)), tuple(notes)


def _decode_errors() -> tuple[type[Exception], ...]:
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    return (DecodeError,)


def _without_activation(model: Any) -> list[str]:
    graph = model.graph
    name = graph.output[0].name
    last = next((n for n in graph.node if name in n.output), None)
    if last is None or last.op_type not in _LAST:
        return []
    users = [n for n in graph.node if last.input[0] in n.input]
    if len(users) > 1:
        return []
    graph.node.remove(last)
    graph.output[0].name = last.input[0]
    return [f"the last {last.op_type} was taken off: the bundle applies it"]


def _set_shape(value: Any, shape: tuple[int, ...], path: Path) -> None:
    dims = value.type.tensor_type.shape.dim
    found = tuple(d.dim_value or None for d in dims)
    fits = len(found) == len(shape) and all(
        f in (None, s) for f, s in zip(found[1:], shape[1:], strict=True)
    )
    if not fits or found[_BATCH_AXIS] not in (None, 1):
        raise CheckpointError(
            f"{path}: the input has shape {found}, the spec says {shape} (batch of one or free, "
            "channels first). Correct [input] of the spec, or export it so."
        )
    for dim, size in zip(dims, shape, strict=True):
        dim.Clear()
        dim.dim_value = size


def _rename(graph: Any, old: str, new: str) -> None:
    """Give a tensor the bundle's name; another that has it steps aside."""
    if old == new:
        return
    for node in graph.node:
        for names in (node.input, node.output):
            for i, name in enumerate(names):
                names[i] = {old: new, new: f"{new}.inner"}.get(name, name)
    for value in (*graph.input, *graph.output, *graph.initializer):
        value.name = {old: new, new: f"{new}.inner"}.get(value.name, value.name)


def _inferred(model: Any, path: Path) -> Any:
    """With the shapes that a batch of one gives."""
    import onnx

    del model.graph.value_info[:]
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    try:
        fixed = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        onnx.checker.check_model(fixed)
    except (RuntimeError, ValueError) as err:
        raise CheckpointError(
            f"{path}: its shapes do not work out for a batch of one: {_short(err)}. Export it "
            "with a free batch axis or a batch of one."
        ) from err
    return fixed


def _check_output(model: Any, shape: tuple[int, ...], spec: ModelSpec, path: Path) -> None:
    dims = model.graph.output[0].type.tensor_type.shape.dim
    found = tuple(d.dim_value for d in dims)[1:]
    if found != shape:
        labels = spec.outputs[0].labels
        raise CheckpointError(
            f"{path} gives {found} a film; '{spec.name}' has {len(labels)} labels "
            f"({', '.join(labels)}) and expects {shape}. Name one label a score, in the head's "
            "order."
        )


def _short(err: Exception) -> str:
    return " ".join(str(err).split())[:400]
