"""What `--explain-quantization` writes."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from dead_units import SIDE, SPEC, films

from clinicedge.convert.guard import onnx_driver
from clinicedge.convert.guard.driver import Layer, Quantization
from clinicedge.convert.isolated import call
from clinicedge.convert.quantization_page import page
from clinicedge.convert.quantization_picture import drawn
from clinicedge.convert.quantization_records import SCHEMA, QuantizationReport
from clinicedge.convert.quantization_report import explain, layer_losses, write_reports
from clinicedge.convert.recipes import Export
from clinicedge.runtime.figures import Parity
from clinicedge.runtime.manifest import Artifact

LAYERS = (
    Layer("conv1", "Conv", 600, 40),
    Layer("conv2", "Conv", 300, 80, ("conv1",)),
    Layer("add <b>", "Add", 0, 0, ("conv1", "conv2")),
    Layer("head", "Gemm", 100, 8, ("add <b>",), tail=True),
)
NOISE = {"conv1": 40.0, "conv2": 10.0, "head": 20.0}


@pytest.fixture
def report() -> QuantizationReport:
    left = {"conv2": "the budget was broken", "head": "the end"}
    return QuantizationReport(
        SCHEMA, "net", "1.0.0", "onnx/int8-guarded", "ab12", "onnx", "int8-guarded", "minmax",
        ("x86-64 AVX2",), "films", "train", 16, 1234, 0.4,
        layer_losses(LAYERS, NOISE, left),
    )  # fmt: skip


def test_each_layer_answers_for_its_own_noise(report: QuantizationReport) -> None:
    first, second, third, last = report.layers
    assert first.noise_added == pytest.approx(1e-4)
    assert second.noise_added == pytest.approx(0.1 - 1e-4)
    assert (third.snr_db, third.noise_added) == (None, None)
    assert last.noise_added == pytest.approx(0.01)
    assert [x.share for x in report.layers] == [0.6, 0.3, 0.0, 0.1]
    assert [x.in_float for x in report.layers] == [False, True, False, True]
    assert (second.why, last.why) == ("the budget was broken", "the end")
    assert [x.name for x in report.worst(2)] == ["conv2", "head"]


def test_the_files_lie_beside_the_manifest(report: QuantizationReport, tmp_path: Path) -> None:
    written = write_reports((report,), tmp_path)
    assert {str(p.relative_to(tmp_path)) for p in written} == {
        "measurements/ab12-quantization.json",
        "report/quantization-onnx-int8-guarded.png",
        "report/quantization.html",
    }
    record = json.loads((tmp_path / "measurements/ab12-quantization.json").read_bytes())
    assert record["layers"][1]["snr_db"] == 10.0
    picture = (tmp_path / "report/quantization-onnx-int8-guarded.png").read_bytes()
    assert picture.startswith(b"\x89PNG")


def test_an_exact_layer_does_not_flatten_the_others(report: QuantizationReport) -> None:
    usual = drawn(report).axes[0]
    assert usual.get_ylim()[1] > 40.0
    assert usual.get_ylabel() == "SNR, dB"
    exact = dataclasses.replace(report.layers[0], snr_db=120.0)
    cut = drawn(dataclasses.replace(report, layers=(exact, *report.layers[1:]))).axes[0]
    assert cut.get_ylim()[1] == 60.0
    assert cut.get_ylabel() == "SNR, dB (cut at 60)"


def test_the_page_needs_nothing_else(report: QuantizationReport) -> None:
    text = page((report,), {report.artifact: b"png"})
    assert "http" not in text
    assert 'src="data:image/png;base64,cG5n"' in text
    assert "add &lt;b&gt;" in text
    assert "not measured" in text
    assert "the budget was broken" in text
    assert "no INT8 artifact" in page((), {})


def residual() -> Export:
    """Two convolutions, their sum, its mean, two scores."""
    from onnx import TensorProto, helper, numpy_helper

    weights = np.random.default_rng(0)
    constants = {"k": (4, 1, 3, 3), "l": (4, 4, 3, 3), "w": (2, 4)}
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["film", "k"], ["a"], "conv1", strides=[4, 4]),
            helper.make_node("Conv", ["a", "l"], ["b"], "conv2", pads=[1, 1, 1, 1]),
            helper.make_node("Add", ["a", "b"], ["c"], "sum"),
            helper.make_node("GlobalAveragePool", ["c"], ["p"], "mean"),
            helper.make_node("Flatten", ["p"], ["f"], "flat"),
            helper.make_node("Gemm", ["f", "w"], ["logits"], "head", transB=1),
        ],
        "main",
        [helper.make_tensor_value_info("film", TensorProto.FLOAT, [1, 1, SIDE, SIDE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 2])],
        [
            numpy_helper.from_array(weights.normal(size=shape).astype(np.float32), name)
            for name, shape in constants.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    return Export((("main.onnx", model.SerializeToString()),), ())


def test_a_dynamic_recipe_leaves_sums_in_float_and_the_report_says_so() -> None:
    fp32, seen = residual(), films("train", 2, 1)
    settings = Quantization("int8-dynamic", "minmax")
    int8 = call(onnx_driver.quantize, fp32, SPEC, seen, settings)
    artifact = Artifact(
        id="onnx/int8-dynamic", format="onnx", recipe="int8-dynamic", precision="int8",
        computes=("int8",), graphs=(), sha256="ab12", float_layers=int8.float_layers,
        calibration=None, parity=Parity("films", 2, 0.0, 0.0, 1.0, None, 1.0, 0), accuracy=(),
    )  # fmt: skip
    report = explain(SPEC, artifact, (fp32, int8), seen)
    why = {x.name: x.why for x in report.layers}
    assert why["conv1"] == why["conv2"] == ""
    assert why["sum"] == why["mean"] == "int8-dynamic does not quantize it"
    assert [x.in_float for x in report.layers] == [bool(x.why) for x in report.layers]
    row = next(r for r in page((report,), {artifact.id: b""}).split("<tr") if ">sum<" in r)
    assert "float: int8-dynamic does not quantize it" in row
    assert "INT8" not in row
