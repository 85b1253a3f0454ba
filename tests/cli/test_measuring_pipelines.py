"""`clinicedge tune` and `profile` of a pipeline through the command line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_bundles as tiny

from clinicedge.runtime import phantom
from clinicedge.runtime.bundle import Bundle
from clinicedge.runtime.choices import read_choice

Command = Callable[..., Any]
QUICK = ("--rounds", 1, "--seconds", 0.01)


@pytest.fixture
def pipeline(tmp_path: Path) -> Bundle:
    lungs = tiny.masks(tmp_path / "lungs")
    classifier = tiny.binary(tmp_path / "c", "tiny-lung-crop", tiny.Scores(region="lungs"))
    return tiny.on_lungs(tmp_path / "tiny-on-lungs", classifier, lungs)


def test_tune_and_forget_a_pipeline(ce: Command, pipeline: Bundle) -> None:
    ran = ce("tune", pipeline.folder, *QUICK, "--threads", 1)
    assert ran.code == 0
    assert "member" in ran.out
    for path, model in pipeline.models():
        assert f"{path}: chosen and remembered" in ran.out
        assert read_choice(model.id) is not None
    document = json.loads(ce("tune", pipeline.folder, *QUICK, "--threads", 1, "--json").out)
    assert [m["paths"] for m in document["members"]] == [["lungs"], ["classifier"]]
    assert document["members"][0]["result"]["choice"]["artifact"] == "onnx/fp32"
    assert ce("tune", pipeline.folder, "--forget").out == "forgotten\n"
    assert ce("tune", pipeline.folder, "--forget").out == "not tuned\n"


def test_profile_a_pipeline(ce: Command, pipeline: Bundle, tmp_path: Path) -> None:
    film = tmp_path / "chest.png"
    film.write_bytes(phantom.encode_png(tiny.chest()))
    picture = tmp_path / "costs.png"
    ran = ce("profile", pipeline.folder, *QUICK, "--film", film, "--plot", picture)
    assert ran.code == 0, ran.err
    for word in ("whole", "lungs", "classifier", "own film, 120 x 160", "fastest within"):
        assert word in ran.out
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert (pipeline.folder / "measurements").is_dir()
