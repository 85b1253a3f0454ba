"""Pipelines: what they answer and what they carry."""

from pathlib import Path

import numpy as np
import pytest
import tiny_bundles as tiny
from tiny_pipelines import CROPPED, sigmoid

from clinicedge.runtime import Bundle, CascadeResult, Classification, Film, Findings
from clinicedge.runtime.cascade import Cascade
from clinicedge.runtime.errors import (
    ArtifactError,
    NoLungsError,
)
from clinicedge.runtime.heat_maps import on_film, overlay
from clinicedge.runtime.lungs import Box
from clinicedge.runtime.on_lungs import OnLungs
from clinicedge.runtime.selection import Wish, open_model


def mean_brightness(pixels: np.ndarray) -> float:
    return float(pixels.mean()) / 127.5 - 1.0


def test_the_classifier_sees_the_lungs_in_the_films_own_resolution(on_lungs: Bundle) -> None:
    predictor = on_lungs.predictor(threads=1)
    film = tiny.chest(outside=30)
    answer = predictor.predict(film)
    assert isinstance(answer, Classification)
    box = answer.crop
    assert isinstance(box, Box)
    # The fields reach from column 20 to 140 and from row 20 to 100; 5 % are added on each side.
    found = np.array([box.x0, box.y0, box.x1, box.y1])
    assert np.abs(found - [14, 16, 146, 104]).max() <= 5
    inside = film.pixels[box.y0 : box.y1, box.x0 : box.x1]
    assert answer.score == pytest.approx(sigmoid(6.0 * mean_brightness(inside)), abs=0.02)


def test_the_answer_names_the_pipeline_and_all_its_members(on_lungs: Bundle) -> None:
    predictor = on_lungs.predictor(threads=1)
    answer = predictor.predict(tiny.chest())
    assert isinstance(answer, Classification)
    report = answer.report
    assert (report.model, report.bundle_id) == ("tiny-on-lungs", on_lungs.id)
    assert report.artifact == "onnx/fp32"
    assert report.session.engine == "onnxruntime"
    assert [(m.role, m.report.model) for m in answer.members] == [
        ("lungs", "tiny-lungs"),
        ("classifier", "tiny-lung-crop"),
    ]
    assert answer.timing.inference_ms > 0
    assert [part.role for part in predictor.parts] == ["lungs", "classifier"]
    assert predictor.kind == "classification"
    assert predictor.labels == tiny.BINARY
    assert predictor.positive_label == "PNEUMONIA"
    assert dict(predictor.thresholds) == {"PNEUMONIA": 0.5}


def test_other_artifacts_of_the_members_give_another_hash(tmp_path: Path, lungs: Bundle) -> None:
    both = ("onnx", "openvino")
    classifier = tiny.binary(tmp_path / "c", "tiny-lung-crop", CROPPED, both)  # type: ignore[arg-type]
    masks = tiny.masks(tmp_path / "m", "tiny-lungs", formats=both)  # type: ignore[arg-type]
    bundle = tiny.on_lungs(tmp_path / "p", classifier, masks)
    hashes, scores = set(), []
    for engine in ("onnxruntime", "openvino"):
        predictor = bundle.predictor(engine, threads=1)
        hashes.add(predictor.report.artifact_sha256)
        answer = predictor.predict(tiny.chest())
        assert isinstance(answer, Classification)
        assert {m.report.session.engine for m in answer.members} == {engine}
        scores.append(answer.score)
    assert len(hashes) == 2
    assert scores[0] == pytest.approx(scores[1], abs=1e-3)
    again = bundle.predictor("openvino", threads=1).report.artifact_sha256
    assert again in hashes


def test_no_lungs_no_score(on_lungs: Bundle) -> None:
    predictor = on_lungs.predictor(threads=1)
    for grey in (0, 255):
        film = tiny.film(np.full((90, 90), grey, np.uint8))
        for ask in (predictor.predict, predictor.explain):
            with pytest.raises(NoLungsError, match="No score is given"):
                ask(film)
    assert isinstance(predictor.predict(tiny.chest()), Classification)


def test_the_lungs_of_a_film_are_searched_once(
    on_lungs: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = on_lungs.predictor(threads=1)
    assert isinstance(predictor, OnLungs)
    segmenter = predictor.finder.segmenter
    asked: list[Film] = []
    search = segmenter.probabilities

    def counted(film: Film) -> object:
        asked.append(film)
        return search(film)

    monkeypatch.setattr(segmenter, "probabilities", counted)
    film, other = tiny.chest(), tiny.chest()
    first = predictor.predict(film)
    predictor.explain(film)
    assert predictor.predict(film).timing.inference_ms <= first.timing.inference_ms * 100
    assert len(asked) == 1
    predictor.predict(other)
    assert len(asked) == 2
    assert predictor.find(other).box == first.crop  # type: ignore[union-attr]
    classifier = predictor.parts[1].predictor
    monkeypatch.setattr(classifier, "run_tensor", None)
    assert predictor.explain(other).crop == first.crop, "nor is anything run for the map"


def test_the_map_lies_inside_the_crop_and_nowhere_else(on_lungs: Bundle) -> None:
    predictor = on_lungs.predictor(threads=1)
    film = tiny.chest(outside=20)
    told = predictor.explain(film)
    box = told.crop
    assert box == predictor.predict(film).crop  # type: ignore[union-attr]
    assert box is not None
    assert told.report.model == "tiny-on-lungs"
    values = on_film(told, film, predictor.input)
    assert values.shape == film.pixels.shape
    inside = np.zeros(values.shape, bool)
    inside[box.y0 : box.y1, box.x0 : box.x1] = True
    assert values[~inside].max() == 0.0
    assert values[inside].max() > 0.9
    drawn = overlay(film, values)
    assert (drawn[~inside] == film.pixels[~inside][:, None]).all()


def test_a_cascade_asks_the_second_only_where_the_first_is_positive(cascade: Bundle) -> None:
    predictor = cascade.predictor(threads=1)
    ill = predictor.predict(tiny.chest(lungs=250, outside=60))
    assert isinstance(ill, CascadeResult)
    assert ill.first.positive
    assert isinstance(ill.second, Findings)
    assert ill.second.main == "BACTERIAL"
    assert [m.role for m in ill.members] == [
        *("first", "first/lungs", "first/classifier"),
        *("second", "second/lungs", "second/classifier"),
    ]
    assert ill.timing.inference_ms == pytest.approx(
        ill.first.timing.inference_ms + ill.second.timing.inference_ms
    )
    well = predictor.predict(tiny.chest(lungs=180, outside=0))
    assert isinstance(well, CascadeResult)
    assert not well.first.positive
    assert well.second is None
    assert [m.role for m in well.members] == ["first", "first/lungs", "first/classifier"]
    assert ill.report == well.report
    assert predictor.kind == "cascade"
    assert predictor.explain(tiny.chest()).report.model == "tiny-cascade"


def test_both_stages_share_one_search_for_the_lungs(cascade: Bundle) -> None:
    predictor = cascade.predictor(threads=1)
    assert isinstance(predictor, Cascade)
    first, second = (part.predictor for part in predictor.parts)
    assert isinstance(first, OnLungs)
    assert isinstance(second, OnLungs)
    assert first.finder is second.finder
    answer = predictor.predict(tiny.chest(lungs=250, outside=60))
    assert answer.second is not None
    assert answer.second.crop == answer.first.crop


def test_models_lists_every_model_by_its_path(cascade: Bundle, lungs: Bundle) -> None:
    found = {path: bundle.manifest.name for path, bundle in cascade.models()}
    assert found == {
        "first/lungs": "tiny-lungs",
        "first/classifier": "tiny-lung-crop",
        "second/lungs": "tiny-lungs",
        "second/classifier": "types-lung-crop",
    }
    assert lungs.models() == (("", lungs),)
    assert lungs.members() == ()


def test_wishes_go_to_every_member(cascade: Bundle) -> None:
    with pytest.raises(ArtifactError, match="'tiny-lungs' has nothing for engine 'openvino'"):
        cascade.predictor("openvino")
    with pytest.raises(ArtifactError, match="is a pipeline and has no artifact 'onnx/fp32'"):
        cascade.artifact("onnx/fp32")
    with pytest.raises(ArtifactError, match="is a pipeline; expected a model"):
        open_model(cascade, Wish())
