"""Bundles of every kind side by side: which one answers, and what is told of each."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clinicedge.edge_server.app import create_app
from clinicedge.edge_server.settings import Settings
from clinicedge.runtime import load
from clinicedge.runtime.errors import SettingsError

from . import bundles
from .conftest import SERVED, Box, Serve, dicom_film, every_kind
from .test_refusals import check_problem


def models(box: Box) -> dict[str, dict[str, Any]]:
    told = box.client.get("/api/v1/models").json()["models"]
    return {m["name"]: m for m in told}


def test_every_kind_is_told_and_the_default_comes_first(zoo_box: Box) -> None:
    told = models(zoo_box)
    assert set(told) == set(SERVED)
    assert next(iter(told)) == "tiny-cascade"
    assert [n for n, m in told.items() if m["default"]] == ["tiny-cascade"]
    shapes = {n: (m["kind"], m["pipeline"], m["task"], m["answer"]) for n, m in told.items()}
    assert shapes == {
        "tiny-cascade": ("pipeline", "cascade", "classification", "cascade"),
        "tiny-on-lungs": ("pipeline", "on-lungs", "classification", "classification"),
        "tiny-ensemble": ("pipeline", "ensemble", "classification", "classification"),
        "tiny-findings": ("model", None, "findings", "findings"),
        "tiny-type-on-lungs": ("pipeline", "on-lungs", "findings", "findings"),
        "tiny-bones": ("model", None, "segmentation", "segmentation"),
    }
    assert all(m["acceptance"]["passed"] for m in told.values())
    assert zoo_box.client.get("/healthz").json()["status"] == "ok"


def test_labels_and_thresholds_are_those_of_the_member_that_decides(zoo_box: Box) -> None:
    told = models(zoo_box)
    assert told["tiny-cascade"]["labels"] == ["NORMAL", "PNEUMONIA"]
    assert told["tiny-cascade"]["threshold"]["label"] == "PNEUMONIA"
    of_types = {t["label"]: t["value"] for t in told["tiny-cascade"]["findings"]}
    assert of_types == {"BACTERIA": 0.5, "VIRUS": 0.5}
    assert told["tiny-ensemble"]["threshold"]["value"] == 0.45
    assert told["tiny-findings"]["threshold"] is None
    own = {t["label"]: t["value"] for t in told["tiny-findings"]["findings"]}
    assert own == {"Bronchitis": 0.5, "Pneumonia": 0.3, "Bronchiolitis": 0.4}
    assert told["tiny-bones"]["threshold"]["label"] == "TUMOUR"
    assert told["tiny-on-lungs"]["input"]["region"] == "lungs"


def test_members_are_told_with_their_places(zoo_box: Box, zoo: dict[str, Path]) -> None:
    told = models(zoo_box)
    roles = {m["role"]: m["name"] for m in told["tiny-cascade"]["members"]}
    assert roles == {
        "first": "tiny-on-lungs",
        "first/lungs": "tiny-lungs",
        "first/classifier": "tiny-lung-crop",
        "second": "tiny-type-on-lungs",
        "second/lungs": "tiny-lungs",
        "second/classifier": "tiny-type-lung-crop",
    }
    ids = {m["name"]: m["bundle_id"] for m in told["tiny-cascade"]["members"]}
    assert ids["tiny-lungs"] == load(zoo["tiny-lungs"]).id
    checked = told["tiny-cascade"]["acceptance"]["members"]
    assert {c["name"] for c in checked} == {"tiny-lungs", "tiny-lung-crop", "tiny-type-lung-crop"}
    assert told["tiny-cascade"]["acceptance"]["films"] == 4
    assert told["tiny-findings"]["members"] == []


def test_a_reading_can_name_what_the_model_knows(zoo_box: Box) -> None:
    told = {n: m["reading"] for n, m in models(zoo_box).items()}
    symptoms = ["fever", "cough", "shortness-of-breath", "wheeze"]
    assert told["tiny-cascade"] == {
        "first_opinion": ["NORMAL", "PNEUMONIA"],
        "first_findings": ["BACTERIA", "VIRUS"],
        "symptoms": symptoms,
    }
    assert told["tiny-on-lungs"]["first_findings"] == told["tiny-on-lungs"]["symptoms"] == []
    assert told["tiny-findings"]["first_opinion"] == []
    assert told["tiny-bones"]["first_opinion"] == ["TUMOUR", "none"]


def test_the_default_answers_when_none_is_named(zoo_box: Box, film_png: bytes) -> None:
    assert zoo_box.send(film_png)["predictions"][0]["report"]["model"] == "tiny-cascade"
    assert zoo_box.send(film_png, model="")["predictions"][0]["kind"] == "cascade"
    named = zoo_box.send(film_png, model="tiny-findings")
    assert named["predictions"][0]["report"]["model"] == "tiny-findings"


def test_without_a_default_the_first_bundle_answers(
    zoo: dict[str, Path], tmp_path: Path, serve: Serve, film_png: bytes
) -> None:
    settings = replace(every_kind(zoo, tmp_path / "cases"), default=None)
    with serve(settings) as box:
        assert next(iter(models(box))) == SERVED[0]
        assert box.send(film_png)["predictions"][0]["report"]["model"] == SERVED[0]


def test_an_unknown_model_is_a_problem_and_nothing_is_kept(zoo_box: Box, film_png: bytes) -> None:
    before = zoo_box.kept()
    detail = check_problem(zoo_box.post(film_png, model="nobody"), 404, "not-found")
    assert "tiny-cascade" in detail
    assert zoo_box.kept() == before


@pytest.mark.parametrize("model", ["tiny-on-lungs", "tiny-cascade", "tiny-ensemble"])
def test_a_film_of_another_body_part_is_refused(zoo_box: Box, model: str) -> None:
    before = zoo_box.kept()
    film = dicom_film(body_part="KNEE")
    detail = check_problem(zoo_box.post(film, "knee.dcm", model=model), 422, "outside-use")
    assert "body part KNEE" in detail
    assert "chest" in detail
    assert zoo_box.kept() == before


def test_a_chest_film_is_refused_by_a_model_for_bones(zoo_box: Box) -> None:
    detail = check_problem(
        zoo_box.post(dicom_film(), "chest.dcm", model="tiny-bones"), 422, "outside-use"
    )
    assert "body part CHEST" in detail


def test_what_cannot_answer_whole_films_is_not_served(
    zoo: dict[str, Path], plain: Settings
) -> None:
    with pytest.raises(SettingsError, match="-on-lungs"):
        create_app(replace(plain, bundles=(zoo["tiny-lung-crop"],)))
    with pytest.raises(SettingsError, match="tiny-on-lungs"):
        create_app(replace(plain, bundles=(zoo["tiny-on-lungs"],), default="tiny-cascade"))
    assert not plain.data.exists()


def test_a_pipeline_that_crops_otherwise_draws_no_maps_of_older_cases(
    zoo: dict[str, Path], tmp_path: Path, plain: Settings, serve: Serve, film_png: bytes
) -> None:
    wider = bundles.on_lungs(
        tmp_path, "tiny-on-lungs", zoo["tiny-lungs"], zoo["tiny-lung-crop"], margin=0.2
    )
    with serve(replace(plain, bundles=(zoo["tiny-on-lungs"],))) as box:
        case = box.send(film_png)
    with serve(replace(plain, bundles=(wider,))) as box:
        told = models(box)["tiny-on-lungs"]["report"]
        report = case["predictions"][0]["report"]
        assert told["artifact_sha256"] == report["artifact_sha256"], "the same networks"
        check_problem(box.client.get(case["links"]["explanation"]), 409, "not-in-the-model")
