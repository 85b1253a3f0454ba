"""Ensembles: the mean of their members, and a threshold of their own."""

from dataclasses import replace
from pathlib import Path

import pytest
import tiny_bundles as tiny
from tiny_bundles import Scores
from tiny_pipelines import CROPPED, ensemble_rules, sigmoid

from clinicedge.runtime import Bundle, Classification, Film, Findings
from clinicedge.runtime.ensemble import bound_sha256
from clinicedge.runtime.errors import (
    ArtifactError,
    WholeFilmError,
)
from clinicedge.runtime.manifest import PipelineRules, Threshold


def test_an_ensemble_means_the_probabilities_and_has_its_own_threshold(tmp_path: Path) -> None:
    nets = [Scores(slopes=(-s, s)) for s in (1.0, 2.0, 3.0)]
    members = [tiny.binary(tmp_path / str(i), f"m{i}", net) for i, net in enumerate(nets)]
    bundle = tiny.pipeline(
        tmp_path / "e", "tiny-ensemble", ensemble_rules(0.9), [("member", m) for m in members]
    )
    predictor = bundle.predictor(threads=1)
    film = tiny.noise(4)
    answer = predictor.predict(film)
    assert isinstance(answer, Classification)
    alone = [as_score(m, film) for m in members]
    assert answer.score == pytest.approx(sum(alone) / 3)
    assert sum(p for _, p in answer.probabilities) == pytest.approx(1.0)
    assert answer.threshold == 0.9
    assert answer.positive == (answer.score >= 0.9)
    assert answer.label == ("PNEUMONIA" if answer.positive else "NORMAL")
    assert [m.role for m in answer.members] == ["m0", "m1", "m2"]
    assert "one of 3 members" in predictor.explain(film).note


def as_score(bundle: Bundle, film: Film) -> float:
    answer = bundle.predictor(threads=1).predict(film)
    assert isinstance(answer, Classification)
    return answer.score


def test_an_ensemble_of_findings(tmp_path: Path) -> None:
    labels = ("A", "B")
    nets = [Scores(labels, (s, -s), (0.0, 0.0), (0.5, 0.5)) for s in (1.0, 4.0)]
    members = [tiny.findings(tmp_path / str(i), f"m{i}", n) for i, n in enumerate(nets)]
    rules = PipelineRules("ensemble", None, None, None)
    roles = [("member", m) for m in members]
    bundle = tiny.pipeline(tmp_path / "e", "both", rules, roles, "findings")
    with pytest.raises(ArtifactError, match="no threshold of its own for A, B"):
        bundle.predictor(threads=1)
    own = tuple(
        Threshold("onnx/fp32", "f32", label, value, "by hand", "noise", "select", 1)
        for label, value in (("A", 0.3), ("B", 0.2))
    )
    predictor = tiny.write(bundle.folder, replace(bundle.manifest, thresholds=own)).predictor()
    answer = predictor.predict(tiny.chest(lungs=200, outside=200))
    assert isinstance(answer, Findings)
    brightness = 200 / 127.5 - 1.0
    wanted = (sigmoid(brightness) + sigmoid(4 * brightness)) / 2
    assert answer.findings[0].score == pytest.approx(wanted, abs=1e-4)
    assert answer.main == "A"
    assert dict(predictor.thresholds) == {"A": 0.3, "B": 0.2}


def test_an_ensemble_says_when_its_threshold_was_set_with_other_artifacts(tmp_path: Path) -> None:
    both = ("onnx", "openvino")
    members = [tiny.binary(tmp_path / n, n, None, both) for n in "ab"]  # type: ignore[arg-type]
    bundle = tiny.pipeline(
        tmp_path / "e", "pair", ensemble_rules(), [("member", m) for m in members]
    )
    assert bundle.predictor("onnxruntime").report.session.notes == ()
    (note,) = bundle.predictor("openvino").report.session.notes
    assert note == "the ensemble's threshold was set with onnx/fp32; members run openvino/fp32"


def test_an_ensemble_of_lung_crop_models_is_a_classifier_of_the_pipeline(
    tmp_path: Path, lungs: Bundle
) -> None:
    members = [tiny.binary(tmp_path / n, f"{n}-lung-crop", CROPPED) for n in "ab"]
    both = tiny.pipeline(
        tmp_path / "e", "both-lung-crop", ensemble_rules(), [("member", m) for m in members]
    )
    with pytest.raises(WholeFilmError):
        both.predictor().predict(tiny.chest())
    predictor = tiny.on_lungs(tmp_path / "p", both, lungs).predictor(threads=1)
    answer = predictor.predict(tiny.chest())
    assert isinstance(answer, Classification)
    assert answer.crop is not None
    assert [m.role for m in answer.members] == [
        *("lungs", "classifier", "classifier/a-lung-crop", "classifier/b-lung-crop"),
    ]
    assert predictor.explain(tiny.chest()).crop == answer.crop


@pytest.mark.parametrize("nested", [False, True], ids=["models", "pipelines"])
def test_a_threshold_is_bound_to_the_bytes_of_every_model_inside(
    tmp_path: Path, lungs: Bundle, nested: bool
) -> None:
    members = [tiny.binary(tmp_path / n, f"{n}-lung-crop", CROPPED) for n in "ab"]
    if nested:
        members = [tiny.on_lungs(tmp_path / f"p-{m.manifest.name}", m, lungs) for m in members]
    roles = [("member", m) for m in members]
    made = tiny.pipeline(tmp_path / "e", "pair", ensemble_rules(0.75), roles)
    sha256 = bound_sha256(made, "onnx/fp32")
    own = ensemble_rules(0.75).threshold
    assert own is not None

    def with_threshold(bound: str) -> Bundle:
        rules = replace(ensemble_rules(), threshold=replace(own, artifact_sha256=bound))
        return tiny.write(made.folder, replace(made.manifest, pipeline=rules))

    assert with_threshold(sha256).predictor(threads=1).thresholds == {"PNEUMONIA": 0.75}
    assert with_threshold("").predictor(threads=1).thresholds == {"PNEUMONIA": 0.75}
    with pytest.raises(ArtifactError, match=r"was set with members whose onnx/fp32 are 000"):
        with_threshold("0" * 64).predictor(threads=1)
    other = tiny.binary(tmp_path / "c", "b-lung-crop", replace(CROPPED, slopes=(-9.0, 9.0)))
    if nested:
        other = tiny.on_lungs(tmp_path / "p-other", other, lungs)
    pair = [("member", members[0]), ("member", other)]
    assert bound_sha256(tiny.pipeline(tmp_path / "f", "pair", ensemble_rules(), pair),
                        "onnx/fp32") != sha256  # fmt: skip
    with pytest.raises(ArtifactError, match="has no artifact"):
        bound_sha256(made, "tflite/fp16")
