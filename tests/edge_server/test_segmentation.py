"""Outlines and masks of a case."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as npst

from clinicedge.edge_server.derived import sealed
from clinicedge.edge_server.raw_masks import pack, told, unpack
from clinicedge.edge_server.settings import EngineWish, Settings
from clinicedge.runtime import decode_film, load
from clinicedge.runtime.predictions import Segmentation
from clinicedge.runtime.predictions_json import prediction_json

from .conftest import Box, Serve, dicom_film
from .test_cases import picture
from .test_refusals import check_problem


@pytest.fixture(scope="module")
def expected(zoo: dict[str, Path], bone_png: bytes) -> Segmentation:
    predictor = load(zoo["tiny-bones"]).predictor("onnxruntime", threads=1)
    found = predictor.predict(decode_film(bone_png, "x"))
    assert isinstance(found, Segmentation)
    return found


@pytest.fixture
def case(zoo_box: Box, bone_png: bytes) -> dict[str, Any]:
    return zoo_box.send(bone_png, "bone.png", model="tiny-bones", first_opinion="tumour")


def test_the_case_lists_lesions_without_their_outlines(
    case: dict[str, Any], expected: Segmentation
) -> None:
    (told,) = case["predictions"]
    assert (told["kind"], told["label"], told["positive"]) == ("segmentation", "TUMOUR", True)
    assert told["score"] == expected.score
    assert "raw_outline" not in told
    assert all("outline" not in lesion for lesion in told["lesions"])
    places = [tuple(lesion["location"]) for lesion in told["lesions"]]
    assert places == [("lower", "right"), ("upper", "left")]
    assert [lesion["area_px"] for lesion in told["lesions"]] == [
        lesion.area_px for lesion in expected.lesions
    ]
    assert all(lesion["area_mm2"] is None for lesion in told["lesions"])
    assert case["first_opinion"] == "TUMOUR"


def test_outlines_come_as_json(zoo_box: Box, case: dict[str, Any], expected: Segmentation) -> None:
    address = case["links"]["segmentation"]
    assert address == f"{case['links']['self']}/segmentation"
    answer = zoo_box.client.get(address)
    assert answer.headers["content-type"] == "application/json"
    told = answer.json()
    assert told == zoo_box.client.get(address, params={"as": "json"}).json()
    assert (told["width"], told["height"]) == (300, 200)
    outlines = [lesion["outline"] for lesion in told["lesions"]]
    assert outlines == [
        [[list(map(int, p)) for p in polygon] for polygon in lesion.outline]
        for lesion in expected.lesions
    ]
    assert [len(polygons) for polygons in outlines] == [1, 2], "the second one has a hole"
    assert len(told["raw_outline"]) == 3, "the speck is in the raw mask alone"
    assert not (zoo_box.data / "derived" / case["id"]).exists(), "nothing was computed for it"


def test_masks_come_as_pictures_of_the_films_size(
    zoo_box: Box, case: dict[str, Any], expected: Segmentation
) -> None:
    address = case["links"]["segmentation"]

    def drawn(form: str) -> np.ndarray[Any, Any]:
        answer = zoo_box.client.get(address, params={"as": form})
        assert answer.headers["content-type"] == "image/png"
        return np.asarray(picture(answer.content))

    assert np.array_equal(drawn("mask"), expected.mask * np.uint8(255))
    assert np.array_equal(drawn("raw"), expected.raw * np.uint8(255))
    layer = drawn("alpha")
    assert layer.shape == (200, 300, 4)
    assert np.array_equal(layer[..., 3], expected.mask * np.uint8(255))
    over = drawn("overlay")
    film = drawn_film(zoo_box, case)
    assert over.shape == (200, 300, 3)
    assert (over != film[..., None]).any(axis=2).sum() > 100


def drawn_film(box: Box, case: dict[str, Any]) -> np.ndarray[Any, Any]:
    return np.asarray(picture(box.client.get(case["links"]["image"]).content))


def test_masks_are_made_when_asked_for_and_remembered(zoo_box: Box, case: dict[str, Any]) -> None:
    folder = zoo_box.data / "derived" / case["id"]
    address = case["links"]["segmentation"]
    assert not folder.exists()
    first = zoo_box.client.get(address, params={"as": "mask"}).content
    kept = sorted(p.name.rpartition("-")[2] for p in folder.iterdir())
    assert kept == ["mask.png", "overlay.png", "raw.png"], "one run gives all"
    (file,) = folder.glob("*-mask.png")
    assert file.read_bytes() == sealed(first)
    file.write_bytes(sealed(b"remembered"))
    assert zoo_box.client.get(address, params={"as": "mask"}).content == b"remembered"


def test_the_probability_is_the_explanation(zoo_box: Box, case: dict[str, Any]) -> None:
    address = case["links"]["explanation"]
    told = zoo_box.client.get(address, params={"as": "json"}).json()
    assert (told["method"], told["label"]) == ("probability", "TUMOUR")
    layer = np.asarray(picture(zoo_box.client.get(address).content).convert("RGBA"))
    assert layer.shape == (200, 300, 4)
    assert layer[150, 240, 3] > 250
    assert layer[190, 100, 3] < 10


def test_areas_are_in_square_millimetres_where_the_film_has_a_scale(zoo_box: Box) -> None:
    pixels = np.full((200, 300), 30, np.uint8)
    pixels[120:180, 210:270] = 240
    film = dicom_film("DX", "EXTREMITY", pixels, (0.2, 0.15))
    (told,) = zoo_box.send(film, "leg.dcm", model="tiny-bones")["predictions"]
    (lesion,) = told["lesions"]
    assert lesion["area_mm2"] == pytest.approx(lesion["area_px"] * 0.2 * 0.15)


def test_a_film_with_nothing_on_it(zoo_box: Box, black_png: bytes) -> None:
    case = zoo_box.send(black_png, model="tiny-bones", first_opinion="none")
    (told,) = case["predictions"]
    assert (told["positive"], told["lesions"]) == (False, [])
    assert case["first_opinion"] == "none"
    mask = zoo_box.client.get(case["links"]["segmentation"], params={"as": "mask"})
    assert not np.asarray(picture(mask.content)).any()


def test_what_has_no_mask_says_so(zoo_box: Box, film_png: bytes, case: dict[str, Any]) -> None:
    other = zoo_box.send(film_png, model="tiny-findings")
    assert other["links"]["segmentation"] is None
    answer = zoo_box.client.get(f"{other['links']['self']}/segmentation")
    assert "findings" in check_problem(answer, 409, "not-in-the-model")
    answer = zoo_box.client.get(case["links"]["segmentation"], params={"as": "poem"})
    check_problem(answer, 422, "invalid-request")
    check_problem(zoo_box.client.get("/api/v1/cases/none/segmentation"), 404, "not-found")


def test_outlines_outlive_the_model(
    zoo: dict[str, Path], tmp_path: Path, serve: Serve, bone_png: bytes
) -> None:
    wish = EngineWish("onnxruntime", "auto", 1)
    settings = Settings((zoo["tiny-bones"],), tmp_path / "cases", port=0, wish=wish)
    with serve(settings) as box:
        address = box.send(bone_png)["links"]["segmentation"]
        told = box.client.get(address).json()
    with serve(replace(settings, bundles=(zoo["tiny-findings"],))) as box:
        assert box.client.get(address).json() == told
        answer = box.client.get(address, params={"as": "mask"})
        assert "tiny-bones" in check_problem(answer, 409, "not-in-the-model")


def test_raw_outlines_are_drawn_when_asked_for_and_not_before(
    zoo_box: Box, case: dict[str, Any], expected: Segmentation
) -> None:
    (kept,) = zoo_box.server.desk.store.get(case["id"]).predictions
    assert "raw_outline" not in kept
    assert np.array_equal(unpack(kept["raw_mask"], expected.raw.shape), expected.raw)
    answer = zoo_box.client.get(case["links"]["segmentation"]).json()
    whole = json.loads(json.dumps(prediction_json(expected)))
    assert answer == {**whole, "timing": answer["timing"]}
    for shown in (case["predictions"][0], zoo_box.client.get("/api/v1/cases").json()["cases"][0]):
        assert "raw_mask" not in shown


def test_cases_of_earlier_versions_have_their_raw_outlines() -> None:
    answer = {"kind": "segmentation", "raw_outline": [[[[0, 0], [4, 0], [4, 4]]]]}
    assert told(answer) == answer


@given(npst.arrays(np.bool_, npst.array_shapes(min_dims=2, max_dims=2, max_side=20)))
def test_a_packed_mask_is_the_same_mask(mask: np.ndarray[Any, Any]) -> None:
    found = unpack(pack(mask), mask.shape)
    assert found.dtype == np.bool_
    assert np.array_equal(found, mask)
