"""TFLite's driver on the network whose static INT8 falls to chance."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from dead_units import SPEC

from clinicedge.convert.films import FilmSet
from clinicedge.convert.guard import tflite_driver as driver
from clinicedge.convert.guard.driver import MOST_DB, PROCESSORS, Layer, Quantization
from clinicedge.convert.guard.tflite_graph import Operation, float_moves, layer_inputs, short_name
from clinicedge.convert.guard.tflite_ranges import least_error
from clinicedge.convert.isolated import call
from clinicedge.convert.quantization_report import layer_losses
from clinicedge.convert.recipes import Export
from clinicedge.runtime.errors import ConversionError

PLAIN = Quantization("int8-static", driver.METHODS[0])


def accuracy(made: Export, films: FilmSet) -> float:
    interpreter = Interpreter(model_content=made.files[0][1], num_threads=1)
    interpreter.allocate_tensors()
    film, logits = (
        details()[0]["index"]
        for details in (interpreter.get_input_details, interpreter.get_output_details)
    )
    assert films.truth is not None
    right = 0
    for tensor, truth in zip(films.tensors(), films.truth, strict=True):
        interpreter.set_tensor(film, tensor)
        interpreter.invoke()
        right += bool(np.argmax(interpreter.get_tensor(logits)) == truth)
    return right / len(films)


@pytest.fixture(scope="module")
def layers(dead_tflite: Export) -> tuple[Layer, ...]:
    return call(driver.layers, dead_tflite, SPEC)


@pytest.fixture(scope="module")
def plain(dead_tflite: Export, calibration: FilmSet) -> Export:
    return call(driver.quantize, dead_tflite, SPEC, calibration, PLAIN)


def test_layers_are_named_by_module_and_know_their_work(layers: tuple[Layer, ...]) -> None:
    convolution, *_, middle, last = layers
    # Of one channel: the converter takes the depthwise kind.
    assert convolution.operation == "DEPTHWISE_CONV_2D"
    assert convolution.multiply_adds == 16 * 16 * 8 * 5 * 5
    assert convolution.inputs == ()
    assert middle.name == "1"
    assert (middle.multiply_adds, middle.weight_bytes) == (48 * 16, 4 * (48 * 16 + 16))
    assert last.tail
    assert last.inputs == (middle.name,)
    assert len({layer.name for layer in layers}) == len(layers)


def test_noise_finds_the_layer_and_float_mends_it(
    dead_tflite: Export,
    layers: tuple[Layer, ...],
    plain: Export,
    calibration: FilmSet,
    judged: FilmSet,
) -> None:
    exact = accuracy(dead_tflite, judged)
    assert exact > 0.9
    assert accuracy(plain, judged) < 0.6
    noise = call(driver.noise, dead_tflite, plain, SPEC, calibration)
    losses = layer_losses(layers, noise, {})
    worst = max(losses, key=lambda loss: loss.noise_added or 0.0)
    assert worst.name == layers[-2].name
    settings = Quantization("int8-static", "minmax", (worst.name,))
    mended = call(driver.quantize, dead_tflite, SPEC, calibration, settings)
    assert accuracy(mended, judged) == exact
    assert len(mended.files[0][1]) < len(dead_tflite.files[0][1])


def test_the_file_tells_what_is_computed_in_float(
    dead_tflite: Export, layers: tuple[Layer, ...], plain: Export, calibration: FilmSet
) -> None:
    tail = layers[-1].name
    pooling = next(x.name for x in layers if x.operation == "AVERAGE_POOL_2D")
    assert call(driver.in_float, dead_tflite, plain) == (tail,)
    settings = Quantization("int8-dynamic", driver.METHODS[0])
    dynamic = call(driver.quantize, dead_tflite, SPEC, calibration, settings)
    assert call(driver.in_float, dead_tflite, dynamic) == (pooling, tail)


def test_no_weight_is_minus_128_so_that_no_sum_of_two_products_saturates(plain: Export) -> None:
    """127 x 128 + 127 x 128 is below 2^15, 128 x 128 + 128 x 128 is not."""
    interpreter = Interpreter(model_content=plain.files[0][1], num_threads=1)
    interpreter.allocate_tensors()
    weights = [
        interpreter.get_tensor(tensor["index"])
        for tensor in interpreter.get_tensor_details()
        if tensor["dtype"] == np.int8 and len(tensor["quantization_parameters"]["scales"]) > 1
    ]
    assert len(weights) == 3
    assert {int(w.min()) for w in weights} == {-127}
    assert driver.safe_on(PLAIN) == PROCESSORS


def test_a_network_without_noise(dead_tflite: Export, calibration: FilmSet) -> None:
    noise = call(driver.noise, dead_tflite, dead_tflite, SPEC, calibration)
    assert set(noise.values()) == {MOST_DB}


def test_dynamic_needs_no_ranges(dead_tflite: Export, calibration: FilmSet) -> None:
    settings = Quantization("int8-dynamic", driver.METHODS[0])
    made = call(driver.quantize, dead_tflite, SPEC, calibration, settings)
    assert len(made.files[0][1]) < len(dead_tflite.files[0][1])
    assert driver.words(settings).startswith("none: ranges of activations at run time")


@pytest.mark.parametrize(
    "settings",
    [
        Quantization("int8-static-u8", "minmax"),
        Quantization("int8-static", "guessing"),
        Quantization("int8-static", "minmax", ("nowhere",)),
    ],
)
def test_what_it_cannot_do_is_refused(
    dead_tflite: Export, calibration: FilmSet, settings: Quantization
) -> None:
    with pytest.raises(ConversionError, match=r"no means for|no layer 'nowhere'"):
        call(driver.quantize, dead_tflite, SPEC, calibration, settings)


def _operation(name: str, kind: str, fed_by: tuple[int, ...], feeds: tuple[int, ...]) -> Operation:
    return Operation(name, name, kind, name, 0, 0, feeds, fed_by, not fed_by, not feeds)


def test_nothing_is_rounded_between_layers_in_float() -> None:
    all_ = (
        _operation("pad", "PAD", (), (1,)),
        _operation("a", "CONV_2D", (0,), (2,)),
        _operation("turn", "TRANSPOSE", (1,), (3,)),
        _operation("b", "CONV_2D", (2,), (4,)),
        _operation("shape", "RESHAPE", (3,), ()),
    )
    assert layer_inputs(all_, 3) == ("a",)
    assert [o.name for o in float_moves(all_, ("b",))] == ["shape"]
    assert [o.name for o in float_moves(all_, ("a", "b"))] == ["pad", "turn", "shape"]
    assert float_moves(all_, ()) == ()


def test_short_names() -> None:
    scope = "my.Net/torch.nn.modules.container.Sequential_body/a.b.Unit_dw_1;;my.Net/x;2;"
    assert short_name(scope, "CONV_2D") == "body.dw_1"
    assert short_name("my.Net.<locals>.Outs;1;", "MEAN") == "mean"
    assert (
        short_name("serving_default_output_0_output;", "MEAN") == "serving_default_output_0_output"
    )


def test_the_range_of_least_error_cuts_a_lone_outlier() -> None:
    edges = np.linspace(0.0, 100.0, 2049)
    counts = np.zeros(2048, np.int64)
    counts[:600] = 10_000
    counts[-1] = 1
    low, high = least_error(edges, counts)
    assert low == 0.0
    assert 25.0 < high < 40.0
