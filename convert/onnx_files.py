"""ONNX: export from torch, fp16 weights. INT8 is made in `guard/onnx_driver.py`.

Every function here runs in a child process (`isolated.call`).
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from ..runtime.errors import ConversionError
from ..runtime.manifest import FloatLayer, TensorBinding
from ..runtime.spec import ModelSpec
from .recipes import Export
from .source import Border, OnnxFile, export_form, tensor_specs

if TYPE_CHECKING:
    from torch import nn

FILE = "main.onnx"
OPSET = 18


def export(network: "nn.Module | OnnxFile", spec: ModelSpec) -> Export:
    """FP32 by torch.export, batch of one, no names of this machine in the file.

    A network that came as ONNX stays as it came.
    """
    border = Border(*tensor_specs(spec))
    if isinstance(network, OnnxFile):
        return Export(((FILE, plain(parse(network.data))),), _binding(border))
    return export_module(export_form(network, spec), border)


def export_module(module: "nn.Module", border: Border) -> Export:
    """FP32 of a graph with any number of inputs."""
    import torch

    program = torch.onnx.export(
        module,
        tuple(torch.zeros(t.shape) for t in border.inputs),
        dynamo=True,
        opset_version=OPSET,
        input_names=[t.name for t in border.inputs],
        output_names=[t.name for t in border.outputs],
        verbose=False,
    )
    if program is None:
        raise ConversionError(f"{type(module).__name__}: torch gave no ONNX program.")
    return Export(((FILE, plain(program.model_proto)),), _binding(border))


def to_fp16(fp32: Export) -> Export:
    """Weights stored as float16, each behind a Cast to float32 that engines fold at load."""
    from onnx import TensorProto, helper, numpy_helper

    model = parse(fp32.files[0][1])
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
    return Export(((FILE, plain(model)),), fp32.binding, tuple(kept))


def _binding(border: Border) -> tuple[TensorBinding, ...]:
    return tuple(
        TensorBinding(t.name, t.name, tuple(range(len(t.shape))), "float32", None, None)
        for t in (*border.inputs, *border.outputs)
    )


def parse(data: bytes) -> Any:
    """The model in these bytes."""
    import onnx

    return onnx.load_from_string(data)


def plain(model: Any) -> bytes:
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
