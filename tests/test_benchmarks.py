"""The benchmarks say what they could not measure, and end."""

import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from clinicedge.convert.matrix_records import Cell, Measured, Row
from clinicedge.profiles.evaluation import Ran
from clinicedge.profiles.explanation_quality.records import ArtifactQuality, MethodQuality
from clinicedge.runtime.figures import Figure

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(autouse=True)
def found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER)


def test_what_cannot_be_measured_here_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import run_all

    monkeypatch.setattr(run_all, "HERE", tmp_path)
    monkeypatch.setattr(sys, "argv", ["run_all", "--json"])
    (tmp_path / "fast.py").write_text("print('{\"ms\": 1}')")
    (tmp_path / "none.py").write_text("import sys; sys.exit('not measured: no bundle')")
    for name in ("_help", *run_all.BY_HAND):
        (tmp_path / f"{name}.py").write_text("raise KeyError")
    with pytest.raises(SystemExit) as end:
        run_all.main()
    assert end.value.code == 0
    shown = {"fast": {"ms": 1}, "none": {"not_measured": "not measured: no bundle"}}
    assert json.loads(capsys.readouterr().out) == shown
    (tmp_path / "broken.py").write_text("print('half'); raise KeyError('x')")
    with pytest.raises(SystemExit) as end:
        run_all.main()
    assert end.value.code == 1
    out, err = capsys.readouterr()
    assert json.loads(out) == {**shown, "broken": {"failed": "KeyError: 'x'"}}
    assert "failed: broken" in err


@pytest.mark.parametrize(
    ("server", "code"), [("raise SystemExit(3)", 3), ("import time; time.sleep(60)", -9)]
)
def test_a_server_that_does_not_start_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: str, code: int
) -> None:
    import server as benchmark

    monkeypatch.setattr(benchmark, "COMMAND", (sys.executable, "-c", server))
    monkeypatch.setattr(benchmark, "DEADLINE_S", 0.5 if code < 0 else 60.0)
    with (
        pytest.raises(benchmark.ServerError, match=f"exit code {code} "),
        benchmark.serving(tmp_path, "onnxruntime", tmp_path),
    ):
        pass


def test_only_int8_stands_for_int8() -> None:
    from explanation_table import _likeness

    def entry(artifact: str, rank: float) -> ArtifactQuality:
        empty: dict[str, Any] = dict.fromkeys(f.name for f in fields(MethodQuality))
        told = Figure(rank, rank, rank, 5, 5)
        method = MethodQuality(**(empty | {"method": "eigen-cam", "float_rank": told}))
        rest: dict[str, Any] = dict.fromkeys(f.name for f in fields(ArtifactQuality))
        ran = Ran(artifact, "0" * 64, "1.0", "f32")
        return ArtifactQuality(**(rest | {"ran": ran, "methods": (method,)}))

    both = [entry("onnx/int8-guarded", 0.5), entry("onnx/fp16", 0.9), entry("tflite/fp16", 1.0)]
    assert {name: f.value for name, f in _likeness(both, "eigen-cam")} == {"ONNX": 0.5}


def test_the_findings_of_a_pipeline_have_lines_of_their_own() -> None:
    from test_parts import lines

    def cell(precision: Any, value: float) -> Cell:
        told = Figure(value, 0.5, 1.0, 8, 4)
        figures = (
            Measured(name, label, "films, test", told)
            for name in ("accuracy", "AUC")
            for label in ("", "VIRUS")
        )
        return Cell("onnx", precision, "made", figures=tuple(figures))

    row = Row("two", "classification", "pipeline", (), (cell("fp32", 0.75), cell("int8", 0.625)))
    float32, int8 = "75.0 (50.0-100.0), 0.750", "62.5 (50.0-100.0), 0.625"
    assert list(lines(row)) == [
        f"| {name} | internal test, 8 | {float32} | {int8} | none | none |"
        for name in ("two", "two, VIRUS")
    ]
