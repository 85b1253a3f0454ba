"""OpenVINO's means for guarded quantization: NNCF with the named operations left out."""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import ConversionError
from ...runtime.manifest import FloatLayer
from ...runtime.spec import ModelSpec
from ..films import FilmSet
from ..float_tail import why
from ..openvino_files import float_operations, read, saved, written
from ..recipes import Export
from .driver import PROCESSORS, Layer, Processor, Quantization, Snr
from .openvino_graph import operations, probe

# Dynamic INT8 is OpenVINO's for matrices with compressed weights alone: convolutions, which are
# nearly all of these networks' work, would run in float32 from int8 storage.
RECIPES = ("int8-static",)
METHODS = ("minmax", "mean-minmax", "percentile-99.99", "mse")
_WORDS = {
    "minmax": "minimum and maximum",
    "mean-minmax": "mean of each film's minimum and maximum",
    "percentile-99.99": "mean of each film's 0.01 and 99.99 percentiles",
    "mse": "the range of least squared rounding error",
}
# NNCF's full bias correction runs the network up to each layer in turn: minutes for small
# networks, hours for large ones, which the fast one suits as well.
FULL_CORRECTION_BYTES = 16_000_000


def layers(fp32: Export, spec: ModelSpec) -> tuple[Layer, ...]:
    """Every operation whose inputs NNCF quantizes, as they run."""
    with tempfile.TemporaryDirectory() as name:
        model = read(fp32, Path(name))
        tail = set(float_operations(model, spec))
        return tuple(
            Layer(o.name, o.kind, o.multiply_adds, o.weight_bytes, o.fed_by, o.name in tail)
            for o in operations(model)
        )


def quantize(fp32: Export, spec: ModelSpec, films: FilmSet, settings: Quantization) -> Export:
    """Static: symmetric weights a channel in 7 bits, asymmetric activations, float head.

    Seven bits, because x86 processors without VNNI add two products in 16 bits and saturate with
    eight. For small networks the full bias correction: with the fast one and NNCF's usual means of
    the extremes a narrow MobileNet moved six decisions of 374, with this one.

    Raises:
        ConversionError: an unknown layer, recipe or method.
    """
    return _quantized(fp32, spec, films, settings, fast=not drafts(fp32))


def drafts(fp32: Export) -> bool:
    """For networks small enough for the full bias correction, most of a quantization's time."""
    return len(fp32.files[0][1]) <= FULL_CORRECTION_BYTES


def draft(fp32: Export, spec: ModelSpec, films: FilmSet, settings: Quantization) -> Export:
    """As `quantize`, with the fast bias correction."""
    return _quantized(fp32, spec, films, settings, fast=True)


def _quantized(
    fp32: Export, spec: ModelSpec, films: FilmSet, settings: Quantization, fast: bool
) -> Export:
    import nncf  # type: ignore[import-untyped]

    _check(settings)
    with tempfile.TemporaryDirectory() as name:
        model = read(fp32, Path(name))
        head = float_operations(model, spec)
        _refuse_unknown(model, settings)
        quantized = nncf.quantize(
            model,
            nncf.Dataset(list(films.tensors())),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(films.pixels),
            fast_bias_correction=fast,
            ignored_scope=nncf.IgnoredScope(
                names=[*head, *(n for n in settings.float_layers if n not in head)],
                validate=False,
            ),
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                overflow_fix=nncf.OverflowFix.ENABLE,
                activations_range_estimator_params=_estimator(settings.method),
            ),
        )
        kept = tuple(FloatLayer(n, why(spec)) for n in head)
        return saved(quantized, fp32, False, kept)


def noise(fp32: Export, int8: Export, spec: ModelSpec, films: FilmSet) -> Mapping[str, float]:
    """SNR in dB after each layer's bias and activation, by operations of equal names."""
    import openvino as ov

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        exact = read(fp32, folder)
        found = ov.Core().read_model(written(int8, folder))
        named = {o.measured: o.name for o in operations(exact)}
        both = probe(found, tuple(named))[1]
        sums = {layer: Snr() for layer in both}
        pairs = zip(_values(exact, both, films), _values(found, both, films), strict=True)
        for one, other in pairs:
            for layer in both:
                sums[layer] = sums[layer].add(one[layer], other[layer])
    return {named[layer]: total.db for layer, total in sums.items()}


def in_float(_fp32: Export, _int8: Export) -> tuple[str, ...]:
    """None: the one recipe is static, and NNCF may put a layer's scale far above it."""
    return ()


def words(settings: Quantization) -> str:
    """Method, tool, types."""
    _check(settings)
    return (
        f"{_WORDS[settings.method]}; nncf quantize, preset mixed, 7-bit weights a channel, full "
        "bias correction (fast for networks beyond 4 million weights)"
    )


def safe_on(settings: Quantization) -> tuple[Processor, ...]:
    """All: the sum of two products of uint8 and 7-bit weights stays below 2^15. It is not said that
    all answer alike: on ARM the float32 and int8 paths of OpenVINO are others.
    """
    _check(settings)
    return PROCESSORS


def _check(settings: Quantization) -> None:
    if settings.recipe not in RECIPES or settings.method not in METHODS:
        raise ConversionError(
            f"OpenVINO has no means for {settings.recipe} by {settings.method}; recipes: "
            f"{', '.join(RECIPES)} (it quantizes activations at run time for matrices alone, not "
            f"for convolutions), methods: {', '.join(METHODS)}."
        )


def _refuse_unknown(model: Any, settings: Quantization) -> None:
    known = [o.name for o in operations(model)]
    wrong = [name for name in settings.float_layers if name not in known]
    if wrong:
        raise ConversionError(
            f"the network has no layer {', '.join(map(repr, wrong))}; expected some of "
            f"{', '.join(known)}."
        )


def _estimator(method: str) -> Any:
    from nncf.quantization import range_estimator as ranges  # type: ignore[import-untyped]

    known = ranges.RangeEstimatorParametersSet
    return {
        "minmax": known.MINMAX,
        "mean-minmax": known.MEAN_MINMAX,
        "percentile-99.99": known.MEAN_QUANTILE,
        "mse": known.HISTOGRAM,
    }[method]


def _values(
    model: Any, names: tuple[str, ...], films: FilmSet
) -> Iterator[dict[str, NDArray[np.float32]]]:
    """Film by film the outputs of the named operations, computed in float32 where not in int8."""
    import openvino as ov

    compiled = ov.Core().compile_model(
        probe(model, names)[0],
        "CPU",
        {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1},
    )
    request = compiled.create_infer_request()
    for tensor in films.tensors():
        request.infer([tensor])
        yield {
            name: np.array(request.get_output_tensor(place).data, np.float32)
            for place, name in enumerate(names)
        }
