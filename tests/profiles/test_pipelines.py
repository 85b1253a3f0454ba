"""Pipelines: their models are tuned and measured each, and the whole from film to answer."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_bundles as tiny

from clinicedge.profiles.costs import CostReport, LatencyRecord, keep
from clinicedge.profiles.devices import device
from clinicedge.profiles.inner_models import inner_models
from clinicedge.profiles.measure import Rounds
from clinicedge.profiles.profiling import measure_bundle
from clinicedge.profiles.tuning import forget, tune_members
from clinicedge.profiles.whole import wholes
from clinicedge.runtime import phantom
from clinicedge.runtime.bundle import Bundle
from clinicedge.runtime.choices import read_choice
from clinicedge.runtime.errors import FilmError, IntegrityError
from clinicedge.runtime.manifest import PipelineRules
from clinicedge.runtime.records import from_json

QUICK = Rounds(rounds=1, seconds=0.01, runs=5)


def silent(_done: int, _total: int, _what: str) -> None:
    pass


@pytest.fixture
def pipeline(tmp_path: Path) -> Bundle:
    """Lungs in two formats, the classifier in ONNX alone."""
    net = tiny.Scores(region="lungs")
    classifier = tiny.binary(tmp_path / "classifier", "tiny-lung-crop", net)
    lungs = tiny.masks(tmp_path / "lungs", formats=("onnx", "openvino"))
    return tiny.on_lungs(tmp_path / "tiny-on-lungs", classifier, lungs)


@pytest.fixture
def cascade(pipeline: Bundle, tmp_path: Path) -> Bundle:
    """Both stages look for the same lungs."""
    names = ("BACTERIAL", "VIRAL")
    net = tiny.Scores(names, (4.0, -4.0), (0.0, 0.0), (0.5, 0.5), "lungs")
    second = tiny.findings(tmp_path / "findings", "tiny-type-lung-crop", net)
    stage = tiny.on_lungs(tmp_path / "type-on-lungs", second, dict(pipeline.models())["lungs"])
    rules = PipelineRules("cascade", None, None, None)
    members = (("first", pipeline), ("second", stage))
    return tiny.pipeline(tmp_path / "cascade", "tiny-cascade", rules, members)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """A film on which the tiny network finds lungs; it is bright: PNEUMONIA."""
    path = tmp_path / "chest.png"
    path.write_bytes(phantom.encode_png(tiny.chest(lungs=250, outside=110)))
    return path


def measured(bundle: Bundle, film: Path | None) -> CostReport:
    return measure_bundle(bundle, device("laptop"), 1, QUICK, silent, film)


def test_a_model_that_lies_there_twice_comes_once(cascade: Bundle) -> None:
    assert {inner.where for inner in inner_models(cascade)} == {
        "first/lungs, second/lungs",
        "first/classifier",
        "second/classifier",
    }


def test_every_model_is_tuned_and_remembered_by_its_own_id(pipeline: Bundle) -> None:
    steps: list[str] = []
    result = tune_members(pipeline, QUICK, lambda _done, _total, what: steps.append(what), (1,))
    assert [m.paths for m in result.members] == [("lungs",), ("classifier",)]
    for member, (path, model) in zip(result.members, pipeline.models(), strict=True):
        assert member.result.bundle_id == model.id
        assert read_choice(model.id) == member.result.choice
        assert any(step.startswith(f"{path}: ") for step in steps)
    assert read_choice(pipeline.id) is None
    opened = pipeline.predictor()
    found = [part.predictor.report.artifact for part in opened.parts]
    assert found == [m.result.choice.artifact for m in result.members]
    assert forget(pipeline)
    assert not forget(pipeline)
    assert all(read_choice(model.id) is None for _, model in pipeline.models())


def test_the_whole_is_measured_beside_its_members(pipeline: Bundle, film: Path) -> None:
    report = measured(pipeline, film)
    (whole,) = report.costs
    models = dict(pipeline.models())
    assert (whole.artifact, whole.engine, whole.precision) == ("onnx/fp32", "onnxruntime", "fp32")
    assert whole.artifact_sha256 == pipeline.predictor("onnxruntime").report.artifact_sha256
    assert whole.bytes == sum(m.artifact("onnx/fp32").bytes for m in models.values())
    assert whole.ran == ("lungs", "classifier")
    assert 0 < whole.p50_ms <= whole.p90_ms <= whole.p99_ms
    assert whole.load_ms > 0
    assert whole.peak_rss_mb > 20
    (skipped,) = report.skipped
    assert (skipped.artifact, skipped.engine) == ("fp32", "openvino")
    assert "tiny-lung-crop" in skipped.reason
    cells = {(p, c.artifact, c.engine) for m in report.members for p in m.paths for c in m.costs}
    assert cells == {
        ("lungs", "onnx/fp32", "onnxruntime"),
        ("lungs", "openvino/fp32", "openvino"),
        ("classifier", "onnx/fp32", "onnxruntime"),
    }
    assert "120 x 160" in report.film
    assert report.best == whole


def test_the_budget_is_for_the_whole_and_figures_lie_beside_each_bundle(
    pipeline: Bundle, film: Path
) -> None:
    laptop = device("laptop")
    tight = replace(laptop, budget=replace(laptop.budget, latency_ms=1e-6))
    report = measure_bundle(pipeline, tight, 1, QUICK, silent, film)
    assert "p90" in report.costs[0].over_budget[0]
    assert report.best is None
    assert all(not c.over_budget for m in report.members for c in m.costs)
    folders = {path.parent.parent for path in keep(pipeline, report)}
    assert folders == {pipeline.folder, *(m.folder for _, m in pipeline.models())}
    path = pipeline.folder / "measurements" / f"{report.costs[0].artifact_sha256}-latency.json"
    record = from_json(LatencyRecord, json.loads(path.read_bytes()), "record")
    assert record.entries[0].costs == report.costs


def test_a_cascade_says_what_the_film_went_through(
    cascade: Bundle, film: Path, tmp_path: Path
) -> None:
    ((sick,), _) = wholes(cascade, 1, film)
    assert set(sick.measured.ran) == {path for path, _ in cascade.models()}
    # The tiny lungs are a third of the crop: dark around them, NORMAL, and the second rests.
    dark = tmp_path / "dark.png"
    dark.write_bytes(phantom.encode_png(tiny.chest()))
    ((well,), _) = wholes(cascade, 1, dark)
    assert well.measured.ran == ("first/lungs", "first/classifier")
    assert well.measured.bytes == sick.measured.bytes


def test_a_film_without_an_answer_gives_no_whole(pipeline: Bundle, tmp_path: Path) -> None:
    black = tmp_path / "black.png"
    black.write_bytes(phantom.encode_png(tiny.chest(lungs=0)))
    found, skipped = wholes(pipeline, 1, black)
    assert not found
    assert any("no lungs found" in s.reason for s in skipped)


def test_an_unreadable_film_and_an_exchanged_member_are_refused(
    pipeline: Bundle, film: Path, tmp_path: Path
) -> None:
    with pytest.raises(FilmError):
        measured(pipeline, tmp_path / "nowhere.png")
    inside = pipeline.folder / "members" / "tiny-lungs" / "bundle.json"
    inside.write_bytes(inside.read_bytes() + b"\n")
    with pytest.raises(IntegrityError):
        measured(pipeline, film)
