"""What this box does not reproduce is passed over: in the log, in each answer, in the models."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_bundles as tiny
from saturating import saturating

from clinicedge.edge_server.settings import Settings
from clinicedge.runtime.manifest import PipelineRules

from .conftest import Serve


def test_the_log_and_each_answer_say_what_was_passed_over(
    serve: Serve, tmp_path: Path, film_png: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    bad = saturating(tmp_path / "bad", off=0.5)
    with (
        caplog.at_level(logging.INFO, "clinicedge.edge_server"),
        serve(Settings((bad.folder,), tmp_path / "cases", port=0)) as box,
    ):
        told = box.client.get("/api/v1/models").json()["models"][0]
        case = box.send(film_png)
    (note,) = told["report"]["session"]["notes"]
    assert note.startswith("passed over: onnx/int8-static in onnxruntime")
    assert told["acceptance"]["passed"]
    report = case["predictions"][0]["report"]
    assert report["artifact"] == "onnx/fp32"
    assert report["session"]["notes"] == [note]
    logged = {(r.levelname, r.getMessage()) for r in caplog.records}
    assert ("WARNING", f"saturating: {note}") in logged
    assert any(level == "INFO" and "answers with onnx/fp32" in text for level, text in logged)


def test_a_member_that_was_passed_over_is_told_by_the_pipeline(
    serve: Serve, tmp_path: Path, film_png: bytes
) -> None:
    bad = saturating(tmp_path / "bad", off=0.5)
    good = tiny.binary(tmp_path / "good", "good")
    threshold = replace(good.manifest.thresholds[0], artifact="onnx/fp32")
    rules = PipelineRules("ensemble", None, None, threshold)
    whole = tiny.pipeline(tmp_path / "both", "both", rules, [("member", bad), ("member", good)])
    with serve(Settings((whole.folder,), tmp_path / "cases", port=0)) as box:
        told = box.client.get("/api/v1/models").json()["models"][0]
        case = box.send(film_png)
    notes = {m["name"]: m["notes"] for m in told["members"]}
    assert notes["good"] == []
    (note,) = notes["saturating"]
    assert case["predictions"][0]["report"]["session"]["notes"] == [f"saturating: {note}"]
