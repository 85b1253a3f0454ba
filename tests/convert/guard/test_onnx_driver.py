"""ONNX's driver on the network whose static INT8 falls to chance."""

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
    mended = call(
        driver.quantize,
        dead_onnx,
        SPEC,
        calibration,
        Quantization("int8-static", "minmax", (worst,)),
    )
    assert _accuracy(mended, judged) == pytest.approx(_accuracy(dead_onnx, judged), abs=0.06)
    assert [layer.name for layer in mended.float_layers] == [layers[-1].name], "the tail alone"
    assert len(mended.files[0][1]) > len(plain.files[0][1])


def test_the_same_arguments_give_the_same_bytes(
    dead_onnx: Export, plain: Export, calibration: FilmSet
) -> None:
    again = call(driver.quantize, dead_onnx, SPEC, calibration, PLAIN)
    assert again.files == plain.files


@pytest.mark.parametrize(
    ("recipe", "method"),
    [
        ("int8-static", "percentile-99.99"),
        ("int8-static-u8", "minmax"),
        ("int8-dynamic", "minmax"),
    ],
)
def test_every_recipe_makes_another_file_that_runs(
    recipe: str, method: str, dead_onnx: Export, plain: Export, calibration: FilmSet
) -> None:
    settings = Quantization(recipe, method)
    made = call(driver.quantize, dead_onnx, SPEC, few_films(calibration, 11), settings)
    assert made.files != plain.files
    ready = [
        runnable(SPEC, Recipe("onnx", name), export)
        for name, export in (("fp32", dead_onnx), ("int8-guarded", made))
    ]
    assert np.isfinite(scores_noise(ready[0], ready[1], SPEC, few_films(calibration, 4)))
    assert driver.words(settings)
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
