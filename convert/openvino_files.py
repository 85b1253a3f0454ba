"""OpenVINO: from ONNX to IR, fp16 weights, static int8 by NNCF.

Every function here runs in a child process (`isolated.call`).
"""

import re
import tempfile
from pathlib import Path
from typing import Any

from ..runtime.manifest import FloatLayer
from ..runtime.spec import ModelSpec
from .films import FilmSet
from .onnx_files import HEAD_WHY
from .recipes import Export
from .source import features_name

FILES = ("main.xml", "main.bin")


def export(onnx_fp32: Export, fp16: bool) -> Export:
    """IR of the ONNX file; with `fp16` the weights are stored so and widened at load."""
    with tempfile.TemporaryDirectory() as name:
        return _saved(_read(onnx_fp32, Path(name)), onnx_fp32, fp16, ())


def to_int8(onnx_fp32: Export, spec: ModelSpec, films: FilmSet) -> Export:
    """NNCF's static quantization: symmetric weights, asymmetric activations, float head.

    Ranges from the smallest and largest value, and the full bias correction: with the defaults
    (means of the extremes, fast correction) a narrow MobileNet moved six decisions of 374, so
    one. NNCF's default keeps the first layer in 7 bits; with that, processors without VNNI were
    seen to answer as those with it.
    """
    import nncf

    with tempfile.TemporaryDirectory() as name:
        model = _read(onnx_fp32, Path(name))
        head = _head(model, features_name(spec))
        quantized = nncf.quantize(
            model,
            nncf.Dataset(list(films.tensors())),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(films.pixels),
            fast_bias_correction=False,
            ignored_scope=nncf.IgnoredScope(names=head, validate=False),
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                activations_range_estimator_params=_extremes()
            ),
        )
        layers = tuple(FloatLayer(n, HEAD_WHY) for n in head)
        return _saved(quantized, onnx_fp32, False, layers)


def _extremes() -> Any:
    from nncf.quantization.range_estimator import (
        AggregatorType,
        RangeEstimatorParameters,
        StatisticsCollectorParameters,
        StatisticsType,
    )

    return RangeEstimatorParameters(
        min=StatisticsCollectorParameters(StatisticsType.MIN, AggregatorType.MIN),
        max=StatisticsCollectorParameters(StatisticsType.MAX, AggregatorType.MAX),
    )


def _read(onnx_fp32: Export, folder: Path) -> Any:
    import openvino as ov

    name, data = onnx_fp32.files[0]
    (folder / name).write_bytes(data)
    return ov.convert_model(folder / name)


def _saved(model: Any, onnx_fp32: Export, fp16: bool, layers: tuple[FloatLayer, ...]) -> Export:
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


def _head(model: Any, features: str | None) -> list[str]:
    """Names of the operations that compute from the feature map."""
    if features is None:
        return []
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
