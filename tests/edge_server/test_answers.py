"""What each kind of model answers through the interface, and how a reading is compared with it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clinicedge.runtime import CAUTION, decode_film, load
from clinicedge.runtime.predictions import Classification

from .bundles import RULE
from .conftest import Box
from .test_cases import picture
from .test_refusals import check_problem


def test_on_lungs_tells_the_crop_and_its_members(
    zoo_box: Box, zoo: dict[str, Path], film_png: bytes
) -> None:
    case = zoo_box.send(film_png, model="tiny-on-lungs")
    (told,) = case["predictions"]
    expected = load(zoo["tiny-on-lungs"]).predictor("onnxruntime", threads=1)
    answer = expected.predict(decode_film(film_png, "x"))
    assert isinstance(answer, Classification)
    assert told["score"] == answer.score
    assert told["crop"] == {"x0": 16, "y0": 22, "x1": 176, "y1": 122}
    assert [m["role"] for m in told["members"]] == ["lungs", "classifier"]
    assert told["report"]["bundle_id"] == load(zoo["tiny-on-lungs"]).id
    assert zoo_box.client.get(case["links"]["self"]).json() == case


def test_the_heat_map_lies_inside_the_crop(zoo_box: Box, film_png: bytes) -> None:
    case = zoo_box.send(film_png, model="tiny-on-lungs")
    address = case["links"]["explanation"]
    layer = np.asarray(picture(zoo_box.client.get(address).content).convert("RGBA"))
    assert layer.shape == (144, 192, 4)
    outside = np.ones((144, 192), bool)
    outside[22:122, 16:176] = False
    assert not layer[outside, 3].any()
    assert layer[~outside, 3].any()
    over = zoo_box.client.get(address, params={"as": "overlay"})
    film = decode_film(film_png, "x").pixels
    shown = np.asarray(picture(over.content))
    assert np.array_equal(shown[outside], np.repeat(film[outside][:, None], 3, axis=1))
    told = zoo_box.client.get(address, params={"as": "json"}).json()
    assert told["crop"] == case["predictions"][0]["crop"]


def test_the_layer_of_a_large_film_is_small_and_its_crop_with_it(zoo_box: Box) -> None:
    from clinicedge.runtime import phantom

    film = phantom.draw(phantom.Phantom(seed=5, height=700, width=1024))
    case = zoo_box.send(phantom.encode_png(film), model="tiny-on-lungs")
    drawn = picture(zoo_box.client.get(case["links"]["explanation"]).content)
    layer = np.asarray(drawn.convert("RGBA"))
    assert layer.shape == (350, 512, 4)
    box = case["predictions"][0]["crop"]
    rows, columns = np.nonzero(layer[..., 3])
    assert rows.min() >= box["y0"] // 2
    assert rows.max() < -(-box["y1"] // 2)
    assert columns.min() >= box["x0"] // 2
    assert columns.max() < -(-box["x1"] // 2)


def test_a_film_without_lungs_is_kept_without_a_score(zoo_box: Box, black_png: bytes) -> None:
    before = len(zoo_box.kept())
    case = zoo_box.send(black_png, first_opinion="PNEUMONIA", symptoms=["cough"])
    (told,) = case["predictions"]
    assert (told["kind"], told["code"]) == ("no-score", "no-lungs")
    assert "no lungs found" in told["reason"]
    assert "score" not in told
    assert told["report"]["model"] == "tiny-cascade"
    assert told["caution"] == CAUTION
    assert (case["first_opinion"], case["symptoms"]) == ("PNEUMONIA", ["cough"])
    assert case["discrepancy"] is None
    assert case["links"]["explanation"] is None
    assert len(zoo_box.kept()) == before + 1
    assert (zoo_box.data / case["film"]["file"]).read_bytes() == black_png
    assert zoo_box.client.get(case["links"]["self"]).json() == case
    assert zoo_box.client.get(case["links"]["image"]).status_code == 200
    answer = zoo_box.client.get(f"{case['links']['self']}/explanation")
    assert "no score" in check_problem(answer, 409, "not-in-the-model")


def test_a_cascade_tells_both_stages(zoo_box: Box, film_png: bytes) -> None:
    (told,) = zoo_box.send(film_png)["predictions"]
    assert told["kind"] == "cascade"
    assert told["first"]["positive"] is True
    assert set(told["first"]["probabilities"]) == {"NORMAL", "PNEUMONIA"}
    assert told["first"]["crop"]["x0"] == 16
    assert told["second"]["main"] == "BACTERIA"
    assert [f["label"] for f in told["second"]["findings"]] == ["BACTERIA", "VIRUS"]
    roles = [m["role"] for m in told["members"]]
    assert roles[:3] == ["first", "first/lungs", "first/classifier"]
    assert "second/classifier" in roles


def test_the_second_stage_is_not_asked_below_the_threshold(zoo_box: Box, dark_png: bytes) -> None:
    case = zoo_box.send(dark_png)
    (told,) = case["predictions"]
    assert told["first"]["positive"] is False
    assert told["second"] is None
    assert zoo_box.client.get(case["links"]["explanation"]).status_code == 200


def test_findings_have_a_threshold_each(zoo_box: Box, film_png: bytes) -> None:
    case = zoo_box.send(film_png, model="tiny-findings", first_findings=["pneumonia"])
    (told,) = case["predictions"]
    assert told["kind"] == "findings"
    assert {f["label"]: f["threshold"] for f in told["findings"]} == {
        "Bronchitis": 0.5,
        "Pneumonia": 0.3,
        "Bronchiolitis": 0.4,
    }
    assert told["main"] == "Pneumonia"
    assert case["first_findings"] == ["Pneumonia"]
    assert case["discrepancy"] is None
    assert zoo_box.client.get(case["links"]["explanation"]).status_code == 200


def test_an_ensemble_answers_with_its_own_threshold(zoo_box: Box, film_png: bytes) -> None:
    case = zoo_box.send(film_png, model="tiny-ensemble")
    (told,) = case["predictions"]
    assert (told["kind"], told["threshold"]) == ("classification", 0.45)
    assert {m["report"]["model"] for m in told["members"]} == {"tiny-a", "tiny-b"}
    assert zoo_box.client.get(case["links"]["explanation"]).status_code == 200


def test_a_contrary_opinion_far_from_the_threshold_is_a_warning(
    zoo_box: Box, film_png: bytes
) -> None:
    case = zoo_box.send(film_png, first_opinion="normal")
    first = case["predictions"][0]["first"]
    found = case["discrepancy"]
    assert found["level"] == "warning"
    (reason,) = found["reasons"]
    assert reason["code"] == "contrary-opinion"
    assert reason["value"] == pytest.approx(first["score"] - first["threshold"])
    assert reason["limit"] == RULE.margin_warning
    assert (reason["opinion"], reason["answer"]) == (["NORMAL"], ["PNEUMONIA"])
    assert zoo_box.client.get(case["links"]["self"]).json()["discrepancy"] == found


def test_readings_that_fit_or_say_nothing(zoo_box: Box, film_png: bytes) -> None:
    def level(**fields: Any) -> object:
        found = zoo_box.send(film_png, **fields)["discrepancy"]
        return found and found["level"]

    assert level() is None
    assert level(symptoms=["fever"]) is None
    assert level(first_opinion="unsure") == "none"
    assert level(first_opinion="PNEUMONIA") == "none"
    assert level(first_opinion="PNEUMONIA", first_findings=["BACTERIA"]) == "none"
    assert level(first_findings=["none"]) == "notice"
    assert level(first_findings=["VIRUS"]) == "warning"
    assert level(first_opinion="NORMAL", model="tiny-on-lungs") is None


def test_findings_seen_where_the_model_is_not_asked_disagree(zoo_box: Box, dark_png: bytes) -> None:
    case = zoo_box.send(dark_png, first_findings=["VIRUS", "BACTERIA"])
    assert case["first_findings"] == ["VIRUS", "BACTERIA"]
    (reason,) = case["discrepancy"]["reasons"]
    assert (reason["code"], reason["value"]) == ("findings-disagree", 2)


def test_symptoms_are_kept_with_the_case(zoo_box: Box, film_png: bytes) -> None:
    case = zoo_box.send(film_png, symptoms=["Wheeze", "shortness of breath", "fever"])
    assert case["symptoms"] == ["fever", "shortness-of-breath", "wheeze"]
    assert zoo_box.client.get(case["links"]["self"]).json()["symptoms"] == case["symptoms"]
    assert zoo_box.send(film_png)["symptoms"] == []


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"symptoms": ["cough", "hiccups"]}, "hiccups"),
        ({"first_findings": ["MEASLES"]}, "BACTERIA"),
        ({"first_findings": ["VIRUS", "none"]}, "alone"),
        ({"first_opinion": "BACTERIA"}, "unsure"),
        ({"model": "tiny-on-lungs", "first_findings": ["VIRUS"]}, "no findings"),
        ({"model": "tiny-findings", "first_opinion": "Pneumonia"}, "unsure"),
        ({"model": "tiny-bones", "first_opinion": "NORMAL"}, "TUMOUR"),
    ],
)
def test_words_that_nobody_knows_are_refused(
    zoo_box: Box, film_png: bytes, fields: dict[str, Any], told: str
) -> None:
    before = zoo_box.kept()
    answer = zoo_box.client.post("/api/v1/cases", files={"film": film_png}, data=fields)
    assert told in check_problem(answer, 422, "unknown-opinion")
    assert zoo_box.kept() == before


def test_a_word_of_a_hundred_pages_is_refused(zoo_box: Box, film_png: bytes) -> None:
    answer = zoo_box.client.post(
        "/api/v1/cases", files={"film": film_png}, data={"symptoms": ["x" * 5000]}
    )
    check_problem(answer, 422, "invalid-request")
