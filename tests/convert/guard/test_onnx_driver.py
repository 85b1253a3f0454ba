"""ONNX's driver on the network whose static INT8 falls to chance."""

from dataclasses import replace

import numpy as np
import pytest
from dead_units import SPEC

from clinicedge.convert.films import FilmSet
from clinicedge.convert.guard import onnx_driver as driver
from clinicedge.convert.guard.bench import scores_noise
from clinicedge.convert.guard.driver import PROCESSORS, Layer, Quantization, few_films
from clinicedge.convert.guard.ranking import ranked
from clinicedge.convert.isolated import call
from clinicedge.convert.recipes import Export, Recipe
from clinicedge.convert.running import runnable
from clinicedge.runtime.errors import ConversionError

PLAIN = Quantization("int8-static", "minmax")


@pytest.fixture(scope="module")
def layers(dead_onnx: Export) -> tuple[Layer, ...]:
    return call(driver.layers, dead_onnx, SPEC)


@pytest.fixture(scope="module")
def plain(dead_onnx: Export, calibration: FilmSet) -> Export:
    return call(driver.quantize, dead_onnx, SPEC, calibration, PLAIN)


def _accuracy(export: Export, films: FilmSet) -> float:
    import onnxruntime as ort

    session = ort.InferenceSession(export.files[0][1], providers=["CPUExecutionProvider"])
    logits = np.concatenate([session.run(["logits"], {"film": t})[0] for t in films.tensors()])
    return float(np.mean((logits[:, 1] > logits[:, 0]) == films.truth))


@pytest.fixture(scope="module")
def mended(dead_onnx: Export, calibration: FilmSet, layers: tuple[Layer, ...]) -> Export:
    return call(driver.quantize, dead_onnx, SPEC, calibration, _without(layers[3], PLAIN))


def _without(layer: Layer, settings: Quantization) -> Quantization:
    return replace(settings, float_layers=(layer.name,))


def _weights(export: Export) -> list[np.ndarray]:
    """Those stored in 8 bits."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load_from_string(export.files[0][1]).graph
    stored = [numpy_helper.to_array(tensor) for tensor in graph.initializer]
    return [a for a in stored if a.dtype.itemsize == 1 and a.ndim > 1]


def test_layers_know_their_work_and_what_feeds_them(layers: tuple[Layer, ...]) -> None:
    convolution, pooling, first, middle, _ = layers
    assert (convolution.operation, convolution.multiply_adds) == ("Conv", 16 * 16 * 8 * 5 * 5)
    assert (pooling.operation, pooling.multiply_adds) == ("AveragePool", 0)
    assert (first.multiply_adds, middle.multiply_adds) == (32 * 48, 48 * 16)
    assert middle.weight_bytes == 4 * (48 * 16 + 16)
    assert middle.inputs == (first.name,)
    assert [layer.tail for layer in layers] == [False] * 4 + [True]


def test_the_layer_that_breaks_it_is_the_noisiest_and_mends_it(
    dead_onnx: Export,
    plain: Export,
    mended: Export,
    layers: tuple[Layer, ...],
    calibration: FilmSet,
    judged: FilmSet,
) -> None:
    assert _accuracy(dead_onnx, judged) > 0.9
    assert _accuracy(plain, judged) < 0.7
    noise = call(driver.noise, dead_onnx, plain, SPEC, few_films(calibration, 8))
    assert set(noise) == {layer.name for layer in layers}
    worst = ranked(layers, noise)[0]
    assert worst == layers[3].name
    assert noise[worst] < 10 < noise[layers[2].name]
    assert _accuracy(mended, judged) == pytest.approx(_accuracy(dead_onnx, judged), abs=0.06)
    assert [layer.name for layer in mended.float_layers] == [layers[-1].name], "the tail alone"
    assert len(mended.files[0][1]) > len(plain.files[0][1])


def test_the_file_tells_what_is_computed_in_float(
    dead_onnx: Export, layers: tuple[Layer, ...], plain: Export, calibration: FilmSet
) -> None:
    _, pooling, *_, tail = (layer.name for layer in layers)
    settings = Quantization("int8-dynamic", "minmax")
    dynamic = call(driver.quantize, dead_onnx, SPEC, calibration, settings)
    assert call(driver.in_float, dead_onnx, dynamic) == (pooling, tail)
    assert set(call(driver.in_float, dead_onnx, plain)) <= {tail}


def test_the_same_arguments_give_the_same_bytes(
    dead_onnx: Export, plain: Export, calibration: FilmSet
) -> None:
    again = call(driver.quantize, dead_onnx, SPEC, calibration, PLAIN)
    assert again.files == plain.files


def test_signed_weights_have_seven_bits_so_that_no_sum_of_two_products_saturates(
    plain: Export,
) -> None:
    """255 x 64 + 255 x 64 is below 2^15, with 127 it is not."""
    weights = _weights(plain)
    assert [w.dtype for w in weights] == [np.int8] * 3
    assert min(int(w.min()) for w in weights) >= -64
    assert 60 < max(int(w.max()) for w in weights) <= 64
    assert driver.safe_on(PLAIN) == PROCESSORS


@pytest.mark.parametrize(
    ("settings", "said", "stored"),
    [
        (Quantization("int8-static", "percentile-99.99"), "99.99 % of the values", np.int8),
        (Quantization("int8-static-u8", "minmax"), "u8 weights a channel", np.uint8),
        (Quantization("int8-dynamic", "minmax"), "of each film as it comes", np.uint8),
    ],
)
def test_every_recipe_makes_another_file_that_computes_nearly_the_same(
    settings: Quantization,
    said: str,
    stored: type,
    dead_onnx: Export,
    mended: Export,
    layers: tuple[Layer, ...],
    calibration: FilmSet,
) -> None:
    wanted = _without(layers[3], settings)
    made = call(driver.quantize, dead_onnx, SPEC, few_films(calibration, 11), wanted)
    assert made.files != mended.files
    assert {w.dtype.type for w in _weights(made)} == {stored}
    ready = [
        runnable(SPEC, Recipe("onnx", name), export)
        for name, export in (("fp32", dead_onnx), ("int8-guarded", made))
    ]
    assert scores_noise(ready[0], ready[1], SPEC, few_films(calibration, 4)) > 15
    assert said in driver.words(settings)
    assert driver.safe_on(settings) == PROCESSORS


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (Quantization("int8-static", "guess"), "int8-static by guess"),
        (Quantization("int4", "minmax"), "int4 by minmax"),
        (Quantization("int8-static", "minmax", ("nothing",)), "'nothing'"),
    ],
)
def test_refusals(
    settings: Quantization, said: str, dead_onnx: Export, calibration: FilmSet
) -> None:
    with pytest.raises(ConversionError, match=said):
        driver.quantize(dead_onnx, SPEC, calibration, settings)
