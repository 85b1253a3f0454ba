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


def test_boxes_and_masks_are_measured(ce: Command, tmp_path: Path) -> None:
    folder = boxes.lesions(tmp_path / "lesions").folder
    data = tmp_path / "legs"
    data.mkdir()
    lines = ["file,mask,boxes_xyxy,patient,split"]
    for number, spot in enumerate(((16, 16, 48, 48), (32, 32, 64, 64), ())):
        film = boxes.spots(*((spot,) if spot else ()), size=(128, 128))
        (data / f"{number}.png").write_bytes(encode_png(film))
        (data / f"m{number}.png").write_bytes(encode_png(film))
        told = " ".join(map(str, spot))
        lines.append(f"{number}.png,m{number}.png,{told},p{number},train")
    (data / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    ran = ce("evaluate", folder, "--data", data)
    assert ran.code == 0, ran.err
    for words in ("boxes of TUMOUR", "AP50", "mean IoU of hits", "moved", "lost Dice"):
        assert words in ran.out
    detector = boxes.detector(tmp_path / "detector").folder
    ran = ce("evaluate", detector, "--data", data, "--json", "--no-keep")
    assert ran.code == 0, ran.err
    (part,) = json.loads(ran.out)["parts"]
    assert part["boxes"][0]["figures"]["recall"]["value"] == 1.0
    assert part["boxes"][0]["figures"]["overlap"]["value"] == 1.0


def test_lesions_are_followed_through_slices(ce: Command, prompted: Bundle, tmp_path: Path) -> None:
    folder = tmp_path / "slices"
    folder.mkdir()
    for number, spot in enumerate((True, True, False)):
        film = boxes.spots(*(((16, 16, 48, 48),) if spot else ()), size=(64, 64))
        (folder / f"{number}.png").write_bytes(encode_png(film))
    words = ("predict", prompted.folder, folder, "--slices", "--box", "14,14,50,50")
    ran = ce(*words, "--overlay", tmp_path / "pictures")
    assert ran.code == 0, ran.err
    for told in (
        "3 slices of 64 x 64",
        "1 to 2",
        "box by hand",
        "box carried",
        "memory of earlier",
    ):
        assert told in ran.out
    assert sorted(p.name for p in (tmp_path / "pictures").iterdir()) == ["001.png", "002.png"]
    ran = ce(*words, "--on-slice", "2", "--json")
    answer = json.loads(ran.out)["answer"]
    assert [one["lesions"][0]["origin"] for one in answer["slices"][:2]] == ["carried", "by hand"]
    assert answer["slices"][2]["lesions"] == []
    for refused in ((*words[:4],), (*words, "--on-slice", "9"), (*words, "--explain", folder)):
        assert ce(*refused).code == 2
    assert ce("predict", prompted.folder, folder, folder, "--slices").code == 2


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


def test_slices_are_not_read_for_a_model_that_outlines_nothing(
    ce: Command, bundle: Bundle, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("no film")
    ran = ce("predict", bundle.folder, tmp_path, "--slices")
    assert ran.code == 2
    assert "outlines no lesions in boxes" in ran.err
