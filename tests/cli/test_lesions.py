"""Detectors, promptable models and lesion pipelines on the command line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_boxes as boxes
from PIL import Image

from clinicedge.runtime.bundle import Bundle, load
from clinicedge.runtime.phantom import encode_png

Command = Callable[..., Any]
SPOTS = boxes.spots((16, 16, 48, 48), (64, 80, 96, 112), size=(128, 128))


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "leg.png"
    path.write_bytes(encode_png(SPOTS))
    return path


@pytest.fixture
def prompted(tmp_path: Path) -> Bundle:
    return boxes.promptable(tmp_path / "prompted")


@pytest.fixture
def detector(tmp_path: Path) -> Bundle:
    return boxes.detector(tmp_path / "detector")


def test_a_box_by_hand_is_outlined(
    ce: Command, prompted: Bundle, film: Path, tmp_path: Path
) -> None:
    picture = tmp_path / "outline.png"
    words = ("predict", prompted.folder, film, "--box", "10,10,56,56", "--box", "100,0,128,20")
    ran = ce(*words, "--overlay", picture)
    assert ran.code == 0, ran.err
    assert "OBJECT: 2 regions" in ran.out
    assert "Nothing was outlined in 1 of 2 boxes." in ran.out
    with Image.open(picture) as image:
        assert image.size == (128, 128)
    (answer,) = json.loads(ce(*words, "--json").out)["films"]
    first, second = answer["prediction"]["lesions"]
    assert first["prompt"] == [10.0, 10.0, 56.0, 56.0]
    assert first["area_px"] > 500
    assert (second["area_px"], second["outline"]) == (0, [])


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ((), "give --box"),
        (("--box", "1,2,3"), "expected four numbers"),
        (("--box", "1,2,3,x"), "expected four numbers"),
    ],
)
def test_no_box_and_half_a_box_are_refused(
    ce: Command, prompted: Bundle, film: Path, asked: tuple[str, ...], words: str
) -> None:
    ran = ce("predict", prompted.folder, film, *asked)
    assert ran.code == 2
    assert words in ran.err


@pytest.mark.parametrize(
    ("box", "words"), [("100,100,140,120", "is not on the film"), ("9,9,9,20", "has no area")]
)
def test_a_box_beside_the_film_is_refused_by_the_film(
    ce: Command, prompted: Bundle, film: Path, box: str, words: str
) -> None:
    ran = ce("predict", prompted.folder, film, "--box", box, "--json")
    assert ran.code == 2
    (answer,) = json.loads(ran.out)["films"]
    assert words in answer["error"]["message"]


def test_a_detector_tells_and_draws_its_boxes(
    ce: Command, detector: Bundle, film: Path, tmp_path: Path
) -> None:
    picture = tmp_path / "boxes.png"
    ran = ce("predict", detector.folder, film, "--overlay", picture)
    assert ran.code == 0, ran.err
    assert "TUMOUR 0.9" in ran.out
    assert "boxes in" in ran.out
    with Image.open(picture) as image:
        assert image.getpixel((16, 16)) != (255, 255, 255)
    assert ce("predict", detector.folder, film, "--box", "1,1,2,2").code == 2
    ran = ce("predict", detector.folder, film, "--json")
    (answer,) = json.loads(ran.out)["films"]
    assert answer["prediction"]["kind"] == "detection"
    assert [b["box"] for b in answer["prediction"]["boxes"]] == [
        [16.0, 16.0, 48.0, 48.0],
        [64.0, 80.0, 96.0, 112.0],
    ]


def test_a_pipeline_is_put_together_verified_and_asked(
    ce: Command, detector: Bundle, prompted: Bundle, film: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    put = ("pipeline", "lesions", detector.folder, prompted.folder, "--name", "lesion-segmenter")
    ran = ce(*put, "--out", out, "--json")
    assert ran.code == 0, ran.err
    folder = Path(json.loads(ran.out)["bundle"])
    assert load(folder).manifest.task == "segmentation"
    assert ce("verify", folder).code == 0
    ran = ce("predict", folder, film)
    assert ran.code == 0, ran.err
    assert "TUMOUR: 2 regions" in ran.out
    assert "box" in ran.out
    assert "0.500" in ran.out
    assert "detector: tiny-boxes onnx/fp32" in ran.out
    assert "score = probability of TUMOUR in the surest box" in ran.out
    swapped = ("pipeline", "lesions", prompted.folder, detector.folder, "--name", "x")
    ran = ce(*swapped, "--out", out)
    assert ran.code == 2
    assert "expected detection as detector" in ran.err


def test_packed_shown_and_examined(ce: Command, prompted: Bundle, tmp_path: Path) -> None:
    packed = tmp_path / "p.bundle.tar"
    assert ce("bundle", "pack", prompted.folder, "--out", packed).code == 0
    ran = ce("install", packed, "--out", tmp_path / "here", "--json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["health"]["passed"] is True
    ran = ce("bundle", "show", prompted.folder)
    assert ran.code == 0
    assert "promptable-segmentation" in ran.out


@pytest.mark.slow
def test_it_is_measured_and_tuned_whole(ce: Command, prompted: Bundle, detector: Bundle) -> None:
    for bundle in (prompted, detector):
        ran = ce("doctor", bundle.folder, "--json")
        assert ran.code == 0, ran.err
        ran = ce("tune", bundle.folder, "--json")
        assert ran.code == 0, ran.err
