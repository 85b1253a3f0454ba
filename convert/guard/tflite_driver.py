"""TFLite's means for guarded quantization: ai-edge-quantizer, one rule an operation."""

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...runtime.errors import ConversionError
from ...runtime.manifest import FloatLayer
from ...runtime.spec import ModelSpec
from ..films import FilmSet
from ..float_tail import why
from ..recipes import Export
from ..tflite_files import ARGUMENT, SIGNATURE, FloatRule, bound, float_rules, written
from . import tflite_ranges
from .driver import PROCESSORS, Layer, Processor, Quantization, Snr
from .tflite_graph import Operation, float_moves, float_results, layer_inputs, operations

RECIPES = ("int8-static", "int8-dynamic")
METHODS = tflite_ranges.METHODS
# The engine quantizes a film in a fraction of the time that numpy needs at the border.
_BORDER = ("INPUT", "OUTPUT")


def layers(fp32: Export, spec: ModelSpec) -> tuple[Layer, ...]:
    """Every operation that has a scale of its own, as they run."""
    data = fp32.files[0][1]
    found = operations(data)
    rules = float_rules(data, spec)
    return tuple(
        Layer(
            name=operation.name,
            operation=operation.kind,
            multiply_adds=operation.multiply_adds,
            weight_bytes=operation.weight_bytes,
            inputs=layer_inputs(found, place),
            tail=_is_tail(operation, rules),
        )
        for place, operation in enumerate(found)
        if _is_layer(operation)
    )


def quantize(fp32: Export, spec: ModelSpec, films: FilmSet, settings: Quantization) -> Export:
    """Weights in 8 bits a channel; activations in 8 bits by calibration, or at run time.

    Raises:
        ConversionError: an unknown layer, recipe or method.
    """
    from ai_edge_quantizer import quantizer, recipe  # type: ignore[import-untyped]

    static = _is_static(settings)
    data = fp32.files[0][1]
    kept = float_rules(data, spec)
    with tempfile.TemporaryDirectory() as name:
        start = recipe.static_wi8_ai8() if static else recipe.dynamic_wi8_afp32()
        work = quantizer.Quantizer(written(fp32, Path(name)), start)
        for rule in kept:
            _leave(work, rule.pattern, rule.kind)
        for operation in _left_float(operations(data), kept, settings):
            _leave(work, f"^{re.escape(operation.scope)}$", operation.kind)
        if static:
            for border in _BORDER:
                _leave(work, ".*", border)
        signature = (SIGNATURE, ARGUMENT)
        ranges = tflite_ranges.ranges(work, films, settings.method, signature) if static else None
        result = work.quantize(ranges, enable_progress_report=False)
    tail = tuple(FloatLayer(rule.kind, why(spec)) for rule in kept)
    return bound(bytes(result.quantized_model), data, spec, tail)


def drafts(_fp32: Export) -> bool:
    """Quantization is quick as it is."""
    return False


draft = quantize


def noise(fp32: Export, int8: Export, spec: ModelSpec, films: FilmSet) -> Mapping[str, float]:
    """SNR in dB of each layer's output, by the tensors of equal names in both files."""
    data = fp32.files[0][1]
    named = {o.tensor: o.name for o in operations(data) if _is_layer(o)}
    sums = {name: Snr() for name in named.values()}
    exact = tflite_ranges.activations(data, films, tuple(named))
    found = tflite_ranges.activations(int8.files[0][1], films, tuple(named))
    matched: set[str] = set()
    for one, other in zip(exact, found, strict=True):
        for tensor in one.keys() & other.keys():
            layer = named[tensor]
            sums[layer] = sums[layer].add(one[tensor], other[tensor])
            matched.add(layer)
    return {name: total.db for name, total in sums.items() if name in matched}


def in_float(fp32: Export, int8: Export) -> tuple[str, ...]:
    """See `Driver.in_float`; by the tensors of equal names in both files."""
    kept = float_results(int8.files[0][1])
    found = operations(fp32.files[0][1])
    return tuple(o.name for o in found if _is_layer(o) and o.tensor in kept)


def words(settings: Quantization) -> str:
    """Method, tool, types."""
    if not _is_static(settings):
        return "none: ranges of activations at run time; ai-edge-quantizer dynamic_wi8_afp32"
    method = tflite_ranges.WORDS[settings.method]
    return f"{method}; ai-edge-quantizer static_wi8_ai8"


def safe_on(settings: Quantization) -> tuple[Processor, ...]:
    """All: XNNPACK adds products of int8 in 32 bits, where it adds two in 16 bits (Armv8.0) the
    weights are in -127..127, so that the sum of two stays below 2^15.
    """
    _is_static(settings)
    return PROCESSORS


def _is_static(settings: Quantization) -> bool:
    if settings.recipe not in RECIPES or settings.method not in METHODS:
        raise ConversionError(
            f"TFLite has no means for {settings.recipe} by {settings.method}; recipes: "
            f"{', '.join(RECIPES)}, methods: {', '.join(METHODS)}."
        )
    return settings.recipe == "int8-static"


def _is_layer(operation: Operation) -> bool:
    return not operation.moves and not operation.kind.startswith("builtin")


def _is_tail(operation: Operation, rules: tuple[FloatRule, ...]) -> bool:
    return any(
        rule.kind == operation.kind and re.search(rule.pattern, operation.scope) for rule in rules
    )


def _left_float(
    all_: tuple[Operation, ...], tail: tuple[FloatRule, ...], settings: Quantization
) -> tuple[Operation, ...]:
    """The layers that the settings name, and what only moves between layers in float."""
    known = {operation.name: operation for operation in all_}
    wrong = [name for name in settings.float_layers if name not in known]
    if wrong:
        raise ConversionError(
            f"the network has no layer {', '.join(map(repr, wrong))}; expected some of "
            f"{', '.join(o.name for o in all_ if _is_layer(o))}."
        )
    named = tuple(known[name] for name in settings.float_layers)
    ends = [o.name for o in all_ if _is_tail(o, tail)]
    return (*named, *float_moves(all_, (*settings.float_layers, *ends)))


def _leave(work: Any, pattern: str, kind: str) -> None:
    from ai_edge_quantizer.algorithm_manager import (  # type: ignore[import-untyped]
        AlgorithmName,
    )
    from ai_edge_quantizer.qtyping import TFLOperationName  # type: ignore[import-untyped]

    work.update_quantization_recipe(
        pattern, TFLOperationName(kind), algorithm_key=AlgorithmName.NO_QUANTIZE
    )
