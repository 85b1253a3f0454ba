"""Heat maps by method and class, what they say, and what clinicians think of them."""

import csv
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clinicedge.edge_server import heat
from clinicedge.edge_server.heat import Asked, _request

from .conftest import Box

CLOSED = ("eigen-cam", "grad-cam", "grad-cam++", "hirescam", "eigen-grad-cam")


@pytest.fixture
def case(shared_box: Box, film_png: bytes) -> dict[str, Any]:
    return shared_box.send(film_png)


def test_what_can_be_asked_is_told(shared_box: Box, case: dict[str, Any]) -> None:
    told = shared_box.client.get(f"{case['links']['explanation']}/methods").json()
    offered = {m["method"]: m["available"] for m in told["methods"]}
    assert told["method"] == "grad-cam"
    assert all(offered[name] for name in CLOSED)
    assert offered["probability"] is False
    assert set(told["classes"]) == {"NORMAL", "PNEUMONIA"}
    assert told["ratings"] == []


@pytest.mark.parametrize("method", CLOSED)
def test_every_method_and_class_has_its_own_map(
    shared_box: Box, case: dict[str, Any], method: str
) -> None:
    address = case["links"]["explanation"]
    asked = {"method": method, "class": "NORMAL"}
    told = shared_box.client.get(address, params={**asked, "as": "json"}).json()
    assert (told["method"], told["label"]) == (method, "NORMAL")
    assert set(told["words"]["sentence"]) == set(told["words"]["caution"]) == {"vi", "en"}
    raw = shared_box.client.get(address, params={**asked, "as": "raw"})
    picture = Image.open(io.BytesIO(raw.content))
    assert (picture.mode, picture.size) == ("L", (192, 144))
    if told["sign"]:
        assert np.asarray(picture).max() > 200
    folder = shared_box.data / "derived" / case["id"]
    sha256 = case["predictions"][0]["report"]["artifact_sha256"]
    kept = {p.name for p in folder.iterdir()}
    assert len([n for n in kept if n.startswith(f"explanation-{sha256[:16]}-")]) == 2


@pytest.mark.parametrize("method", ["score-cam", "rise", "occlusion"])
def test_methods_of_many_runs_answer_too(
    shared_box: Box, case: dict[str, Any], method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heat, "_MOST_PASSES", 8)
    asked = {"method": method, "class": "PNEUMONIA", "as": "json"}
    told = shared_box.client.get(case["links"]["explanation"], params=asked).json()
    assert (told["method"], told["label"]) == (method, "PNEUMONIA")
    values = np.asarray(told["map"])
    assert (values >= 0).all()
    assert values.max() == (1.0 if told["sign"] else 0.0)


def test_what_does_not_exist_is_refused(shared_box: Box, case: dict[str, Any]) -> None:
    address = case["links"]["explanation"]
    for asked, words in (
        ({"method": "magic"}, "no method 'magic'"),
        ({"class": "MASS"}, "has no class 'MASS'"),
        ({"method": "probability"}, "it answers with scores, not with a mask"),
    ):
        answer = shared_box.client.get(address, params=asked)
        assert answer.status_code == 409
        assert words in answer.json()["detail"]
    assert shared_box.client.get(address, params={"as": "svg"}).status_code == 422
    folder = shared_box.data / "derived" / case["id"]
    assert not folder.exists() or not list(folder.iterdir())


def test_methods_of_many_runs_are_cut_short_on_a_box_that_answers_others() -> None:
    assert [_request(Asked(name)).passes for name in ("rise", "score-cam", None)] == [64, 64, 0]


def rate(box: Box, case: dict[str, Any], verdict: str, method: str = "grad-cam") -> Any:
    fields = {"method": method, "class": "PNEUMONIA", "verdict": verdict}
    return box.client.post(f"{case['links']['explanation']}/rating", data=fields)


def test_a_map_is_rated_once_and_the_last_word_counts(
    shared_box: Box, case: dict[str, Any]
) -> None:
    before = shared_box.client.get("/api/v1/ratings").json()["counts"].get("grad-cam", {})
    for verdict in ("misleading", "helpful"):
        assert rate(shared_box, case, verdict).status_code == 200
    told = shared_box.client.get("/api/v1/ratings").json()
    assert told["counts"]["grad-cam"]["helpful"] == before.get("helpful", 0) + 1
    assert told["counts"]["grad-cam"]["misleading"] == before.get("misleading", 0)
    address = f"{case['links']['explanation']}/methods"
    (mine,) = shared_box.client.get(address).json()["ratings"]
    assert (mine["case"], mine["method"], mine["verdict"]) == (case["id"], "grad-cam", "helpful")
    report = case["predictions"][0]["report"]
    assert (mine["model"], mine["artifact_sha256"]) == (report["model"], report["artifact_sha256"])


def test_ratings_are_exported_one_line_each(shared_box: Box, case: dict[str, Any]) -> None:
    assert rate(shared_box, case, "wrong-place", "eigen-cam").status_code == 200
    answer = shared_box.client.get("/api/v1/ratings", params={"as": "csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    rows = [r for r in csv.DictReader(io.StringIO(answer.text)) if r["case"] == case["id"]]
    assert [(r["method"], r["verdict"]) for r in rows] == [("eigen-cam", "wrong-place")]
    assert rows[0]["number"] == str(case["number"])


def test_bad_ratings_leave_nothing(shared_box: Box, case: dict[str, Any]) -> None:
    assert rate(shared_box, case, "lovely").status_code == 422
    assert rate(shared_box, case, "helpful", "magic").status_code == 409
    gone = shared_box.client.post(
        "/api/v1/cases/nothing/explanation/rating",
        data={"method": "grad-cam", "class": "PNEUMONIA", "verdict": "helpful"},
    )
    assert gone.status_code == 404
    address = f"{case['links']['explanation']}/methods"
    assert shared_box.client.get(address).json()["ratings"] == []
