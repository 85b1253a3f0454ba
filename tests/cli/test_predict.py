"""`clinicedge predict`."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from clinicedge.runtime import CAUTION, read_film
from clinicedge.runtime.bundle import Bundle

Command = Callable[..., Any]


def test_a_film_is_answered_in_a_table(ce: Command, bundle: Bundle, film: Path) -> None:
    ran = ce("predict", bundle.folder, film)
    assert ran.code == 0
    assert CAUTION in ran.out
    assert "film.png" in ran.out
    assert "score = probability of PNEUMONIA" in ran.out


def test_json_is_the_predictors_own_answer(ce: Command, bundle: Bundle, film: Path) -> None:
    ran = ce(
        "predict", bundle.folder, film, "--precision", "onnx/int8-static", "--threads", 1, "--json"
    )
    document = json.loads(ran.out)
    expected = bundle.predictor(precision="onnx/int8-static", threads=1).predict(read_film(film))
    (answer,) = document["films"]
    assert answer["prediction"]["score"] == expected.score
    assert answer["prediction"]["positive"] == expected.positive
    assert answer["prediction"]["threshold"] == expected.threshold
    assert document["report"]["artifact_sha256"] == expected.report.artifact_sha256
    assert document["caution"] == CAUTION


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
    assert json.loads(ran.out)["films"][0]["explanation"]["method"] == "eigen-cam"
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


def test_a_changed_artifact_byte_is_refused(ce: Command, bundle: Bundle, film: Path) -> None:
    path = bundle.folder / bundle.artifact("onnx/int8-static").graphs[0].files[0].path
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    ran = ce("predict", bundle.folder, film, "--precision", "onnx/int8-static")
    assert ran.code == 2
    assert "was changed after conversion" in ran.err
