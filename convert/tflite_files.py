"""TFLite: export by litert-torch, fp16 weights and static int8 by ai-edge-quantizer.

Every function here runs in a child process (`isolated.call`).
"""

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..runtime.errors import ConversionError
from ..runtime.manifest import FloatLayer, TensorBinding, TensorSpec
from ..runtime.spec import ModelSpec
from .films import FilmSet
from .float_tail import trailing
from .recipes import Export
from .source import export_form, pooled_features, tensor_specs
from .tflite_signature import with_true_outputs

if TYPE_CHECKING:
    from torch import nn

FILE = "main.tflite"
SIGNATURE = "serving_default"
ARGUMENT = "args_0"
_HEAD_OPERATIONS = ("MEAN", "FULLY_CONNECTED")


@dataclass(frozen=True)
class FloatRule:
    """Operations of a kind, e.g. "MEAN", whose scope a pattern finds, stay in float."""

    pattern: str
    kind: str


def export(module: "nn.Module", spec: ModelSpec) -> Export:
    """FP32; the file keeps channels first at its border."""
    import litert_torch  # type: ignore[import-untyped]
    import torch

    film = torch.zeros(1, *spec.input.shape)
    model = litert_torch.convert(export_form(module, spec), (film,))
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / FILE
        model.export(str(path))
        data = path.read_bytes()
    return bound(data, data, spec, ())


def to_fp16(fp32: Export, spec: ModelSpec) -> Export:
    """Weights stored as float16, widened to float32 at load."""
    from ai_edge_quantizer import quantizer  # type: ignore[import-untyped]
    from ai_edge_quantizer.algorithm_manager import (  # type: ignore[import-untyped]
        AlgorithmName,
    )
    from ai_edge_quantizer.qtyping import TFLOperationName  # type: ignore[import-untyped]

    with tempfile.TemporaryDirectory() as name:
        work = quantizer.Quantizer(written(fp32, Path(name)))
        work.add_weight_only_config(
            ".*", TFLOperationName.ALL_SUPPORTED, 16, algorithm_key=AlgorithmName.FLOAT_CASTING
        )
        result = work.quantize(enable_progress_report=False)
    return bound(bytes(result.quantized_model), fp32.files[0][1], spec, ())


def to_int8(fp32: Export, spec: ModelSpec, films: FilmSet) -> Export:
    """Static int8 weights a channel and int8 activations; what `float_tail` names in float."""
    from .guard import tflite_driver
    from .guard.driver import Quantization

    settings = Quantization("int8-static", tflite_driver.METHODS[0])
    return tflite_driver.quantize(fp32, spec, films, settings)


def float_rules(fp32: bytes, spec: ModelSpec) -> tuple[FloatRule, ...]:
    """What stays in float, see `float_tail`."""
    if pooled_features(spec) is not None:
        return tuple(FloatRule(".*", operation) for operation in _HEAD_OPERATIONS)
    from ai_edge_quantizer.qtyping import TFLOperationName
    from ai_edge_quantizer.utils import (  # type: ignore[import-untyped]
        tfl_flatbuffer_utils as flatbuffer,
    )

    model = flatbuffer.read_model(fp32)
    graph = model.subgraphs[0]
    wanted = "CONV_2D" if spec.task == "segmentation" else "FULLY_CONNECTED"
    code = flatbuffer.TFL_OP_NAME_TO_CODE[TFLOperationName(wanted)]
    found = [
        operation
        for operation in graph.operators
        if model.operatorCodes[operation.opcodeIndex].builtinCode == code
    ]
    scopes = [re.escape(flatbuffer.get_op_scope(op, graph.tensors)) for op in found]
    if spec.task == "segmentation":
        return tuple(FloatRule(scope, wanted) for scope in scopes[-1:])
    sizes = [int(np.prod(graph.tensors[op.inputs[1]].shape)) for op in found]
    total = len(fp32) // np.dtype(np.float32).itemsize
    return tuple(FloatRule(scopes[i], wanted) for i in trailing(sizes, total))


def written(export_: Export, folder: Path) -> str:
    """Path of the file that the quantizer reads."""
    path = folder / FILE
    path.write_bytes(export_.files[0][1])
    return str(path)


def _output_order(fp32: bytes, count: int) -> list[int]:
    """Where the spec's outputs stand among the file's, by the signature of the FP32 file.

    The quantizer keeps the order, but its signature may point at tensors inside the graph.
    """
    interpreter = _interpreter(fp32)
    results = interpreter.get_signature_runner(SIGNATURE).get_output_details()
    keys = [f"output_{i}" for i in range(count)]
    if sorted(results) != sorted(keys):
        raise ConversionError(
            f"the TFLite signature has the outputs {sorted(results)}, expected {keys}."
        )
    places = [d["index"] for d in interpreter.get_output_details()]
    return [places.index(results[key]["index"]) for key in keys]


def bound(data: bytes, fp32: bytes, spec: ModelSpec, layers: tuple[FloatLayer, ...]) -> Export:
    """Bind the manifest's names to the file's tensors, and the signature's to the true outputs."""
    inputs, outputs = tensor_specs(spec)
    order = _output_order(fp32, len(outputs))
    data = with_true_outputs(data, order)
    interpreter = _interpreter(data)
    details = interpreter.get_output_details()
    results = [details[i] for i in order]
    pairs = zip((*inputs, *outputs), (*interpreter.get_input_details(), *results), strict=True)
    return Export(((FILE, data),), tuple(_tensor_binding(*pair) for pair in pairs), layers)


def _interpreter(data: bytes) -> Any:
    from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-untyped]

    return Interpreter(model_content=data, num_threads=1)


def _tensor_binding(tensor: TensorSpec, detail: dict[str, Any]) -> TensorBinding:
    shape = tuple(int(n) for n in detail["shape"])
    if shape != tensor.shape:
        raise ConversionError(
            f"the TFLite tensor {detail['name']} is {shape}, expected {tensor.shape}."
        )
    axes = tuple(range(len(shape)))
    name, native, dtype = tensor.name, str(detail["name"]), np.dtype(detail["dtype"]).name
    if dtype == "float32":
        return TensorBinding(name, native, axes, "float32", None, None)
    if dtype not in ("int8", "uint8"):
        raise ConversionError(f"the TFLite tensor {native} is {dtype}, expected float32 or int8.")
    scale, zero_point = detail["quantization"]
    return TensorBinding(
        name, native, axes, "int8" if dtype == "int8" else "uint8", float(scale), int(zero_point)
    )
