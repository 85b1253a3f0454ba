"""`clinicedge tune`, `profile` and `evaluate` through the command line."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_bundles as tiny

from clinicedge.runtime.bundle import Bundle
from clinicedge.runtime.choices import read_choice
from clinicedge.runtime.phantom import encode_png
from clinicedge.runtime.records import dump_bytes

Command = Callable[..., Any]
TWO = ("onnx/int8-guarded", "openvino/int8-guarded")
QUICK = ("--rounds", 1, "--seconds", 0.01)


@pytest.fixture
def small(plain: Bundle) -> Bundle:
    """Two artifacts of a model, so that little is measured."""
    from clinicedge.runtime import load

    kept = tuple(a for a in plain.manifest.artifacts if a.id in TWO)
    thresholds = tuple(t for t in plain.manifest.thresholds if t.artifact in {a.id for a in kept})
    manifest = replace(plain.manifest, artifacts=kept, thresholds=thresholds)
    (plain.folder / "bundle.json").write_bytes(dump_bytes(manifest))
    return load(plain.folder)


@pytest.fixture
def data(film_png: bytes, tmp_path: Path) -> Path:
    """Four films, two labels."""
    folder = tmp_path / "films"
    folder.mkdir()
    with (folder / "manifest.csv").open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(("file", "label", "patient", "split"))
        for number in range(4):
            (folder / f"{number}.png").write_bytes(film_png)
            label = "PNEUMONIA" if number % 2 else "NORMAL"
            rows.writerow((f"{number}.png", label, number, "test"))
    return folder


def test_tune_remembers_and_forgets(ce: Command, small: Bundle, film: Path) -> None:
    ran = ce("tune", small.folder, *QUICK, "--threads", 1)
    assert ran.code == 0
    assert "chosen and remembered" in ran.out
    choice = read_choice(small.id)
    assert choice is not None
    answered = json.loads(ce("predict", small.folder, film, "--json").out)
    assert answered["report"]["artifact"] == choice.artifact
    assert "tuned: " + choice.artifact in ce("doctor", small.folder).out
    assert ce("tune", small.folder, "--forget").out == "forgotten\n"
    assert json.loads(ce("tune", small.folder, "--forget", "--json").out) == {"forgotten": False}
    assert read_choice(small.id) is None


def test_tune_as_json(ce: Command, small: Bundle) -> None:
    document = json.loads(ce("tune", small.folder, *QUICK, "--threads", 1, "--json").out)
    assert document["bundle_id"] == small.id
    assert {r["artifact"] for r in document["rows"]} == set(TWO)
    assert document["rejected"] == []


def test_profile_prints_keeps_and_draws(ce: Command, small: Bundle, tmp_path: Path) -> None:
    picture = tmp_path / "costs.png"
    ran = ce("profile", small.folder, *QUICK, "--plot", picture)
    assert ran.code == 0
    assert "p99 ms" in ran.out
    assert "energy: not measured" in ran.out
    assert picture.read_bytes().startswith(b"\x89PNG")
    kept = {p.name for p in (small.folder / "measurements").iterdir()}
    assert kept == {f"{a.sha256}-latency.json" for a in small.manifest.artifacts}


def test_profile_as_json_with_another_devices_budget(ce: Command, small: Bundle) -> None:
    words = ("--device", "raspberry-pi-4", "--no-keep", "--threads", 1, "--json")
    document = json.loads(ce("profile", small.folder, *QUICK, *words).out)
    assert document["device"] == "raspberry-pi-4"
    assert {c["threads"] for c in document["costs"]} == {1}
    assert not (small.folder / "measurements").exists()


def test_profile_refuses_an_unknown_device(ce: Command, small: Bundle) -> None:
    ran = ce("profile", small.folder, "--device", "toaster")
    assert ran.code == 2
    assert "no device profile 'toaster'" in ran.err


def test_figures_that_cannot_be_kept_are_not_lost(ce: Command, small: Bundle, data: Path) -> None:
    (small.folder / "measurements").write_bytes(b"")
    ran = ce("profile", small.folder, *QUICK, "--json")
    assert ran.code == 0
    assert json.loads(ran.out)["costs"]
    assert "not stored" in ran.err
    ran = ce("evaluate", small.folder, "--data", data)
    assert ran.code == 0
    assert "not stored" in ran.err


def test_evaluate_prints_every_figure(
    ce: Command, small: Bundle, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLINICEDGE_DATA", str(data.parent))
    ran = ce("evaluate", small.folder, "--data", "films", "--artifact", "onnx/int8-guarded")
    assert ran.code == 0
    for word in ("accuracy", "sensitivity", "specificity", "AUC", f"flips against {TWO[0]}"):
        assert word in ran.out
    document = json.loads(ce("evaluate", small.folder, "--data", data, "--json").out)
    assert [p["part"] for p in document["parts"]] == ["all"]
    assert len(document["parts"][0]["rows"]) == 2
    assert document["parts"][0]["rows"][0]["figures"]["accuracy"]["n"] == 4


def test_evaluate_scores_the_demo_whole(ce: Command, bundle: Bundle, data: Path) -> None:
    (data / "2.png").write_bytes(encode_png(tiny.chest(0)))
    document = json.loads(ce("evaluate", bundle.folder, "--data", data, "--json").out)
    (part,) = document["parts"]
    rows = {row["artifact"]: row for row in part["rows"]}
    assert set(rows) == {"onnx/int8", "openvino/int8", "tflite/int8"}
    for name, row in rows.items():
        predictor = bundle.predictor(precision=name)
        assert row["artifact_sha256"] == predictor.report.artifact_sha256
        assert row["threshold"] == predictor.thresholds["PNEUMONIA"]
        assert (row["no_score"], row["figures"]["accuracy"]["n"]) == (1, 3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--data", "nowhere"), "cannot read nowhere/manifest.csv"),
        (("--part", "holdout"), "no part holdout"),
        (("--part", "train"), "no film in part 'train'"),
        (("--artifact", "onnx/none"), "no artifact 'onnx/none'"),
        (("--threads", "-1"), "threads"),
    ],
)
def test_evaluate_refuses_in_one_sentence(
    ce: Command, small: Bundle, data: Path, words: tuple[str, ...], message: str
) -> None:
    given = words if "--data" in words else ("--data", data, *words)
    ran = ce("evaluate", small.folder, *given)
    assert ran.code == 2
    assert message in ran.err
    assert ran.out == ""
