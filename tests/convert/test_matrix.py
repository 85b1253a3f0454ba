"""Nine artifacts of one network: each is the network, and the manifest says what it cost."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from clinicedge.convert import Conversion, ConvertOptions, Source, convert_model
from clinicedge.convert.report import proof
from clinicedge.runtime import Bundle, load, phantom, read_film
from clinicedge.runtime.acceptance import check_acceptance
from clinicedge.runtime.classifier import as_classifier
from clinicedge.runtime.images import prepare

IDS = tuple(
    f"{format_}/{recipe}"
    for format_ in ("onnx", "tflite", "openvino")
    for recipe in ("fp32", "fp16", "int8-guarded")
)
# Files of fp16 weights and int8 weights, over FP32; a small network is half graph.
LARGEST = {"fp32": 1.0, "fp16": 0.62, "int8": 0.5}


@pytest.fixture(scope="session")
def bundle(converted: Conversion) -> Bundle:
    return load(converted.folder)


def test_every_artifact_is_there_and_intact(bundle: Bundle) -> None:
    assert tuple(a.id for a in bundle.manifest.artifacts) == IDS
    bundle.check_all()
    assert dict(bundle.manifest.defaults) == {
        "fp32": "fp32",
        "fp16": "fp16",
        "int8": "int8-guarded",
    }


def test_fp32_is_the_network_and_the_others_decide_alike(bundle: Bundle) -> None:
    for artifact in bundle.manifest.artifacts:
        parity = artifact.parity
        assert parity.n_films == 24
        if artifact.precision == "fp32":
            assert parity.max_abs_difference <= 1e-4
            assert parity.decision_agreement == 1.0
        if artifact.precision == "fp16":
            assert parity.max_abs_difference <= 0.02
        assert parity.cosine > 0.99
        assert parity.features_cosine is not None
        assert parity.features_cosine > 0.98
        assert parity.decision_flips == round((1 - parity.decision_agreement) * 24)


def test_files_shrink(converted: Conversion) -> None:
    for row, artifact in zip(
        proof(converted.manifest).rows, converted.manifest.artifacts, strict=True
    ):
        assert row.ratio is not None
        assert row.ratio <= LARGEST[artifact.precision]


@pytest.mark.parametrize("artifact_id", IDS)
def test_the_predictor_gives_the_network_s_score_and_map(
    artifact_id: str, bundle: Bundle, source: Source
) -> None:
    import torch

    film = phantom.draw(phantom.Phantom(seed=5, opacity=0.7, height=200, width=240))
    predictor = as_classifier(bundle.predictor(precision=artifact_id, threads=1))
    found = predictor.run(film)
    with torch.inference_mode():
        tensor = torch.from_numpy(predictor.tensor(film))
        logits, features = source.module.forward_with_features(tensor)  # type: ignore[operator]
    exact = artifact_id.endswith("fp32")
    assert np.abs(found["logits"] - logits.numpy()).max() < (1e-4 if exact else 0.3)
    assert found["features"].dtype == np.float32
    correlation = np.corrcoef(found["features"].ravel(), features.numpy().ravel())[0, 1]
    assert correlation > (0.9999 if exact else 0.98)
    assert predictor.report.artifact == artifact_id
    assert predictor.explain(film).sign in (-1, 0, 1)


def test_the_head_in_the_manifest_is_the_classifier(bundle: Bundle) -> None:
    head = bundle.manifest.head
    assert head is not None
    film = phantom.draw(phantom.Phantom(seed=6, height=128, width=128))
    found = as_classifier(bundle.predictor(precision="onnx/fp32", threads=1)).run(film)
    pooled = found["features"][0].mean((1, 2))
    logits = np.asarray(head.weight) @ pooled + np.asarray(head.bias)
    np.testing.assert_allclose(logits, found["logits"][0], atol=1e-4)


def test_thresholds_and_accuracy_name_their_data(bundle: Bundle) -> None:
    thresholds = {t.artifact: t for t in bundle.manifest.thresholds}
    assert set(thresholds) == set(IDS)
    for artifact in bundle.manifest.artifacts:
        threshold = thresholds[artifact.id]
        assert (threshold.data, threshold.part, threshold.n_films) == ("phantoms", "select", 20)
        assert threshold.compute == ("int8" if artifact.precision == "int8" else "f32")
        assert threshold.rule.startswith(
            "fewest films decided otherwise than by the trained network"
        )
        assert "Youden" in threshold.rule
        (accuracy,) = artifact.accuracy
        assert (accuracy.data, accuracy.part) == ("phantoms", "guard")
        assert accuracy.threshold == threshold.value
        assert accuracy.sensitivity.n == 12
        assert accuracy.auc.low <= accuracy.auc.value <= accuracy.auc.high


def test_int8_says_what_set_its_ranges_and_what_stayed_in_float(bundle: Bundle) -> None:
    for artifact in bundle.manifest.artifacts:
        if artifact.precision != "int8":
            assert artifact.calibration is None
            continue
        assert artifact.calibration is not None
        assert (artifact.calibration.part, artifact.calibration.n_films) == ("train", 24)
        assert artifact.calibration.n_patients == 16
        assert artifact.float_layers


def test_patients_are_in_one_part_and_only_as_hashes(bundle: Bundle) -> None:
    trained, data = bundle.manifest.data
    assert trained.data == "kermany224"
    keys = [key for part in data.parts for key in part.patient_keys.split()]
    assert len(keys) == len(set(keys)) == sum(p.n_patients for p in data.parts)
    assert {p.part for p in data.parts} == {"train", "select", "guard", "test", "official-test"}
    text = (bundle.folder / "bundle.json").read_text(encoding="utf-8")
    assert "phantoms/train/" not in text


def test_acceptance_films_spread_and_pass_here(bundle: Bundle) -> None:
    record = bundle.manifest.acceptance
    assert record is not None
    assert len(record.films) == 8
    assert len(record.tried) >= 10
    spec = bundle.manifest.input
    assert spec is not None
    reference = as_classifier(bundle.predictor(precision="onnx/fp32", threads=1))
    scores = []
    for film in record.films:
        assert film.file.bytes <= 100_000
        seen = read_film(bundle.folder / film.file.path)
        digest = hashlib.sha256(prepare(seen, spec).tobytes()).hexdigest()
        assert digest == film.tensor_sha256
        assert {e.artifact for e in film.expected} == set(IDS)
        scores.append(reference.predict(seen).score)
    assert scores == sorted(scores)
    assert scores[0] < 0.15
    assert scores[-1] > 0.85
    assert sum(abs(s - reference.threshold) <= 0.1 for s in scores) >= 2
    for artifact in bundle.manifest.artifacts:
        result = check_acceptance(bundle, artifact.id, cache=False)
        assert result.passed, result.explain()
        assert len(result.films) == 8


def test_a_second_run_reuses_everything(
    converted: Conversion, source: Source, options: ConvertOptions
) -> None:
    before = (converted.folder / "bundle.json").read_bytes()
    again = convert_model(source, options)
    assert again.unchanged
    assert not again.made
    assert set(again.reused) == set(converted.made) | set(converted.reused)
    assert (again.folder / "bundle.json").read_bytes() == before


def test_a_run_from_nothing_makes_the_same_files(
    converted: Conversion, source: Source, options: ConvertOptions, tmp_path: Path
) -> None:
    """The two formats that other tools write their names, paths and dates into most."""
    fresh = replace(options, out=tmp_path, formats=("onnx", "openvino"), precisions=("int8",))
    again = convert_model(source, fresh)
    assert not again.reused
    first = {a.id: a.sha256 for a in converted.manifest.artifacts}
    for artifact in again.manifest.artifacts:
        assert artifact.sha256 == first[artifact.id]


def test_no_file_names_this_machine(bundle: Bundle) -> None:
    names = {str(Path.home()), str(Path.cwd()), "/tmp/", str(bundle.folder.parent)}
    for path in bundle.folder.rglob("*"):
        if path.is_file() and path.suffix != ".png":
            data = path.read_bytes()
            assert not [n for n in names if len(n) > 1 and n.encode("utf-8") in data], path
