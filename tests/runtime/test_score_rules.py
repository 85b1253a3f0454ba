"""Thresholds bound to an artifact's bytes, temperatures, and a clinic's own thresholds."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_bundles as tiny

from clinicedge.runtime import Bundle
from clinicedge.runtime.acceptance import check_acceptance
from clinicedge.runtime.errors import ArtifactError, SchemaError
from clinicedge.runtime.manifest import Manifest, Temperature, Threshold
from clinicedge.runtime.own_thresholds import (
    Wanted,
    clear_own,
    own_path,
    read_own,
    set_own,
)
from clinicedge.runtime.predictions import Classification, Findings
from clinicedge.runtime.recorded_values import logit

WHEN = "2026-03-01T08:00:00+00:00"
KEY = ("tiny", "onnx/fp32", "f32", "PNEUMONIA")


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLINICEDGE_STATE", str(tmp_path / "state"))


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return tiny.binary(tmp_path / "tiny")


def bound(manifest: Manifest) -> tuple[Threshold, ...]:
    sha256 = manifest.artifacts[0].sha256
    return tuple(replace(t, artifact_sha256=sha256) for t in manifest.thresholds)


def scaled(bundle: Bundle, **by_label: float) -> Bundle:
    found = tuple(
        Temperature("onnx/fp32", "f32", label, value, "noise", "select", 9)
        for label, value in by_label.items()
    )
    return tiny.write(bundle.folder, replace(bundle.manifest, temperatures=found))


def asked(bundle: Bundle) -> Classification:
    answer = bundle.predictor().predict(tiny.noise(7))
    assert isinstance(answer, Classification)
    return answer


def mine(value: float = 0.1, **other: str) -> Wanted:
    words = {"data": "200 films of our own", "who": "Dr A"} | other
    return Wanted("onnx/fp32", "f32", "PNEUMONIA", value, words["data"], words["who"], 200)


def test_a_bound_threshold_is_used(bundle: Bundle) -> None:
    own = tiny.write(bundle.folder, replace(bundle.manifest, thresholds=bound(bundle.manifest)))
    assert own.threshold("onnx/fp32", "f32", "PNEUMONIA") == 0.5
    assert own.predictor().report.session.notes == ()


def test_a_threshold_of_other_bytes_is_refused(bundle: Bundle) -> None:
    other = tuple(replace(t, artifact_sha256="77" * 32) for t in bundle.manifest.thresholds)
    manifest = replace(bundle.manifest, thresholds=other)
    with pytest.raises(SchemaError, match=r"set for an artifact 777777777777….*Convert again"):
        tiny.write(bundle.folder, manifest)
    with pytest.raises(ArtifactError, match=r"set for an artifact 777777777777….*Convert again"):
        replace(bundle, manifest=manifest).threshold("onnx/fp32", "f32", "PNEUMONIA")


def test_a_threshold_of_another_artifact_is_refused(bundle: Bundle) -> None:
    other = tuple(replace(t, artifact="onnx/int8-guarded") for t in bundle.manifest.thresholds)
    with pytest.raises(SchemaError, match="expected one of onnx/fp32"):
        tiny.write(bundle.folder, replace(bundle.manifest, thresholds=other))
    with pytest.raises(ArtifactError, match="another artifact's is not used"):
        bundle.threshold("onnx/fp32", "bf16", "PNEUMONIA")


def test_two_thresholds_for_one_decision_are_refused(bundle: Bundle) -> None:
    twice = bundle.manifest.thresholds * 2
    with pytest.raises(SchemaError, match="2 thresholds for 'PNEUMONIA'"):
        tiny.write(bundle.folder, replace(bundle.manifest, thresholds=twice))


@pytest.mark.parametrize("value", [0.25, 3.0])
def test_a_temperature_divides_the_logits(bundle: Bundle, value: float) -> None:
    plain = asked(bundle)
    cool = asked(scaled(bundle, PNEUMONIA=value))
    assert logit(cool.score) == pytest.approx(logit(plain.score) / value)
    assert math.fsum(dict(cool.probabilities).values()) == pytest.approx(1.0)
    assert check_acceptance(scaled(bundle, PNEUMONIA=value), "onnx/fp32").passed


def test_findings_have_a_temperature_each(tmp_path: Path) -> None:
    bundle = tiny.findings(tmp_path / "findings")

    def scores(opened: Bundle) -> list[float]:
        answer = opened.predictor().predict(tiny.noise(7))
        assert isinstance(answer, Findings)
        return [logit(f.score) for f in answer.findings]

    plain = scores(bundle)
    assert scores(scaled(bundle, VIRAL=2.0)) == pytest.approx([plain[0], plain[1] / 2])


def test_members_of_an_ensemble_scale_their_own(tmp_path: Path) -> None:
    from clinicedge.runtime.manifest import PipelineRules

    first = tiny.binary(tmp_path / "a", "a")
    second = scaled(tiny.binary(tmp_path / "b", "b"), PNEUMONIA=4.0)
    rule = replace(first.manifest.thresholds[0], rule="by hand")
    rules = PipelineRules("ensemble", None, None, rule)
    both = tiny.pipeline(tmp_path / "c", "c", rules, (("member", first), ("member", second)))
    mean = (asked(first).score + asked(second).score) / 2
    assert asked(both).score == pytest.approx(mean)


@pytest.mark.parametrize("value", [0.0, -1.0, math.inf])
def test_a_temperature_out_of_range_is_refused(bundle: Bundle, value: float) -> None:
    found = (Temperature("onnx/fp32", "f32", "PNEUMONIA", value, "noise", "select", 9),)
    with pytest.raises((SchemaError, ValueError)):
        tiny.write(bundle.folder, replace(bundle.manifest, temperatures=found))


def test_temperatures_of_masks_and_strangers_are_refused(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="a mask has temperatures"):
        scaled(tiny.masks(tmp_path / "m"), LUNG=2.0)
    stranger = (Temperature("onnx/int8", "f32", "PNEUMONIA", 2.0, "noise", "select", 9),)
    with pytest.raises(SchemaError, match="a temperature for 'PNEUMONIA'"):
        tiny.write(bundle.folder, replace(bundle.manifest, temperatures=stranger))


def test_a_clinics_own_threshold_decides_and_says_so(bundle: Bundle) -> None:
    before = (bundle.folder / "bundle.json").read_bytes()
    assert asked(bundle).threshold == 0.5
    set_own(bundle, mine(0.1), WHEN)
    answer = asked(bundle)
    assert answer.threshold == 0.1
    assert answer.positive == (answer.score >= 0.1)
    assert answer.report.session.notes == (
        "threshold 0.1 for PNEUMONIA set on this device by Dr A on 2026-03-01 (200 films of our "
        "own); the bundle's is 0.5",
    )
    assert (bundle.folder / "bundle.json").read_bytes() == before
    assert bundle.threshold("onnx/fp32", "f32", "PNEUMONIA") == 0.5
    assert clear_own(*KEY)  # type: ignore[arg-type]
    assert asked(bundle).threshold == 0.5
    assert not clear_own(*KEY)  # type: ignore[arg-type]


def test_an_own_threshold_of_other_bytes_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    set_own(bundle, mine(), WHEN)
    other = tiny.binary(tmp_path / "new", "tiny", tiny.Scores(slopes=(-2.0, 2.0)))
    with pytest.raises(ArtifactError, match=r"set by Dr A on 2026-03-01.*clinicedge threshold set"):
        other.predictor()
    set_own(other, mine(0.2), WHEN)
    assert asked(other).threshold == 0.2


def test_an_own_threshold_of_another_scale_is_refused(bundle: Bundle) -> None:
    set_own(bundle, mine(), WHEN)
    with pytest.raises(ArtifactError, match="with temperature 2"):
        scaled(bundle, PNEUMONIA=2.0).predictor()


def test_a_damaged_record_is_not_left_aside(bundle: Bundle) -> None:
    set_own(bundle, mine(), WHEN)
    path = own_path(*KEY)  # type: ignore[arg-type]
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ArtifactError, match="damaged"):
        bundle.predictor()
    assert clear_own(*KEY)  # type: ignore[arg-type]
    assert read_own(*KEY) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [0.0, 1.0, -0.5, math.nan])
def test_values_that_decide_nothing_are_refused(bundle: Bundle, value: float) -> None:
    with pytest.raises(ArtifactError, match="expected a probability between 0 and 1"):
        set_own(bundle, mine(value), WHEN)


def test_who_and_data_are_told(bundle: Bundle) -> None:
    for words in ({"who": " "}, {"data": ""}, {"who": "x" * 300}, {"data": "a\nb"}):
        with pytest.raises(ArtifactError, match="printable characters"):
            set_own(bundle, mine(0.3, **words), WHEN)
    with pytest.raises(ArtifactError, match="no threshold for 'NORMAL'"):
        set_own(bundle, replace(mine(), label="NORMAL"), WHEN)


def test_scores_without_temperatures_are_the_same_bits(bundle: Bundle) -> None:
    plain = asked(bundle)
    logits = bundle.predictor().run(tiny.noise(7))["logits"][0].astype(np.float64)  # type: ignore[attr-defined]
    shares = np.exp(logits - logits.max())
    assert plain.score == pytest.approx(float(shares[1] / shares.sum()), abs=1e-12)
