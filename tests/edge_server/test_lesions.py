"""A lesion pipeline behind the same calls and on the same page as a mask."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_boxes as boxes

from clinicedge.edge_server.settings import EngineWish, Settings
from clinicedge.runtime import phantom
from clinicedge.runtime.errors import SettingsError

from .browsing import TABLET, Tablet, share, watch
from .conftest import Box, running
from .test_cases import picture

SPOTS = boxes.spots((16, 16, 48, 48), (64, 80, 96, 112), size=(128, 128))
FILM = phantom.encode_png(SPOTS)
EMPTY = phantom.encode_png(boxes.spots(size=(128, 128)))
WISH = EngineWish("onnxruntime", "auto", 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return boxes.lesions(tmp_path_factory.mktemp("bundles") / "lesions").folder


@pytest.fixture(scope="module")
def box(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    data = tmp_path_factory.mktemp("cases") / "cases"
    with running(Settings((folder,), data, port=0, wish=WISH)) as found:
        yield found


def test_what_the_box_tells_of_it(box: Box) -> None:
    (told,) = box.client.get("/api/v1/models").json()["models"]
    assert (told["kind"], told["pipeline"], told["answer"]) == (
        "pipeline",
        "lesions",
        "segmentation",
    )
    assert told["labels"] == ["TUMOUR"]
    assert told["threshold"]["label"] == "TUMOUR"
    assert [t["label"] for t in told["thresholds"]] == ["TUMOUR"]
    assert told["reading"]["first_opinion"] == ["TUMOUR", "none"]
    assert [m["role"] for m in told["members"]] == ["detector", "segmenter"]
    assert [m["answer"] for m in told["members"]] == ["detection", "segmentation"]
    assert told["explanation"] is True
    assert told["acceptance"]["passed"] is True


def test_a_case_has_lesions_outlines_and_a_map(box: Box) -> None:
    case = box.send(FILM, "leg.png", first_opinion="tumour")
    (told,) = case["predictions"]
    assert (told["kind"], told["positive"], told["score_of"]) == ("segmentation", True, "box")
    assert [one["prompt"] for one in told["lesions"]] == [
        [16.0, 16.0, 48.0, 48.0],
        [64.0, 80.0, 96.0, 112.0],
    ]
    assert all(one["confidence"] > 0.9 and one["area_px"] > 0 for one in told["lesions"])
    answer = box.client.get(case["links"]["segmentation"]).json()
    assert [len(one["outline"]) for one in answer["lesions"]] == [1, 1]
    assert len(answer["raw_outline"]) == 2
    mask = np.asarray(picture(box.client.get(case["links"]["segmentation"] + "?as=mask").content))
    assert int((mask > 0).sum()) == told["area_px"]
    for form in ("overlay", "alpha", "raw"):
        found = box.client.get(case["links"]["segmentation"], params={"as": form})
        assert found.headers["content-type"] == "image/png"
    map_ = box.client.get(case["links"]["explanation"], params={"as": "json"}).json()
    assert (map_["method"], map_["label"], map_["sign"]) == ("probability", "TUMOUR", 1)
    methods = box.client.get(case["links"]["explanation"] + "/methods").json()
    assert methods["classes"] == ["TUMOUR"]
    assert [m["method"] for m in methods["methods"] if m["available"]] == ["probability"]


def test_nothing_found_is_a_case_too(box: Box) -> None:
    case = box.send(EMPTY, "empty.png", first_opinion="none")
    (told,) = case["predictions"]
    assert (told["positive"], told["lesions"], told["area_px"]) == (False, [], 0)
    assert told["note"].startswith("No box reached its threshold")
    answer = box.client.get(case["links"]["segmentation"]).json()
    assert (answer["lesions"], answer["raw_outline"]) == ([], [])
    assert box.client.get(case["links"]["explanation"]).status_code == 200


def test_half_of_the_pipeline_is_not_served(folder: Path, tmp_path: Path) -> None:
    for name, words in (("tiny-boxes", "with boxes alone"), ("tiny-prompted", "drawn by hand")):
        settings = Settings((folder / "members" / name,), tmp_path / name, port=0, wish=WISH)
        with pytest.raises(SettingsError, match=words), running(settings):
            pass


@pytest.fixture
def tablet(browser: Any, box: Box) -> Iterator[Tablet]:
    context = browser.new_context(viewport=TABLET, locale="en-GB", has_touch=True)
    found = Tablet(context.new_page())
    watch(found)
    found.page.goto(box.url)
    found.page.wait_for_selector("#thumbs img")
    yield found
    context.close()
    found.check(box.url)


def test_the_page_draws_boxes_and_outlines(tablet: Tablet, box: Box) -> None:
    page = tablet.page
    tablet.choose("leg.png", FILM)
    tablet.send()
    assert tablet.text("#verdict-text") == "Marked: bone tumour"
    assert tablet.text("#verdict-sub") == "Regions on this film: 2"
    assert tablet.text("#score-name") == "Surest box"
    case = box.client.get("/api/v1/cases?limit=1").json()["cases"][0]
    score = case["predictions"][0]["score"]
    assert share(tablet.text("#score-value")) == pytest.approx(score, abs=6e-4)
    tablet.wait("document.querySelectorAll('#mark-clean path').length === 2")
    assert page.locator("#mark-clean rect").count() == 2
    first = page.locator("#mark-clean rect").first.bounding_box()
    film = page.locator("#film").bounding_box()
    assert first["width"] == pytest.approx(film["width"] * 32 / 128, abs=4)
    lesions = page.locator("#lesion-list li").all_inner_texts()
    assert len(lesions) == 2
    assert all("score of its box" in text for text in lesions)
    page.click("#result [data-new]")
    tablet.choose("empty.png", EMPTY)
    tablet.send()
    assert tablet.text("#verdict-text") == "Nothing marked: bone tumour"
    assert "No box reached its threshold" in tablet.text("#verdict-sub")
