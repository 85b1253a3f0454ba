"""INT8 for ONNX Runtime: static (QDQ) with three ways to find ranges, and dynamic."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import ConversionError
from ...runtime.manifest import FloatLayer
from ...runtime.spec import ModelSpec
from ..films import FilmSet
from ..float_tail import why
from ..onnx_files import FILE, parse, plain
from ..recipes import Export
from .driver import PROCESSORS, Layer, Processor, Quantization, Snr, few_films
from .onnx_graph import layers_of, results_of, tail_nodes, untouched, with_names

RECIPES = ("int8-static", "int8-static-u8", "int8-dynamic")
# Minimum and maximum; all but 0.01 % of the values; the least Kullback-Leibler divergence.
METHODS = ("minmax", "percentile-99.99", "entropy")
_RANGES = {
    "minmax": "minimum and maximum",
    "percentile-99.99": "99.99 % of the values",
    "entropy": "least Kullback-Leibler divergence",
}
_PERCENTILE = 99.99
# Films behind a histogram, and how many a histogram takes in at once: their tensors are all held.
_HISTOGRAM_FILMS = 64
_AT_ONCE = 8
_DYNAMIC = "ranges of each film as it comes; onnxruntime quantize_dynamic, u8 activations and "
_DEQUANTIZED = "_DequantizeLinear_Output"


def layers(fp32: Export, spec: ModelSpec) -> tuple[Layer, ...]:
    """See `Driver.layers`."""
    return layers_of(_named(fp32), spec)


def quantize(fp32: Export, spec: ModelSpec, films: FilmSet, settings: Quantization) -> Export:
    """See `Driver.quantize`. uint8 activations, weights a channel, float tail.

    Weights of "int8-static" are int8 in 7 bits, because x86 processors with AVX2 but without VNNI
    add two uint8 x int8 products in 16 bits and saturate: with 8 bits the logits of a narrow
    MobileNet moved by up to 0.6 on such a processor, with 7 they were equal to the last bit.
    Those of "int8-static-u8" are uint8 in 8 bits, whose products are widened first.
    """
    from onnxruntime.quantization.shape_inference import quant_pre_process

    model = _named(fp32)
    tail = tail_nodes(model, spec)
    _refuse_unknown(settings, {node.name for node in model.graph.node})
    kept = [*tail, *(name for name in settings.float_layers if name not in tail)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / FILE).write_bytes(model.SerializeToString())
        ready, quantized = folder / "ready.onnx", folder / "int8.onnx"
        quant_pre_process(folder / FILE, ready, skip_optimization=True, skip_symbolic_shape=True)
        if settings.recipe == "int8-dynamic":
            _dynamic(ready, quantized, kept)
        else:
            few = films if settings.method == "minmax" else few_films(films, _HISTOGRAM_FILMS)
            _static(ready, quantized, _Reader(spec.input.name, few), settings, kept)
        data = plain(parse(quantized.read_bytes()))
    return Export(((FILE, data),), fp32.binding, tuple(FloatLayer(n, why(spec)) for n in tail))


def drafts(_fp32: Export) -> bool:
    """Quantization is quick as it is."""
    return False


draft = quantize


def noise(fp32: Export, int8: Export, spec: ModelSpec, films: FilmSet) -> dict[str, float]:
    """See `Driver.noise`."""
    model, quantized = _named(fp32), parse(int8.files[0][1])
    there = {name for node in quantized.graph.node for name in node.output}
    exact, found = {}, {}
    for layer, result in results_of(model).items():
        name = result + _DEQUANTIZED if result + _DEQUANTIZED in there else result
        if name in there:
            exact[layer], found[layer] = result, name
    one, other = _session(model, exact.values()), _session(quantized, found.values())
    sums = dict.fromkeys(exact, Snr())
    for tensor in films.tensors():
        given = {spec.input.name: tensor}
        a = one.run(list(exact.values()), given)
        b = other.run(list(found.values()), given)
        for layer, x, y in zip(sums, a, b, strict=True):
            sums[layer] = sums[layer].add(x, y)
    return {layer: total.db for layer, total in sums.items()}


def in_float(fp32: Export, int8: Export) -> tuple[str, ...]:
    """See `Driver.in_float`."""
    return untouched(_named(fp32), parse(int8.files[0][1]))


def words(settings: Quantization) -> str:
    """See `Driver.words`."""
    if settings.recipe == "int8-dynamic":
        return _DYNAMIC + "u8 weights a channel"
    weights = "u8" if settings.recipe == "int8-static-u8" else "7-bit s8"
    of = "" if settings.method == "minmax" else f", of at most {_HISTOGRAM_FILMS} of the films"
    return (
        f"{_RANGES[settings.method]}{of}; onnxruntime quantize_static, QDQ, u8 activations, "
        f"{weights} weights a channel"
    )


def safe_on(settings: Quantization) -> tuple[Processor, ...]:
    """All, see `Driver.safe_on`: no recipe of ours has 8-bit s8 weights beside u8 activations."""
    return PROCESSORS


def _static(
    ready: Path, quantized: Path, reader: "_Reader", settings: Quantization, kept: list[str]
) -> None:
    from onnxruntime.quantization import (
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    unsigned = settings.recipe == "int8-static-u8"
    method, options = CalibrationMethod.MinMax, {}
    if settings.method != "minmax":
        options = {"CalibStridedMinMax": _AT_ONCE, "CalibPercentile": _PERCENTILE}
        method = CalibrationMethod.Percentile
    if settings.method == "entropy":
        options.pop("CalibPercentile")
        method = CalibrationMethod.Entropy
    quantize_static(
        ready,
        quantized,
        reader,
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        reduce_range=not unsigned,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QUInt8 if unsigned else QuantType.QInt8,
        nodes_to_exclude=kept,
        calibrate_method=method,
        extra_options=options,
    )


def _dynamic(ready: Path, quantized: Path, kept: list[str]) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    # It makes a MatMul of this name and an Add of every Gemm, and looks for the names after that.
    both = [*kept, *(f"{name}_MatMul" for name in kept)]
    quantize_dynamic(
        ready, quantized, per_channel=True, weight_type=QuantType.QUInt8, nodes_to_exclude=both
    )


class _Reader:
    """ONNX Runtime's calibration data reader."""

    def __init__(self, name: str, films: FilmSet) -> None:
        self._name, self._films = name, films
        self._tensors: Iterator[NDArray[np.float32]] = films.tensors()

    def __len__(self) -> int:
        """Rounded up to whole rounds of a histogram; the last round may be shorter."""
        return -(-len(self._films) // _AT_ONCE) * _AT_ONCE

    def set_range(self, start_index: int, end_index: int) -> None:
        """Read these films next."""
        films = self._films
        end = min(end_index, len(films))
        self._tensors = (films.batch(i, i + 1) for i in range(start_index, end))

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        tensor = next(self._tensors, None)
        return None if tensor is None else {self._name: tensor}


def _refuse_unknown(settings: Quantization, names: set[str]) -> None:
    if settings.recipe not in RECIPES or settings.method not in METHODS:
        raise ConversionError(
            f"{settings.recipe} by {settings.method}; ONNX has the recipes {', '.join(RECIPES)} "
            f"and the calibration methods {', '.join(METHODS)}. Name one of each."
        )
    unknown = [name for name in settings.float_layers if name not in names]
    if unknown:
        raise ConversionError(
            f"layers {', '.join(map(repr, unknown))} are not in the network; expected names that "
            "`layers` gives for the same file."
        )


def _session(model: Any, tensors: Any) -> Any:
    """As it is written, without an engine's optimization, giving these tensors."""
    import onnxruntime as ort
    from onnx import helper

    given = {o.name for o in model.graph.output}
    for name in dict.fromkeys(tensors):
        if name not in given:
            model.graph.output.append(helper.make_empty_tensor_value_info(name))
    settings = ort.SessionOptions()
    settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    settings.intra_op_num_threads = 1
    data = model.SerializeToString()
    return ort.InferenceSession(data, settings, providers=["CPUExecutionProvider"])


def _named(fp32: Export) -> Any:
    return with_names(parse(fp32.files[0][1]))
