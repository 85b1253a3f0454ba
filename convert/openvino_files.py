"""OpenVINO: from ONNX to IR, fp16 weights, static int8 by NNCF.

Every function here runs in a child process (`isolated.call`).
"""

import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from ..runtime.manifest import FloatLayer
from ..runtime.spec import ModelSpec
from .float_tail import trailing
from .guard.openvino_graph import steady_names
from .recipes import Export
from .source import pooled_features, scores_output

FILES = ("main.xml", "main.bin")


def export(onnx_fp32: Export, fp16: bool) -> Export:
    """IR of the ONNX file; with `fp16` the weights are stored so and widened at load."""
    with tempfile.TemporaryDirectory() as name:
        return saved(read(onnx_fp32, Path(name)), onnx_fp32, fp16, ())


def read(onnx_fp32: Export, folder: Path) -> Any:
    """The ONNX file as an OpenVINO model; every operation's name is the same in every process."""
    import openvino as ov

    model = ov.convert_model(written(onnx_fp32, folder))
    steady_names(model)
    return model


def written(export_: Export, folder: Path) -> Path:
    """Path of the file that an engine opens, with the others beside it."""
    for name, data in export_.files:
        (folder / name).write_bytes(data)
    return folder / export_.files[0][0]


def saved(model: Any, onnx_fp32: Export, fp16: bool, layers: tuple[FloatLayer, ...]) -> Export:
    """The model as IR."""
    import openvino as ov

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ov.save_model(model, folder / FILES[0], compress_to_fp16=fp16)
        graph, weights = ((folder / file).read_bytes() for file in FILES)
    files = ((FILES[0], _steady(graph)), (FILES[1], weights))
    return Export(files, onnx_fp32.binding, layers)


def _steady(graph: bytes) -> bytes:
    """Operations that nobody named carry a counter of the process; count them in the file."""
    known: dict[bytes, bytes] = {}

    def again(found: re.Match[bytes]) -> bytes:
        name = known.setdefault(found[1], b"%s.%d" % (found[2], len(known)))
        return b'name="%s" type="' % name

    return re.sub(rb'name="(([A-Z][A-Za-z]*)_\d+)" type="', again, graph)


def float_operations(model: Any, spec: ModelSpec) -> list[str]:
    """Names of the operations that stay in float, see `float_tail`."""
    pooled = pooled_features(spec)
    if pooled is not None:
        return _after(model, pooled)
    if spec.task == "segmentation":
        return _last_convolution(model, scores_output(spec).name)
    if spec.task == "promptable-segmentation":
        return _attention(model)
    if spec.task == "detection":
        return _back_to_convolutions(model)
    linear = [op for op in model.get_ordered_ops() if op.get_type_name() == "MatMul"]
    sizes = [max(_constant_size(op, port) for port in (0, 1)) for op in linear]
    constants = (op for op in model.get_ops() if op.get_type_name() == "Constant")
    total = sum(int(np.prod(op.get_output_shape(0))) for op in constants)
    return [linear[i].get_friendly_name() for i in trailing(sizes, total)]


def _attention(model: Any) -> list[str]:
    """Softmax and products of two activations, which reading ONNX makes one operation of.

    What depends on no film is folded already.
    """
    names = []
    for op in model.get_ordered_ops():
        kind = op.get_type_name()
        given = [op.input_value(i).get_node().get_type_name() for i in range(op.get_input_size())]
        product = kind == "MatMul" and "Constant" not in given
        if product or kind.lower() in ("softmax", "scaleddotproductattention"):
            names.append(op.get_friendly_name())
    return names


def _back_to_convolutions(model: Any) -> list[str]:
    """Everything between the outputs and the convolutions before them, these too, as they run."""
    waiting, found = [result.input_value(0).get_node() for result in model.get_results()], set()
    while waiting:
        node = waiting.pop()
        if node.get_friendly_name() in found or node.get_type_name() in ("Constant", "Parameter"):
            continue
        found.add(node.get_friendly_name())
        if node.get_type_name() != "Convolution":
            waiting.extend(node.input_value(i).get_node() for i in range(node.get_input_size()))
    names = (op.get_friendly_name() for op in model.get_ordered_ops())
    return [name for name in names if name in found]


def _constant_size(operation: Any, port: int) -> int:
    given = operation.input_value(port).get_node()
    if given.get_type_name() != "Constant":
        return 0
    return int(np.prod(given.get_output_shape(0)))


def _after(model: Any, features: str) -> list[str]:
    """Names of the operations that compute from the feature map."""
    start = model.output(features).get_node().input_value(0)
    skipped = {"Result", "Constant"}
    found: list[str] = []
    reached = [start]
    for output in reached:
        for port in output.get_target_inputs():
            node = port.get_node()
            name = node.get_friendly_name()
            if node.get_type_name() not in skipped and name not in found:
                found.append(name)
                reached.extend(node.outputs())
    return found


def _last_convolution(model: Any, output: str) -> list[str]:
    """The convolution that gives the mask, and what only passes its values on."""
    node = model.output(output).get_node().input_value(0).get_node()
    found = [node.get_friendly_name()]
    while "Convolution" not in node.get_type_name() and node.get_input_size():
        node = node.input_value(0).get_node()
        found.append(node.get_friendly_name())
    return found
