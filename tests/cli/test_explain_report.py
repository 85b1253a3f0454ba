"""`clinicedge explain-report`: tables, JSON, the page, exit codes."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tiny_bundles import Scores, binary, chest, masks, on_lungs

Command = Callable[..., Any]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "chests"
    root.mkdir()
    with (root / "manifest.csv").open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(("file", "mask", "label", "patient", "split"))
        for number in range(4):
            film = chest(lungs=190 + 20 * number)
            Image.fromarray(film.pixels).save(root / f"{number}.png")
            lungs = np.where(film.pixels > 100, 255, 0).astype(np.uint8)
            Image.fromarray(lungs).save(root / f"m{number}.png")
            label = "NORMAL" if number == 0 else "PNEUMONIA"
            rows.writerow((f"{number}.png", f"m{number}.png", label, f"p{number}", "train"))
    return root


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    crops = binary(tmp_path / "c", "tiny-lung-crop", Scores(region="lungs"))
    return on_lungs(tmp_path / "p", crops, masks(tmp_path / "l")).folder


def test_a_table_a_page_and_the_default(ce: Command, bundle: Path, data: Path) -> None:
    ran = ce("explain-report", bundle, "--data", data, "--masks", data, "--steps", 3)
    assert ran.code == 0, ran.err
    for words in (
        "3 films of 3 patients",
        "grad-cam++",
        "in lungs",
        "shuffled weights",
        "lungs: the true masks of chests",
        "not measured: rise: 256 runs of the network a map",
        "explains with eigen-cam where nothing is asked for",
    ):
        assert words in ran.out
    page = bundle.parent / "explain-report" / "explain-report.html"
    assert str(page) in ran.out
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_json_holds_what_was_asked(ce: Command, bundle: Path, data: Path, tmp_path: Path) -> None:
    words = ("explain-report", bundle, "--data", data, "--steps", 2, "--films", 2, "--json")
    ran = ce(*words, "--method", "grad-cam", "--method", "rise", "--passes", 4,
             "--pictures", 0, "--no-keep", "--out", tmp_path / "o")  # fmt: skip
    assert ran.code == 0, ran.err
    told = json.loads(ran.out)
    (found,) = told["artifacts"]
    assert [m["method"] for m in found["methods"]] == ["grad-cam", "rise"]
    assert found["bounds"] == {"films": 2, "per_patient": 1, "steps": 2, "passes": 4}
    assert not (bundle / "measurements").exists()
    assert "<img" not in (tmp_path / "o" / "explain-report.html").read_text(encoding="utf-8")


def test_masks_have_columns_of_their_own(ce: Command, data: Path, tmp_path: Path) -> None:
    drawn = masks(tmp_path / "m").folder
    ran = ce("explain-report", drawn, "--data", data, "--steps", 2, "--pictures", 0, "--no-keep",
             "--out", tmp_path / "o")  # fmt: skip
    assert ran.code == 0, ran.err
    assert "in masks" in ran.out
    assert "the true masks of chests; they cover" in ran.out
    assert "in boxes" not in ran.out
    assert "the rule would pick" not in ran.out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--method", "magic"), "no method 'magic'"),
        (("--label", "MASS"), "no film has the label 'MASS'"),
        (("--part", "guard"), "no film in part 'guard'"),
        (("--artifact", "onnx/int4"), "has no artifact 'onnx/int4'"),
        (("--boxes", "nowhere"), "cannot read"),
    ],
)
def test_what_is_refused_leaves_nothing(
    ce: Command, bundle: Path, data: Path, words: tuple[str, ...], told: str
) -> None:
    ran = ce("explain-report", bundle, "--data", data, *words)
    assert ran.code == 2
    assert told in ran.err
    assert not (bundle / "measurements").exists()
    assert not (bundle.parent / "explain-report").exists()
