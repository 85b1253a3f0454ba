"""A film in, a case out, and its pictures."""

import hashlib
import io
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import tiny_bundles as tiny
from PIL import Image

from clinicedge.edge_server.cases import clean_name
from clinicedge.edge_server.derived import sealed
from clinicedge.edge_server.settings import Settings
from clinicedge.runtime import CAUTION, decode_film, load
from clinicedge.runtime.phantom import encode_png
from clinicedge.runtime.predictions import Classification

from .conftest import Box, Serve, dicom_film


def picture(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def test_a_film_becomes_a_case_with_the_whole_prediction(
    shared_box: Box, film_png: bytes, tiny_bundle: Path
) -> None:
    answer = shared_box.post(film_png, "child.png")
    assert answer.status_code == 201
    case = answer.json()
    assert answer.headers["location"] == f"/api/v1/cases/{case['id']}" == case["links"]["self"]
    (prediction,) = case["predictions"]
    bundle = load(tiny_bundle)
    expected = bundle.predictor("onnxruntime", threads=1).predict(decode_film(film_png, "x.png"))
    assert isinstance(expected, Classification)
    assert prediction["score"] == expected.score
    assert prediction["threshold"] == expected.threshold
    assert prediction["positive"] is expected.positive
    assert prediction["label"] == expected.label
    assert prediction["probabilities"] == dict(expected.probabilities)
    assert expected.crop is not None
    assert prediction["crop"] == asdict(expected.crop)
    assert prediction["caution"] == case["caution"] == CAUTION
    report = prediction["report"]
    assert report["artifact"] == expected.report.artifact
    assert report["artifact_sha256"] == expected.report.artifact_sha256
    models = dict(bundle.models())
    assert [m["role"] for m in prediction["members"]] == ["lungs", "classifier"] == list(models)
    for member in prediction["members"]:
        model, told = models[member["role"]], member["report"]
        assert (told["model"], told["bundle_id"]) == (model.manifest.name, model.id)
        assert told["artifact_sha256"] == model.artifact(told["artifact"]).sha256
    assert report["bundle_id"] == bundle.id
    assert report["session"]["engine"] == "onnxruntime"
    assert report["session"]["threads"] == 1
    assert prediction["timing"]["inference_ms"] > 0
    assert case["film"]["sha256"] == hashlib.sha256(film_png).hexdigest()
    assert (case["film"]["width"], case["film"]["height"]) == (192, 144)
    assert shared_box.client.get(case["links"]["self"]).json() == case


def test_a_classifier_of_whole_films_cuts_nothing(
    serve: Serve, plain: Settings, plain_bundle: Path, film_png: bytes
) -> None:
    with serve(replace(plain, bundles=(plain_bundle,))) as box:
        (prediction,) = box.post(film_png).json()["predictions"]
    bundle = load(plain_bundle)
    report = prediction["report"]
    assert report["artifact_sha256"] == bundle.artifact(report["artifact"]).sha256
    assert report["bundle_id"] == bundle.id
    assert (prediction["crop"], prediction["members"]) == (None, [])


def test_a_film_without_lungs_is_kept_without_a_score(shared_box: Box) -> None:
    black = encode_png(tiny.chest(lungs=0))
    case = shared_box.post(black, "black.png").json()
    (told,) = case["predictions"]
    assert (told["kind"], told["code"]) == ("no-score", "no-lungs")
    assert "score" not in told
    assert (shared_box.data / case["film"]["file"]).read_bytes() == black


def test_the_original_bytes_are_kept(shared_box: Box, film_png: bytes) -> None:
    case = shared_box.post(film_png).json()
    assert (shared_box.data / case["film"]["file"]).read_bytes() == film_png
    assert not list((shared_box.data / "incoming").iterdir())


def test_the_image_is_the_film_as_read(shared_box: Box, film_png: bytes) -> None:
    case = shared_box.post(film_png).json()
    answer = shared_box.client.get(case["links"]["image"])
    assert answer.headers["content-type"] == "image/png"
    shown = picture(answer.content)
    assert shown.mode == "L"
    assert np.array_equal(np.asarray(shown), decode_film(film_png, "x").pixels)


def test_a_dicom_film_is_read_and_shown(shared_box: Box) -> None:
    case = shared_box.post(dicom_film("DX"), "film.dcm").json()
    assert (case["film"]["format"], case["film"]["modality"]) == ("dicom", "DX")
    assert case["film"]["notes"]
    shown = picture(shared_box.client.get(case["links"]["image"]).content)
    assert shown.size == (128, 96)


def test_a_film_of_another_modality_gets_no_score(shared_box: Box) -> None:
    before = shared_box.kept()
    answer = shared_box.post(dicom_film("MR"), "film.dcm")
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:clinicedge:problem:outside-use"
    assert "declares modality MR" in answer.json()["detail"]
    assert shared_box.kept() == before


def test_the_explanation_is_a_layer_an_overlay_or_numbers(shared_box: Box, film_png: bytes) -> None:
    case = shared_box.post(film_png).json()
    address = case["links"]["explanation"]
    folder = shared_box.data / "derived" / case["id"]
    assert not folder.exists(), "nothing is computed before it is asked for"
    layer = picture(shared_box.client.get(address).content)
    assert layer.size == (192, 144)
    alpha = np.asarray(layer.convert("RGBA"))[..., 3]
    assert alpha.min() < 16 < 200 < alpha.max(), "the film shows through where nothing is"
    over = picture(shared_box.client.get(address, params={"as": "overlay"}).content)
    assert (over.mode, over.size) == ("RGB", (192, 144))
    told = shared_box.client.get(address, params={"as": "json"}).json()
    values = np.asarray(told["map"])
    assert told["method"] == "grad-cam"
    assert values.ndim == 2
    assert 0 <= values.min() <= values.max() <= 1
    sha256 = case["predictions"][0]["report"]["artifact_sha256"]
    assert all(sha256[:16] in p.name for p in folder.iterdir() if p.name.startswith("explanation"))


def test_the_explanation_is_remembered(shared_box: Box, film_png: bytes) -> None:
    case = shared_box.post(film_png).json()
    first = shared_box.client.get(case["links"]["explanation"]).content
    (kept,) = (shared_box.data / "derived" / case["id"]).glob("*-alpha.png")
    assert kept.read_bytes() == sealed(first)
    kept.write_bytes(sealed(b"remembered"))
    assert shared_box.client.get(case["links"]["explanation"]).content == b"remembered"
    kept.write_bytes(b"what a power cut left")
    assert shared_box.client.get(case["links"]["explanation"]).content == first
    assert kept.read_bytes() == sealed(first)
    kept.unlink()
    assert shared_box.client.get(case["links"]["explanation"]).content == first


def test_the_first_opinion_is_kept_as_the_model_spells_it(shared_box: Box, film_png: bytes) -> None:
    def opinion(**fields: str) -> object:
        return shared_box.post(film_png, **fields).json()["first_opinion"]

    assert opinion(first_opinion="pneumonia") == "PNEUMONIA"
    assert opinion(first_opinion="Unsure") == "unsure"
    assert opinion(first_opinion="") is None
    assert opinion() is None


def test_cases_are_listed_newest_first(box: Box, film_png: bytes) -> None:
    assert box.client.get("/api/v1/cases").json() == {"cases": [], "total": 0}
    made = [box.post(film_png, f"{number}.png").json() for number in range(3)]
    listed = box.client.get("/api/v1/cases", params={"limit": 2}).json()
    assert listed["total"] == 3
    assert listed["cases"] == [made[2], made[1]]
    assert [c["number"] for c in made] == [1, 2, 3]


def test_a_model_can_be_named(shared_box: Box, film_png: bytes) -> None:
    (model,) = shared_box.client.get("/api/v1/models").json()["models"]
    answer = shared_box.post(film_png, model=model["name"])
    assert answer.json()["predictions"][0]["report"]["model"] == model["name"]
    refused = shared_box.post(film_png, model="nobody")
    assert refused.status_code == 404
    assert model["name"] in refused.json()["detail"]


def test_models_and_health_tell_what_answers(shared_box: Box, tiny_bundle: Path) -> None:
    told = shared_box.client.get("/api/v1/models").json()
    (model,) = told["models"]
    assert model["default"] is True
    assert model["acceptance"]["passed"] is True
    assert model["acceptance"]["films"] > 0
    assert model["positive_label"] in model["labels"]
    assert model["threshold"]["artifact"] == model["report"]["artifact"]
    assert told["limits"]["max_upload_bytes"] == shared_box.server.max_upload_bytes
    health = shared_box.client.get("/healthz").json()
    assert health["status"] == "ok"
    assert health["models"][0]["bundle_id"] == load(tiny_bundle).id
    assert health["models"][0]["engine"].startswith("onnxruntime ")


def test_phantoms_are_offered_and_answered(shared_box: Box) -> None:
    offered = shared_box.client.get("/api/v1/phantoms").json()["phantoms"]
    assert len(offered) >= 5
    first = shared_box.client.get(offered[0]["url"])
    assert first.headers["content-type"] == "image/png"
    assert shared_box.post(first.content, "phantom.png").status_code == 201
    assert shared_box.client.get("/api/v1/phantoms/none.png").status_code == 404
    assert shared_box.client.get("/api/v1/film").json() == {"film": None}
    assert shared_box.client.get("/api/v1/film/file").status_code == 404


def test_the_interface_is_described(shared_box: Box) -> None:
    paths = shared_box.client.get("/api/openapi.json").json()["paths"]
    assert set(paths["/api/v1/cases"]) == {"get", "post"}
    assert {"/healthz", "/api/v1/models", "/api/v1/cases/{case_id}/explanation"} <= set(paths)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\films\\a.png", "a.png"),
        ("a\x00b\n.png", "ab.png"),
        ("", "film"),
        ("phim phổi.png", "phim phổi.png"),
        ("x" * 300, "x" * 120),
    ],
)
def test_names_are_cleaned(sent: str, kept: str) -> None:
    assert clean_name(sent) == kept
