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
from .float_tail import trailing
from .recipes import Export
from .source import Border, export_form, pooled_features, tensor_specs
from .tflite_signature import with_true_outputs

if TYPE_CHECKING:
    from torch import nn

FILE = "main.tflite"
SIGNATURE = "serving_default"
ARGUMENT = "args_0"
_HEAD_OPERATIONS = ("MEAN", "FULLY_CONNECTED")
# Products of two activations; those with weights are FULLY_CONNECTED.
_ATTENTION = ("BATCH_MATMUL", "SOFTMAX")


@dataclass(frozen=True)
class FloatRule:
    """Operations of a kind, e.g. "MEAN", whose scope a pattern finds, stay in float."""

    pattern: str
    kind: str


def export(module: "nn.Module", spec: ModelSpec) -> Export:
    """FP32; the file keeps channels first at its border."""
    return export_module(export_form(module, spec), Border(*tensor_specs(spec)))


def export_module(module: "nn.Module", border: Border) -> Export:
    """FP32 of a graph with any number of inputs."""
    import litert_torch  # type: ignore[import-untyped]
    import torch

    model = litert_torch.convert(module, tuple(torch.zeros(t.shape) for t in border.inputs))
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / FILE
        model.export(str(path))
        data = path.read_bytes()
    return _bound(data, data, border, ())


def to_fp16(fp32: Export, spec: ModelSpec) -> Export:
    """Weights stored as float16, widened to float32 at load."""
    return fp16_of(fp32, Border(*tensor_specs(spec)))


def fp16_of(fp32: Export, border: Border) -> Export:
    """The same of a graph with any number of inputs."""
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
    return _bound(bytes(result.quantized_model), fp32.files[0][1], border, ())


def float_rules(fp32: bytes, spec: ModelSpec) -> tuple[FloatRule, ...]:
    """What stays in float, see `float_tail`."""
    if pooled_features(spec) is not None:
        return tuple(FloatRule(".*", operation) for operation in _HEAD_OPERATIONS)
    if spec.task == "promptable-segmentation":
        return tuple(FloatRule(".*", operation) for operation in _ATTENTION)
    from ai_edge_quantizer.qtyping import TFLOperationName
    from ai_edge_quantizer.utils import (  # type: ignore[import-untyped]
        tfl_flatbuffer_utils as flatbuffer,
    )

    model = flatbuffer.read_model(fp32)
    graph = model.subgraphs[0]
    if spec.task == "detection":
        return _back_to_convolutions(model, flatbuffer)
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


def _back_to_convolutions(model: Any, flatbuffer: Any) -> tuple[FloatRule, ...]:
    """Everything between the outputs and the convolutions before them, these too."""
    graph = model.subgraphs[0]
    made_by = {tensor: op for op in graph.operators for tensor in op.outputs}
    waiting, seen, found = list(graph.outputs), set(), []
    while waiting:
        tensor = waiting.pop()
        operation = made_by.get(tensor)
        if operation is None or tensor in seen:
            continue
        seen.add(tensor)
        code = model.operatorCodes[operation.opcodeIndex].builtinCode
        kind = flatbuffer.TFL_OP_CODE_TO_NAME.get(code)
        if kind is not None:
            scope = flatbuffer.get_op_scope(operation, graph.tensors)
            found.append(FloatRule(f"^{re.escape(scope)}$", str(kind.value)))
        if kind is None or kind.value != "CONV_2D":
            waiting.extend(operation.inputs)
    return tuple(dict.fromkeys(found))


def written(export_: Export, folder: Path) -> str:
    """Path of the file that the quantizer reads."""
    path = folder / FILE
    path.write_bytes(export_.files[0][1])
    return str(path)


def _order(fp32: bytes, border: Border) -> tuple[list[int], list[int]]:
    """Where the border's inputs and outputs stand among the file's, by the FP32 file's signature.

    The quantizer keeps the order, but its signature may point at tensors inside the graph.
    """
    interpreter = _interpreter(fp32)
    runner = interpreter.get_signature_runner(SIGNATURE)
    given, results = runner.get_input_details(), runner.get_output_details()
    arguments = [ARGUMENT.replace("0", str(i)) for i in range(len(border.inputs))]
    keys = [f"output_{i}" for i in range(len(border.outputs))]
    for what, found, wanted in (("inputs", given, arguments), ("outputs", results, keys)):
        if sorted(found) != sorted(wanted):
            raise ConversionError(
                f"the TFLite signature has the {what} {sorted(found)}, expected {wanted}."
            )
    before = [d["index"] for d in interpreter.get_input_details()]
    places = [d["index"] for d in interpreter.get_output_details()]
    return (
        [before.index(given[key]["index"]) for key in arguments],
        [places.index(results[key]["index"]) for key in keys],
    )


def bound(data: bytes, fp32: bytes, spec: ModelSpec, layers: tuple[FloatLayer, ...]) -> Export:
    """Bind the manifest's names to the file's tensors, and the signature's to the true outputs."""
    return _bound(data, fp32, Border(*tensor_specs(spec)), layers)


def _bound(data: bytes, fp32: bytes, border: Border, layers: tuple[FloatLayer, ...]) -> Export:
    given, order = _order(fp32, border)
    data = with_true_outputs(data, order)
    interpreter = _interpreter(data)
    before, after = interpreter.get_input_details(), interpreter.get_output_details()
    details = [*(before[i] for i in given), *(after[i] for i in order)]
    pairs = zip((*border.inputs, *border.outputs), details, strict=True)
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
