"""evaluate: what differs from FP32, calibration, copies of films, and a clinic's own threshold."""

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_bundles as tiny
from PIL import Image

from clinicedge.profiles.datasets import read_dataset
from clinicedge.profiles.evaluate import evaluate
from clinicedge.profiles.evaluation import EvaluationReport, Question
from clinicedge.profiles.film_identity import film_hashes
from clinicedge.profiles.reliability_plot import draw_reliability
from clinicedge.runtime import Bundle
from clinicedge.runtime.errors import DataError, OverlapError
from clinicedge.runtime.manifest import Artifact, DataHygiene, DataPart, Provenance
from clinicedge.runtime.own_thresholds import Wanted, set_own
from clinicedge.runtime.records import from_json, to_json

N = 24


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLINICEDGE_STATE", str(tmp_path / "state"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Plain films from dark to bright; the brighter half is ill, but for two."""
    root = tmp_path / "plain"
    root.mkdir()
    ill = np.arange(N) >= N // 2
    ill[[8, 15]] = ill[[15, 8]]
    rows = []
    for i in range(N):
        pixels = np.full((32, 32), 20 + 9 * i, np.uint8)
        pixels[0, 0] = i
        Image.fromarray(pixels).save(root / f"{i}.png")
        rows.append((f"{i}.png", "PNEUMONIA" if ill[i] else "NORMAL", str(i), "train"))
    with (root / "manifest.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("file", "label", "patient", "split"), *rows])
    return root


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """FP32, and the same file as FP16 with a threshold that flips some films."""
    made = tiny.binary(tmp_path / "tiny")
    whole = made.manifest.artifacts[0]
    half: Artifact = replace(whole, id="onnx/fp16", recipe="fp16", precision="fp16")
    own = made.manifest.thresholds[0]
    acceptance = made.manifest.acceptance
    assert acceptance is not None
    films = tuple(
        replace(f, expected=(*f.expected, replace(f.expected[0], artifact="onnx/fp16")))
        for f in acceptance.films
    )
    manifest = replace(
        made.manifest,
        artifacts=(whole, half),
        thresholds=(own, replace(own, artifact="onnx/fp16", value=0.85)),
        defaults={"fp32": "fp32", "fp16": "fp16"},
        acceptance=replace(acceptance, films=films),
    )
    return tiny.write(made.folder, manifest)


def evaluated(bundle: Bundle, data: Path) -> EvaluationReport:
    return evaluate(bundle, data, Question(), lambda *_: None)


def seen(bundle: Bundle, hashes: tuple[str, ...]) -> Bundle:
    part = DataPart("guard", 9, 9, "none-of-these", " ".join(hashes))
    record = DataHygiene("elsewhere", "rule", (part,))
    return replace(bundle, manifest=replace(bundle.manifest, data=(record,)))


def test_flips_and_losses_against_fp32(bundle: Bundle, data: Path) -> None:
    report = evaluated(bundle, data)
    whole, half = report.parts[0].rows
    assert (whole.artifact, whole.against) == ("onnx/fp32", None)
    assert half.against is not None
    assert half.against.artifact == "onnx/fp32"
    # Both see the same scores; the higher threshold only takes positives away.
    assert half.against.to_positive == 0
    assert half.against.to_negative == half.flips > 0
    assert half.against.mended is not None
    assert half.against.spoilt is not None
    assert half.against.mended + half.against.spoilt == half.flips
    lost = {loss.figure: loss.value for loss in half.against.losses}
    assert lost["auc"] == 0.0
    before, after = (r.figures.sensitivity.value for r in (whole, half))
    assert lost["sensitivity"] == pytest.approx(before - after)
    assert whole.ece is not None
    assert whole.ece == half.ece
    assert sum(b.n_films for b in whole.bins) == N
    assert from_json(EvaluationReport, to_json(report), "report") == report


def test_a_reliability_diagram_is_a_picture(bundle: Bundle, data: Path, tmp_path: Path) -> None:
    report = evaluated(bundle, data)
    draw_reliability(report, tmp_path / "r.png")
    with Image.open(tmp_path / "r.png") as picture:
        assert min(picture.size) > 300
        assert np.asarray(picture.convert("L")).std() > 5
    with pytest.raises(DataError, match="Masks have none"):
        draw_reliability(replace(report, parts=()), tmp_path / "none.png")


def test_a_copy_of_the_films_is_refused_under_any_name(bundle: Bundle, data: Path) -> None:
    hashes = film_hashes(f.path for f in read_dataset(data).films)
    with pytest.raises(OverlapError, match=r"24 of 24 films of 'all' of plain are the very files"):
        evaluated(seen(bundle, hashes), data)


def test_a_film_or_two_are_told(bundle: Bundle, data: Path) -> None:
    hashes = film_hashes([data / "3.png", data / "4.png"])
    report = evaluated(seen(bundle, hashes), data)
    assert any("2 of 24 films" in note and "3.png" in note for note in report.notes)


def test_weights_without_papers_are_told(bundle: Bundle, data: Path) -> None:
    papers = Provenance("mine.pth", "0" * 64, "not recorded", {}, "not recorded", "")
    own = replace(bundle, manifest=replace(bundle.manifest, provenance=papers))
    assert any("which patients trained tiny" in note for note in evaluated(own, data).notes)


def test_the_clinics_own_threshold_is_used_and_told(bundle: Bundle, data: Path) -> None:
    set_own(bundle, Wanted("onnx/fp32", "f32", "PNEUMONIA", 0.01, "ours", "Dr A"), "2026-03-01")
    report = evaluated(bundle, data)
    assert report.parts[0].rows[0].threshold == 0.01
    assert report.parts[0].rows[0].figures.sensitivity.value == 1.0
    assert any("onnx/fp32: threshold 0.01" in note for note in report.notes)
    shutil.rmtree(data)
