"""Findings, masks, and networks that users bring: converted, compared, accepted."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from clinicedge.cli import main
from clinicedge.convert import Conversion, ConvertOptions, convert_model
from clinicedge.convert.films import FilmSet
from clinicedge.convert.gathering import Wanted, gather
from clinicedge.convert.mask_judge import pick_mask_threshold
from clinicedge.convert.report import proof
from clinicedge.convert.user_source import UserModel, load_user_source
from clinicedge.models import zoo
from clinicedge.runtime import load, phantom
from clinicedge.runtime.acceptance import check_acceptance
from clinicedge.runtime.errors import CheckpointError, DataError

from .user_files import write_spec

ABC = ("A", "B", "C")


@pytest.fixture(scope="session")
def masks(files: Path, small: ConvertOptions) -> Conversion:
    spec = write_spec(files, "my-masks", "segmentation", ("T",))
    source, _ = load_user_source(UserModel(f"{files / 'net.py'}:mask", spec=spec))
    return convert_model(source, replace(small, data=files / "masks"))


def test_masks_in_three_formats_are_the_network(masks: Conversion) -> None:
    manifest = masks.manifest
    assert [a.id for a in manifest.artifacts] == [
        f"{f}/{r}" for f in ("onnx", "tflite", "openvino") for r in ("fp32", "int8-guarded")
    ]
    for artifact in manifest.artifacts:
        assert artifact.parity.n_films == 12
        assert artifact.parity.cosine > 0.99
        assert not artifact.accuracy
        (figures,) = artifact.masks
        assert (figures.data, figures.part) == ("masks", "guard")
        assert figures.dice.n == 9
        assert figures.false_alarms is not None
        if artifact.precision == "fp32":
            assert artifact.parity.max_abs_difference <= 1e-3
            assert artifact.parity.decision_agreement == 1.0
        else:
            assert artifact.float_layers
            assert "last convolution" in artifact.float_layers[0].why
    assert {t.label for t in manifest.thresholds} == {"T"}
    assert all("mean Dice" in t.rule for t in manifest.thresholds)


def test_masks_bundle_runs_and_passes_its_acceptance(masks: Conversion) -> None:
    bundle = load(masks.folder)
    record = bundle.manifest.acceptance
    assert record is not None
    assert len(record.films) == 8
    assert {len(e.values) for f in record.films for e in f.expected} == {65}
    assert (masks.folder / "bundle.json").stat().st_size < 400_000
    for artifact in bundle.manifest.artifacts:
        result = check_acceptance(bundle, artifact.id, cache=False)
        assert result.passed, result.explain()
    film = phantom.draw(phantom.Phantom(seed=5, height=100, width=140))
    answer = bundle.predictor(precision="onnx/fp32", threads=1).predict(film)
    assert answer.report.artifact == "onnx/fp32"


def test_findings_have_a_threshold_each(findings: Conversion) -> None:
    thresholds = {(t.artifact, t.label): t for t in findings.manifest.thresholds}
    assert set(thresholds) == {(a, x) for a in ("onnx/fp32", "onnx/int8-guarded") for x in ABC}
    assert "F1" in thresholds["onnx/fp32", "A"].rule
    assert thresholds["onnx/fp32", "C"].rule == "not set on data: 0.5"
    for artifact in findings.manifest.artifacts:
        assert [a.label for a in artifact.accuracy] == ["A", "B"]
        decisions = 3 * artifact.parity.n_films
        assert artifact.parity.decision_flips == round(
            (1 - artifact.parity.decision_agreement) * decisions
        )
    rows = proof(findings.manifest).rows
    assert [r.label for r in rows[:3]] == list(ABC)
    assert rows[2].auc is None


def test_findings_bundle_keeps_its_pooled_head_and_explains(findings: Conversion) -> None:
    bundle = load(findings.folder)
    head = bundle.manifest.head
    assert head is not None
    assert np.asarray(head.weight).shape == (3, 16)
    film = phantom.draw(phantom.Phantom(seed=5, height=100, width=140))
    predictor = bundle.predictor(precision="onnx/fp32", threads=1)
    assert predictor.kind == "findings"
    assert predictor.explain(film).method == "eigen-cam"
    for artifact in bundle.manifest.artifacts:
        result = check_acceptance(bundle, artifact.id, cache=False)
        assert result.passed, result.explain()


def test_an_onnx_file_and_why_it_has_no_tflite(
    findings: Conversion, files: Path, small: ConvertOptions, tmp_path: Path
) -> None:
    """A file with a free batch axis, other names, and a Sigmoid at its end."""
    import onnx
    from onnx import helper

    artifact = findings.manifest.artifacts[0]
    model = onnx.load(findings.folder / artifact.graphs[0].files[0].path)
    graph = model.graph
    graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    del graph.output[1:]
    graph.node.append(helper.make_node("Sigmoid", ["logits"], ["film_score"]))
    graph.output[0].name = "film_score"
    onnx.save(model, tmp_path / "theirs.onnx")
    spec = write_spec(tmp_path, "theirs", "findings", ABC)
    source, notes = load_user_source(UserModel(str(tmp_path / "theirs.onnx"), spec=spec))
    assert "Sigmoid" in notes[0]
    wish = replace(small, data=files / "findings", precisions=("fp32",), keep_going=True)
    done = convert_model(source, replace(wish, out=tmp_path / "out"))
    assert [a.id for a in done.manifest.artifacts] == ["onnx/fp32", "openvino/fp32"]
    (failed,) = done.failed
    assert failed.artifact == "tflite/fp32"
    assert "came as an ONNX file" in failed.reason
    same = load(done.folder).predictor(precision="onnx/fp32", threads=1)
    film = phantom.draw(phantom.Phantom(seed=5, height=100, width=140))
    one = load(findings.folder).predictor(precision="onnx/fp32", threads=1).predict(film)
    other = same.predict(film)
    assert [f.score for f in other.findings] == pytest.approx(  # type: ignore[union-attr]
        [f.score for f in one.findings],  # type: ignore[union-attr]
        abs=1e-6,
    )
    wrong = write_spec(tmp_path, "wrong", "findings", ("A", "B"))
    with pytest.raises(CheckpointError, match=r"gives \(3,\) a film"):
        load_user_source(UserModel(str(tmp_path / "theirs.onnx"), spec=wrong))


def test_the_command_line_takes_a_user_s_file(
    files: Path, small: ConvertOptions, findings: Conversion, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        *("convert", f"{files / 'net.py'}:findings", "--spec", str(files / "my-findings.toml")),
        *("--out", str(small.out), "--data", str(files / "findings"), "--formats", "onnx"),
        *("--precisions", "fp32,int8", "--calibration-films", "12", "--min-agreement", "0.5"),
    ]
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main([*words, "--json"])
    assert not end.value.code
    found = json.loads(capsys.readouterr().out)
    assert found["unchanged"] is True
    assert found["bundle"] == str(findings.folder)
    with pytest.raises(SystemExit):
        main(words)
    out = capsys.readouterr().out
    assert "onnx/fp32 A" in out
    assert "unchanged, reused" in out


def test_the_threshold_of_masks_is_the_one_nearest_to_half_that_is_as_good() -> None:
    """Made masks whose best threshold is known: logits of 0.7 inside, of 0.2 beside."""
    truth = np.zeros((2, 8, 8), np.uint8)
    truth[0, 2:6, 2:6] = 255
    truth[0, 0] = 127
    raw = np.full((2, 1, 8, 8), np.log(0.2 / 0.8), np.float32)
    raw[0, 0, 2:6, 2:6] = np.log(0.62 / 0.38)
    raw[0, 0, 0] = 9.0
    spec = zoo.spec("lungs-128").input
    pixels = np.zeros((2, 8, 8), np.uint8)
    films = FilmSet("made", "select", pixels, truth, ("a", "b"), spec)
    assert pick_mask_threshold(raw, films) == 0.5
    raw[0, 0, 2:6, 2:6] = np.log(0.42 / 0.58)
    assert pick_mask_threshold(raw, films) == 0.4
    nothing = replace(films, truth=np.zeros_like(truth))
    assert pick_mask_threshold(raw, nothing) == 0.5


def test_a_folder_without_masks_is_refused(files: Path) -> None:
    with pytest.raises(DataError, match="no mask"):
        gather(zoo.spec("lungs-128"), Wanted(files / "findings", 8, None))
