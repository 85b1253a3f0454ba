"""The operations of a TFLite file: their names, their work, what feeds them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

# Operations that pass values on as they are: they take no scale of their own.
MOVES = frozenset(
    {
        *("BROADCAST_TO", "DYNAMIC_UPDATE_SLICE", "GATHER", "GATHER_ND", "MAX_POOL_2D"),
        *("MIRROR_PAD", "PACK", "PAD", "PADV2", "RESHAPE", "RESIZE_NEAREST_NEIGHBOR", "SLICE"),
        *("SPACE_TO_DEPTH", "SPLIT", "STRIDED_SLICE", "TRANSPOSE", "UNPACK"),
    }
)
# Operations of one constant operand; where the weights stand among the operands.
WEIGHTED = {"CONV_2D": 1, "DEPTHWISE_CONV_2D": 1, "FULLY_CONNECTED": 1, "CONV_2D_TRANSPOSE": 1}
_FLOAT32, _INT8 = 0, 9
_FLOAT_BYTES = 4


@dataclass(frozen=True)
class Operation:
    """One operation of the main graph.

    Attributes:
        name: short and unique; a torch module's path where the file has it.
        scope: what the quantizer's patterns are matched with.
        kind: e.g. "CONV_2D".
        tensor: name of its first output, the same in the quantized file.
        feeds: places of the operations that read its outputs.
        fed_by: places of the operations that it reads.
        reads_film, gives_output: it touches the graph's border.
        moves: it passes values on; all others are layers.
    """

    name: str
    scope: str
    kind: str
    tensor: str
    multiply_adds: int
    weight_bytes: int
    feeds: tuple[int, ...]
    fed_by: tuple[int, ...]
    reads_film: bool
    gives_output: bool

    @property
    def moves(self) -> bool:
        """Whether it has no scale of its own."""
        return self.kind in MOVES


def operations(fp32: bytes) -> tuple[Operation, ...]:
    """What the quantizer could quantize in the main graph, as it runs: others are left out."""
    from ai_edge_quantizer.utils import (  # type: ignore[import-untyped]
        tfl_flatbuffer_utils as flatbuffer,
    )

    model = flatbuffer.read_model(fp32)
    graph = model.subgraphs[0]
    kinds = [_kind(model, op) for op in graph.operators]
    scopes = [flatbuffer.get_op_scope(op, graph.tensors) for op in graph.operators]
    names = _unique(list(zip(scopes, kinds, strict=True)))
    makers = {int(t): i for i, op in enumerate(graph.operators) for t in op.outputs}
    fed_by = [
        tuple(sorted({makers[t] for t in op.inputs if t in makers})) for op in graph.operators
    ]
    found = []
    for i, op in enumerate(graph.operators):
        adds, size = _work(model, graph, op, kinds[i])
        found.append(
            Operation(
                name=names[i],
                scope=scopes[i],
                kind=kinds[i],
                tensor=flatbuffer.get_tensor_name(graph.tensors[op.outputs[0]]),
                multiply_adds=adds,
                weight_bytes=size,
                feeds=tuple(j for j, by in enumerate(fed_by) if i in by),
                fed_by=fed_by[i],
                reads_film=bool(set(op.inputs) & set(graph.inputs)),
                gives_output=bool(set(op.outputs) & set(graph.outputs)),
            )
        )
    return tuple(found)


def float_results(data: bytes) -> frozenset[str]:
    """Names of the first outputs of the operations that have no operand of 8 bits."""
    from ai_edge_quantizer.utils import tfl_flatbuffer_utils as flatbuffer

    graph = flatbuffer.read_model(data).subgraphs[0]
    tensors = graph.tensors
    return frozenset(
        flatbuffer.get_tensor_name(tensors[op.outputs[0]])
        for op in graph.operators
        if not any(tensors[t].type == _INT8 for t in op.inputs if t >= 0)
    )


def layer_inputs(all_: tuple[Operation, ...], place: int) -> tuple[str, ...]:
    """Names of the layers that an operation reads, through operations that only move."""
    return tuple(all_[i].name for i in _reached(all_, place, upwards=True))


def float_moves(all_: tuple[Operation, ...], in_float: Iterable[str]) -> tuple[Operation, ...]:
    """Moving operations between layers in float, or between one and the graph's border.

    Quantized there, they would round values that are float before and after.
    """
    names = set(in_float)
    kept = []
    for place, operation in enumerate(all_):
        around = (*_reached(all_, place, True), *_reached(all_, place, False))
        if operation.moves and around and all(all_[i].name in names for i in around):
            kept.append(operation)
    return tuple(kept)


def short_name(scope: str, kind: str) -> str:
    """A torch module's path out of what litert-torch calls a tensor.

    Else the tensor's own name, or the operation where that is only a class of the network.
    """
    first = scope.split(";")[0]
    steps = [re.sub(r"^.*\.", "", step) for step in first.split("/")]
    # Each step is Class_attribute; the first is the class of the whole network.
    path = [s.partition("_")[2] for s in steps[1:]]
    if len(steps) > 1:
        return ".".join(p for p in path if p) or kind.lower()
    return kind.lower() if "." in first else first


def _reached(all_: tuple[Operation, ...], place: int, upwards: bool) -> tuple[int, ...]:
    found: list[int] = []
    seen, waiting = {place}, [place]
    while waiting:
        here = all_[waiting.pop()]
        for i in here.fed_by if upwards else here.feeds:
            if i in seen:
                continue
            seen.add(i)
            if all_[i].moves:
                waiting.append(i)
            else:
                found.append(i)
    return tuple(sorted(found))


def _unique(found: list[tuple[str, str]]) -> list[str]:
    """Of (scope, kind); where a name comes again it is numbered, layers before what only moves."""
    given = [""] * len(found)
    seen: dict[str, int] = {}
    for place in sorted(range(len(found)), key=lambda i: (found[i][1] in MOVES, i)):
        name = short_name(*found[place])
        seen[name] = seen.get(name, 0) + 1
        given[place] = name if seen[name] == 1 else f"{name}#{seen[name]}"
    return given


def _kind(model: Any, operation: Any) -> str:
    from ai_edge_quantizer.utils import tfl_flatbuffer_utils as flatbuffer

    code = model.operatorCodes[operation.opcodeIndex].builtinCode
    known: Mapping[int, Any] = flatbuffer.TFL_OP_CODE_TO_NAME
    return str(known[code].value) if code in known else f"builtin {code}"


def _work(model: Any, graph: Any, operation: Any, kind: str) -> tuple[int, int]:
    """Multiply-adds for one film, and bytes of the constants in float32."""
    tensors = graph.tensors
    constants = [
        t
        for t in operation.inputs
        if t >= 0
        and tensors[t].type == _FLOAT32
        and model.buffers[tensors[t].buffer].data is not None
    ]
    size = sum(_FLOAT_BYTES * _count(tensors[t]) for t in constants)
    result = _count(tensors[operation.outputs[0]])
    if kind == "BATCH_MATMUL":
        return result * int(tensors[operation.inputs[0]].shape[-1]), size
    if kind not in WEIGHTED:
        return 0, size
    weights = tensors[operation.inputs[WEIGHTED[kind]]]
    if kind == "CONV_2D_TRANSPOSE":
        # Operands: output shape, weights (out, h, w, in), film.
        film = tensors[operation.inputs[2]]
        return _count(film) // int(film.shape[-1]) * _count(weights), size
    channels = 3 if kind == "DEPTHWISE_CONV_2D" else 0
    return result * (_count(weights) // int(weights.shape[channels])), size


def _count(tensor: Any) -> int:
    return int(np.prod(tensor.shape)) if tensor.shape is not None else 1
