"""`clinicedge predict --explain`: the method, the class, and what is refused."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_bundles as tiny
from PIL import Image

from clinicedge.runtime import Bundle
from clinicedge.runtime.phantom import encode_png

Command = Callable[..., Any]


@pytest.fixture
def scores(tmp_path: Path) -> Bundle:
    return tiny.binary(tmp_path / "scores")


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    path = tmp_path / "noise.png"
    path.write_bytes(encode_png(tiny.noise(3)))
    return path


def test_the_method_and_the_class_asked_for_are_drawn(
    ce: Command, scores: Bundle, noise: Path, tmp_path: Path
) -> None:
    pictures = set()
    for method, label in (("grad-cam", "PNEUMONIA"), ("grad-cam", "NORMAL"), ("rise", "NORMAL")):
        out = tmp_path / f"{method}-{label}.png"
        words = ("--explain", out, "--method", method, "--class", label, "--passes", 16)
        ran = ce("predict", scores.folder, noise, *words, "--json")
        assert ran.code == 0, ran.err
        told = json.loads(ran.out)["films"][0]["explanation"]
        assert (told["method"], told["label"], told["sign"]) == (method, label, 1)
        assert told["passes"] == (16 if method == "rise" else 0)
        with Image.open(io.BytesIO(out.read_bytes())) as image:
            assert image.size == (48, 40)
        pictures.add(out.read_bytes())
    assert len(pictures) == 3


def test_the_table_names_method_and_class(
    ce: Command, scores: Bundle, noise: Path, tmp_path: Path
) -> None:
    ran = ce("predict", scores.folder, noise, "--explain", tmp_path / "m.png", "--class", "NORMAL")
    assert "eigen-cam of NORMAL in" in " ".join(ran.out.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--class", "TUMOR"), "no class 'TUMOR'; it has NORMAL, PNEUMONIA"),
        (("--method", "lime"), "no method 'lime'; artifact onnx/fp32 of 'tiny' offers eigen-cam"),
        (("--method", "probability"), "it answers with scores, not with a mask"),
        (("--method", "rise", "--passes", "5000"), "found 5000 passes; expected 1 to 4096"),
    ],
)
def test_what_the_bundle_cannot_do_is_refused_before_any_film(
    ce: Command, scores: Bundle, noise: Path, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    out = tmp_path / "map.png"
    ran = ce("predict", scores.folder, noise, "--explain", out, *words)
    assert ran.code == 2
    assert message in " ".join(ran.err.split())
    assert not out.exists()


def test_a_method_without_a_picture_is_refused(ce: Command, scores: Bundle, noise: Path) -> None:
    ran = ce("predict", scores.folder, noise, "--method", "grad-cam")
    assert ran.code == 2
    assert "need --explain" in ran.err


def test_a_bundle_without_features_says_what_it_offers(
    ce: Command, scores: Bundle, noise: Path, tmp_path: Path
) -> None:
    tiny.write(scores.folder, replace(scores.manifest, explanation=None, head=None))
    ran = ce("predict", scores.folder, noise, "--explain", tmp_path / "map.png")
    assert ran.code == 2
    assert "It offers rise, occlusion." in ran.err


def test_a_black_film_is_answered_with_a_flat_map_that_says_so(
    ce: Command, scores: Bundle, tmp_path: Path
) -> None:
    black = tmp_path / "black.png"
    Image.new("L", (48, 40)).save(black)
    out = tmp_path / "map.png"
    ran = ce("predict", scores.folder, black, "--explain", out, "--json")
    assert ran.code == 0
    told = json.loads(ran.out)["films"][0]["explanation"]
    assert told["sign"] == 0
    assert "one grey all over" in told["note"]
    with Image.open(io.BytesIO(out.read_bytes())) as image:
        assert image.getextrema() == ((0, 0), (0, 0), (0, 0))
