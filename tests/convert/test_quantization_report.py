"""What `--explain-quantization` writes."""

import json
from pathlib import Path

import pytest

from clinicedge.convert.guard.driver import Layer
from clinicedge.convert.quantization_page import page
from clinicedge.convert.quantization_report import (
    SCHEMA,
    QuantizationReport,
    layer_losses,
    write_reports,
)
from clinicedge.runtime.manifest import FloatLayer

LAYERS = (
    Layer("conv1", "Conv", 600, 40),
    Layer("conv2", "Conv", 300, 80, ("conv1",)),
    Layer("add <b>", "Add", 0, 0, ("conv1", "conv2")),
    Layer("head", "Gemm", 100, 8, ("add <b>",), tail=True),
)
NOISE = {"conv1": 40.0, "conv2": 10.0, "head": 20.0}


@pytest.fixture
def report() -> QuantizationReport:
    left = (FloatLayer("conv2", "the budget was broken", 10.0, 60),)
    return QuantizationReport(
        SCHEMA, "net", "1.0.0", "onnx/int8-guarded", "ab12", "onnx", "int8-guarded", "minmax",
        ("x86-64 AVX2",), "films", "train", 16, 1234, 0.4,
        layer_losses(LAYERS, NOISE, left, "the end"),
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


def test_the_page_needs_nothing_else(report: QuantizationReport) -> None:
    text = page((report,), {report.artifact: b"png"})
    assert "http" not in text
    assert 'src="data:image/png;base64,cG5n"' in text
    assert "add &lt;b&gt;" in text
    assert "not measured" in text
    assert "the budget was broken" in text
    assert "no INT8 artifact" in page((), {})
