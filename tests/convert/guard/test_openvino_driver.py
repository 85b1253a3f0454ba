"""OpenVINO's driver on the network whose static INT8 falls to chance."""

from dataclasses import replace
from pathlib import Path

import pytest
from dead_units import SPEC

from clinicedge.convert import openvino_files
from clinicedge.convert.films import FilmSet
from clinicedge.convert.guard import openvino_driver as driver
from clinicedge.convert.guard.driver import PROCESSORS, Layer, Quantization
from clinicedge.convert.isolated import call
from clinicedge.convert.recipes import Export
from clinicedge.runtime.errors import ConversionError

PLAIN = Quantization("int8-static", driver.METHODS[0])


@pytest.fixture(scope="module")
def layers(dead_onnx: Export) -> tuple[Layer, ...]:
    return call(driver.layers, dead_onnx, SPEC)


@pytest.fixture(scope="module")
def plain(dead_onnx: Export, calibration: FilmSet) -> Export:
    return call(driver.quantize, dead_onnx, SPEC, calibration, PLAIN)


def test_layers_know_their_work(layers: tuple[Layer, ...]) -> None:
    convolution, *_, middle, last = layers
    assert convolution.operation == "Convolution"
    assert convolution.multiply_adds == 16 * 16 * 8 * 5 * 5
    assert convolution.inputs == ()
    assert (middle.operation, middle.multiply_adds) == ("MatMul", 48 * 16)
    assert last.tail
    assert last.inputs == (middle.name,)
    assert len({layer.name for layer in layers}) == len(layers)


def test_a_layer_left_in_float_loses_less(
    dead_onnx: Export, layers: tuple[Layer, ...], plain: Export, calibration: FilmSet
) -> None:
    middle = layers[-2].name
    settings = Quantization("int8-static", "minmax", (middle,))
    kept = call(driver.quantize, dead_onnx, SPEC, calibration, settings)
    before, after = (call(driver.noise, dead_onnx, m, SPEC, calibration) for m in (plain, kept))
    assert set(before) == {layer.name for layer in layers}
    assert before[middle] < 10 < 30 < after[middle]


def test_weights_have_seven_bits_so_that_no_sum_of_two_products_saturates(
    plain: Export, tmp_path: Path
) -> None:
    import openvino as ov

    model = ov.Core().read_model(openvino_files.written(plain, tmp_path))
    constants = [o for o in model.get_ops() if o.get_type_name() == "Constant"]
    weights = [o.data for o in constants if o.get_element_type() == ov.Type.i8]
    assert len(weights) == 3
    assert min(int(w.min()) for w in weights) >= -64
    assert 60 < max(int(w.max()) for w in weights) <= 64
    assert driver.safe_on(PLAIN) == PROCESSORS


def test_small_networks_have_drafts() -> None:
    small, large = (Export((("main.onnx", bytes(n)),), ()) for n in (1000, 17_000_000))
    assert driver.drafts(small)
    assert not driver.drafts(large)


@pytest.mark.slow
def test_a_draft_tells_the_same_of_its_layers(
    dead_onnx: Export, layers: tuple[Layer, ...], plain: Export, calibration: FilmSet
) -> None:
    middle = layers[-2].name
    drafts = [
        call(driver.draft, dead_onnx, SPEC, calibration, replace(PLAIN, float_layers=names))
        for names in ((), (middle,))
    ]
    # Biases are written in other digits.
    assert abs(drafts[0].bytes - plain.bytes) < 100
    broken, mended = (call(driver.noise, dead_onnx, d, SPEC, calibration) for d in drafts)
    assert broken[middle] < 10 < 30 < mended[middle]


def test_what_it_cannot_do_is_refused(dead_onnx: Export, calibration: FilmSet) -> None:
    with pytest.raises(ConversionError, match="at run time for matrices alone"):
        driver.words(Quantization("int8-dynamic", "minmax"))
    settings = Quantization("int8-static", "minmax", ("nowhere",))
    with pytest.raises(ConversionError, match="no layer 'nowhere'"):
        call(driver.quantize, dead_onnx, SPEC, calibration, settings)
    assert "7-bit weights" in driver.words(PLAIN)
