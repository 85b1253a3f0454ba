"""`clinicedge predict`."""

import io
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import tiny_bundles as tiny
from PIL import Image

from clinicedge.runtime import CAUTION, read_film
from clinicedge.runtime.bundle import Bundle
from clinicedge.runtime.classifier import as_classifier
from clinicedge.runtime.manifest import DiscrepancyRule, PipelineRules
from clinicedge.runtime.phantom import encode_png
from clinicedge.runtime.predictions import Classification
from clinicedge.runtime.predictions_json import prediction_json

Command = Callable[..., Any]


def test_a_film_is_answered_in_a_table(ce: Command, bundle: Bundle, film: Path) -> None:
    ran = ce("predict", bundle.folder, film)
    assert ran.code == 0
    assert CAUTION in ran.out
    assert "film.png" in ran.out
    assert "score = probability of PNEUMONIA" in ran.out


def test_json_is_the_predictors_own_answer(ce: Command, bundle: Bundle, film: Path) -> None:
    ran = ce(
        "predict", bundle.folder, film, "--precision", "onnx/int8-guarded", "--threads", 1, "--json"
    )
    document = json.loads(ran.out)
    predictor = bundle.predictor(precision="onnx/int8-guarded", threads=1)
    expected = predictor.predict(read_film(film))
    assert isinstance(expected, Classification)
    (answer,) = document["films"]
    assert answer["prediction"] == prediction_json(expected) | {
        "timing": answer["prediction"]["timing"]
    }
    assert answer["prediction"]["score"] == expected.score
    assert answer["prediction"]["positive"] == expected.positive
    assert answer["prediction"]["threshold"] == expected.threshold
    assert expected.crop is not None
    assert answer["prediction"]["crop"] == asdict(expected.crop)
    members = answer["prediction"]["members"]
    assert [(m["role"], m["report"]["model"]) for m in members] == [
        ("lungs", "lungs-128"),
        ("classifier", "mobilenet-0.5-160-lung-crop"),
    ]
    assert document["report"]["artifact_sha256"] == expected.report.artifact_sha256
    assert document["caution"] == CAUTION


def test_a_classifier_of_whole_films_cuts_nothing(ce: Command, plain: Bundle, film: Path) -> None:
    ran = ce("predict", plain.folder, film, "--precision", "onnx/int8-guarded", "--json")
    (answer,) = json.loads(ran.out)["films"]
    predictor = as_classifier(plain.predictor(precision="onnx/int8-guarded"))
    assert answer["prediction"]["score"] == predictor.predict(read_film(film)).score
    assert (answer["prediction"]["crop"], answer["prediction"]["members"]) == (None, [])


def test_a_film_without_lungs_gets_no_score(ce: Command, bundle: Bundle, tmp_path: Path) -> None:
    black = write_film(tmp_path / "black.png", 0)
    ran = ce("predict", bundle.folder, black, "--json")
    assert ran.code == 2
    (answer,) = json.loads(ran.out)["films"]
    assert answer["error"]["kind"] == "NoLungsError"
    assert "prediction" not in answer
    table = ce("predict", bundle.folder, black)
    assert table.code == 2
    assert "refused: no lungs found" in table.out


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_the_engine_asked_for_answers(ce: Command, bundle: Bundle, film: Path, engine: str) -> None:
    ran = ce("predict", bundle.folder, film, "--engine", engine, "--json")
    assert json.loads(ran.out)["report"]["session"]["engine"] == engine


def test_a_refused_film_leaves_the_others_answered(
    ce: Command, bundle: Bundle, film: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_bytes(b"no film")
    words = [bundle.folder, tmp_path / "empty.png", film, tmp_path / "text.png", "none.dcm"]
    ran = ce("predict", *words, "--json")
    assert ran.code == 2
    answers = json.loads(ran.out)["films"]
    assert ["error" in a for a in answers] == [True, False, True, True]
    assert answers[0]["error"]["kind"] == "NotAFilmError"
    table = ce("predict", *words)
    assert table.code == 2
    assert table.out.count("refused:") == 3


def test_the_explanation_is_a_picture_of_the_films_size(
    ce: Command, bundle: Bundle, film: Path, tmp_path: Path
) -> None:
    out = tmp_path / "maps" / "map.png"
    ran = ce("predict", bundle.folder, film, "--explain", out, "--json")
    assert ran.code == 0
    assert json.loads(ran.out)["films"][0]["explanation"]["method"] == "grad-cam"
    with Image.open(io.BytesIO(out.read_bytes())) as image:
        assert (image.size, image.mode) == ((128, 96), "RGB")


def test_several_films_are_explained_in_a_folder(
    ce: Command, bundle: Bundle, film: Path, tmp_path: Path
) -> None:
    ran = ce("predict", bundle.folder, film, film, "--explain", tmp_path / "maps")
    assert ran.code == 0
    assert sorted(p.name for p in (tmp_path / "maps").iterdir()) == [
        "001-film.png",
        "002-film.png",
    ]


def test_an_unwritable_explanation_is_refused(
    ce: Command, bundle: Bundle, film: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    ran = ce("predict", bundle.folder, film, "--explain", tmp_path / "file" / "map.png")
    assert ran.code == 2
    assert "cannot write" in " ".join(ran.out.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--engine", "tensorrt"), "no engine 'tensorrt'"),
        (("--precision", "int4"), "nothing for engine 'auto' and precision 'int4'"),
        (("--precision", "onnx/int3"), "no artifact 'onnx/int3'"),
    ],
)
def test_what_the_bundle_has_not_is_refused(
    ce: Command, bundle: Bundle, film: Path, words: tuple[str, ...], message: str
) -> None:
    ran = ce("predict", bundle.folder, film, *words)
    assert ran.code == 2
    assert message in ran.err
    assert ran.out == ""


def test_no_bundle_is_refused(ce: Command, film: Path, tmp_path: Path) -> None:
    ran = ce("predict", tmp_path, film)
    assert ran.code == 2
    assert ran.err.startswith("error: no bundle at")


def test_an_unknown_schema_version_is_refused(ce: Command, bundle: Bundle, film: Path) -> None:
    manifest = bundle.folder / "bundle.json"
    manifest.write_text(manifest.read_text().replace('"schema": 1', '"schema": 99', 1))
    ran = ce("predict", bundle.folder, film)
    assert ran.code == 2
    assert "schema 99" in ran.err


@pytest.mark.parametrize("member", ["lungs", "classifier"])
def test_a_changed_artifact_byte_is_refused(
    ce: Command, bundle: Bundle, film: Path, member: str
) -> None:
    model = dict(bundle.models())[member]
    path = model.folder / model.artifact("onnx/int8-guarded").graphs[0].files[0].path
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    ran = ce("predict", bundle.folder, film, "--precision", "onnx/int8-guarded")
    assert ran.code == 2
    assert "was changed after conversion" in ran.err


@pytest.fixture
def cascade(tmp_path: Path) -> Bundle:
    crop = tiny.Scores(region="lungs")
    first = tiny.on_lungs(
        tmp_path / "first",
        tiny.binary(tmp_path / "crop", "tiny-lung-crop", crop),
        tiny.masks(tmp_path / "lungs"),
    )
    second = tiny.findings(tmp_path / "second")
    rules = PipelineRules("cascade", None, DiscrepancyRule(0.1, 0.2, 1, 2), None)
    members = [("first", first), ("second", second)]
    return tiny.pipeline(tmp_path / "cascade", "tiny-cascade", rules, members)


def write_film(path: Path, lungs: int, outside: int = 0) -> Path:
    path.write_bytes(encode_png(tiny.chest(lungs, outside)))
    return path


def test_a_cascade_tells_its_findings_and_its_members(
    ce: Command, cascade: Bundle, tmp_path: Path
) -> None:
    ill = write_film(tmp_path / "ill.png", 250, 100)
    well = write_film(tmp_path / "well.png", 180)
    black = write_film(tmp_path / "black.png", 0)
    ran = ce("predict", cascade.folder, ill, well, black, "--threads", 1)
    assert ran.code == 2
    assert "PNEUMONIA; BACTERIAL 0." in ran.out
    assert "NORMAL" in ran.out
    assert "refused: no lungs found" in ran.out
    assert "second: tiny-findings onnx/fp32 in onnxruntime" in ran.out
    seen = json.loads(ce("predict", cascade.folder, ill, well, black, "--json").out)["films"]
    assert [f.get("prediction", {}).get("kind") for f in seen] == ["cascade", "cascade", None]
    assert seen[0]["prediction"]["second"]["main"] == "BACTERIAL"
    assert seen[1]["prediction"]["second"] is None
    assert seen[2]["error"]["kind"] == "NoLungsError"


def test_findings_are_listed(ce: Command, tmp_path: Path) -> None:
    bundle = tiny.findings(tmp_path / "b")
    film = write_film(tmp_path / "film.png", 250, 250)
    ran = ce("predict", bundle.folder, film)
    assert ran.code == 0
    assert "BACTERIAL 0." in ran.out
    assert "the finding that stands out most" in ran.out


def test_regions_are_told_and_drawn(ce: Command, tmp_path: Path) -> None:
    bundle = tiny.masks(tmp_path / "b", "tiny-tumour", tiny.Mask("TUMOUR"))
    film = write_film(tmp_path / "film.png", 220)
    outline = tmp_path / "pictures" / "outline.png"
    ran = ce("predict", bundle.folder, film, "--overlay", outline)
    assert ran.code == 0
    assert "TUMOUR: 2 regions, 33." in ran.out
    assert "middle left" in ran.out
    assert "outlines in" in ran.out
    with Image.open(outline) as image:
        assert (image.size, image.mode) == ((160, 120), "RGB")
    dark = write_film(tmp_path / "dark.png", 0)
    assert "no TUMOUR" in ce("predict", bundle.folder, dark).out
    document = json.loads(ce("predict", bundle.folder, film, "--json").out)
    (answer,) = document["films"]
    assert len(answer["prediction"]["lesions"]) == 2


def test_a_heat_map_lies_on_the_crop(ce: Command, cascade: Bundle, tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.png", 250, 60)
    out = tmp_path / "map.png"
    ran = ce("predict", cascade.folder, film, "--overlay", out, "--json")
    told = json.loads(ran.out)["films"][0]["overlay"]
    assert told["shows"] == "heat map"
    assert told["crop"]["x0"] > 0
    with Image.open(out) as image:
        assert image.getpixel((0, 0)) == (60, 60, 60)


def test_a_network_for_lung_crops_names_its_pipeline(ce: Command, tmp_path: Path) -> None:
    bundle = tiny.binary(tmp_path / "b", "tiny-lung-crop", tiny.Scores(region="lungs"))
    ran = ce("predict", bundle.folder, write_film(tmp_path / "film.png", 200), "--json")
    assert ran.code == 2
    (answer,) = json.loads(ran.out)["films"]
    assert answer["error"]["kind"] == "WholeFilmError"
    assert "Use the pipeline 'tiny-on-lungs'" in answer["error"]["message"]


def test_a_pipeline_that_names_a_missing_member(ce: Command, cascade: Bundle, film: Path) -> None:
    (cascade.folder / "members/tiny-findings/bundle.json").unlink()
    ran = ce("predict", cascade.folder, film)
    assert ran.code == 2
    assert "names the member 'tiny-findings' (second)" in ran.err
