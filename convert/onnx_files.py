"""ONNX: export from torch, fp16 weights, static int8 for ONNX Runtime.

Every function here runs in a child process (`isolated.call`).
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import ConversionError
from ..runtime.manifest import FloatLayer, TensorBinding
from ..runtime.spec import ModelSpec
from .films import FilmSet
from .float_tail import trailing, why
from .recipes import Export
from .source import OnnxFile, export_form, pooled_features, scores_output, tensor_specs

if TYPE_CHECKING:
    from torch import nn

FILE = "main.onnx"
OPSET = 18


def export(network: "nn.Module | OnnxFile", spec: ModelSpec) -> Export:
    """FP32 by torch.export, batch of one, no names of this machine in the file.

    A network that came as ONNX stays as it came.
    """
    if isinstance(network, OnnxFile):
        return Export(((FILE, _plain(_parse_bytes(network.data))),), _binding(spec))
    import torch

    film = torch.zeros(1, *spec.input.shape)
    program = torch.onnx.export(
        export_form(network, spec),
        (film,),
        dynamo=True,
        opset_version=OPSET,
        input_names=[spec.input.name],
        output_names=[o.name for o in spec.outputs],
        verbose=False,
    )
    if program is None:
        raise ConversionError(f"'{spec.name}': torch gave no ONNX program.")
    return Export(((FILE, _plain(program.model_proto)),), _binding(spec))


def to_fp16(fp32: Export) -> Export:
    """Weights stored as float16, each behind a Cast to float32 that engines fold at load."""
    from onnx import TensorProto, helper, numpy_helper

    model = _parse(fp32)
    graph = model.graph
    casts, kept = [], []
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or len(tensor.dims) < 2:
            continue
        values = numpy_helper.to_array(tensor)
        if np.abs(values).max(initial=0.0) > np.finfo(np.float16).max:
            kept.append(FloatLayer(tensor.name, "a weight is beyond the range of float16"))
            continue
        name = tensor.name
        stored = f"{name}.f16"
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), stored))
        casts.append(
            helper.make_node("Cast", [stored], [name], name=f"{name}.f32", to=TensorProto.FLOAT)
        )
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend([*casts, *nodes])
    return Export(((FILE, _plain(model)),), fp32.binding, tuple(kept))


def to_int8(fp32: Export, spec: ModelSpec, films: FilmSet) -> Export:
    """Static QDQ: uint8 activations, int8 weights a channel in 7 bits, float head.

    Seven bits, because x86 processors with AVX2 but without VNNI add two uint8 x int8 products
    in 16 bits and saturate: with 8 bits the logits of a narrow MobileNet moved by up to 0.6 on
    such a processor, with 7 they were equal to the last bit.
    """
    from onnxruntime.quantization import (
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / FILE).write_bytes(fp32.files[0][1])
        ready, quantized = folder / "ready.onnx", folder / "int8.onnx"
        quant_pre_process(folder / FILE, ready, skip_optimization=True, skip_symbolic_shape=True)
        head = _float_nodes(_parse_bytes(ready.read_bytes()), spec)
        quantize_static(
            ready,
            quantized,
            _Reader(spec.input.name, films),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=head,
            calibrate_method=CalibrationMethod.MinMax,
        )
        data = _plain(_parse_bytes(quantized.read_bytes()))
    layers = tuple(FloatLayer(n, why(spec)) for n in head)
    return Export(((FILE, data),), fp32.binding, layers)


class _Reader:
    """ONNX Runtime's calibration data reader."""

    def __init__(self, name: str, films: FilmSet) -> None:
        self._name = name
        self._tensors: Iterator[NDArray[np.float32]] = films.tensors()

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        tensor = next(self._tensors, None)
        return None if tensor is None else {self._name: tensor}


def _binding(spec: ModelSpec) -> tuple[TensorBinding, ...]:
    inputs, outputs = tensor_specs(spec)
    return tuple(
        TensorBinding(t.name, t.name, tuple(range(len(t.shape))), "float32", None, None)
        for t in (*inputs, *outputs)
    )


def _float_nodes(model: Any, spec: ModelSpec) -> list[str]:
    """Names of the nodes that stay in float, see `float_tail`."""
    pooled = pooled_features(spec)
    if pooled is not None:
        return _after(model, pooled)
    if spec.task == "segmentation":
        return _last_convolution(model, scores_output(spec).name)
    sizes = {t.name: int(np.prod(t.dims)) for t in model.graph.initializer}
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


def _parse(export: Export) -> Any:
    return _parse_bytes(export.files[0][1])


def _parse_bytes(data: bytes) -> Any:
    import onnx

    return onnx.load_from_string(data)


def _plain(model: Any) -> bytes:
    """Without doc strings, metadata and intermediate shapes: smaller, the same everywhere."""
    model.doc_string = ""
    del model.metadata_props[:]
    graph = model.graph
    graph.doc_string = ""
    graph.name = "main"
    del graph.value_info[:]
    del graph.metadata_props[:]
    for item in (*graph.node, *graph.initializer, *graph.input, *graph.output):
        item.doc_string = ""
        if hasattr(item, "metadata_props"):
            del item.metadata_props[:]
    data: bytes = model.SerializeToString(deterministic=True)
    return data
