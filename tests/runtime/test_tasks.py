"""Findings and masks as predictors, and networks for lung crops alone."""

import math
from pathlib import Path

import numpy as np
import pytest
import tiny_bundles as tiny
from tiny_bundles import Mask, Scores

from clinicedge.runtime import Film, Findings, Segmentation
from clinicedge.runtime.acceptance import check_acceptance
from clinicedge.runtime.classifier import Classifier, as_classifier
from clinicedge.runtime.errors import ArtifactError, TensorError, WholeFilmError
from clinicedge.runtime.findings import FindingsPredictor, decide, main_finding
from clinicedge.runtime.segmenter import Segmenter
from clinicedge.runtime.spec import MaskRules

THREE = ("A", "B", "C")


def grey(value: int) -> Film:
    return tiny.film(np.full((40, 40), value, np.uint8))


def brightness(value: int) -> float:
    return value / 127.5 - 1.0


def sigmoid(logit: float) -> float:
    return 1.0 / (1.0 + math.exp(-logit))


def test_each_finding_has_its_own_score_and_threshold(tmp_path: Path) -> None:
    net = Scores(THREE, (4.0, -4.0, 2.0), (0.0, 0.0, 0.5), (0.5, 0.2, 0.99))
    predictor = tiny.findings(tmp_path, net=net).predictor(threads=1)
    assert isinstance(predictor, FindingsPredictor)
    assert predictor.kind == "findings"
    assert (predictor.labels, predictor.positive_label) == (THREE, None)
    assert dict(predictor.thresholds) == {"A": 0.5, "B": 0.2, "C": 0.99}
    answer = predictor.predict(grey(200))
    wanted = [
        sigmoid(s * brightness(200) + o) for s, o in zip(net.slopes, net.offsets, strict=True)
    ]
    assert [f.score for f in answer.findings] == pytest.approx(wanted, abs=1e-5)
    assert [f.positive for f in answer.findings] == [True, False, False]
    assert answer.main == "A"


def test_the_main_finding_stands_farthest_above_its_threshold() -> None:
    found = decide({"A": 0.9, "B": 0.6, "C": 0.3}, {"A": 0.8, "B": 0.3, "C": 0.3})
    assert [f.positive for f in found] == [True, True, True]
    assert main_finding(found) == "B"
    assert main_finding(decide({"A": 0.1}, {"A": 0.2})) is None


def test_the_map_is_of_the_main_finding_or_the_nearest(tmp_path: Path) -> None:
    predictor = tiny.findings(tmp_path).predictor(threads=1)
    bright, dark = tiny.noise(1), grey(30)
    left = tiny.film(np.hstack([np.full((40, 20), 255), np.full((40, 20), 90)]))
    told = predictor.explain(left)
    assert told.label == "BACTERIAL"
    assert told.map[:, :4].mean() > told.map[:, 4:].mean()
    assert predictor.explain(dark).label == "VIRAL"
    assert predictor.explain(bright).method == "eigen-cam"


def test_a_network_without_sigmoid_scores_gives_no_findings(tmp_path: Path) -> None:
    from dataclasses import replace

    bundle = tiny.binary(tmp_path)
    wrong = tiny.write(tmp_path, replace(bundle.manifest, task="findings"))
    with pytest.raises(ArtifactError, match="no output of labelled sigmoid scores"):
        wrong.predictor()
    wrong = tiny.write(tmp_path, replace(bundle.manifest, task="segmentation"))
    with pytest.raises(ArtifactError, match="no mask output of one label"):
        wrong.predictor()


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_a_mask_lies_over_the_film_in_every_engine(tmp_path: Path, engine: str) -> None:
    bundle = tiny.masks(
        tmp_path, net=Mask("TUMOUR", rules=MaskRules(0.01, 1, 0.0)), formats=("onnx", "openvino")
    )
    predictor = bundle.predictor(engine, threads=1)
    assert isinstance(predictor, Segmenter)
    film = tiny.film(tiny.chest().pixels, spacing_mm=(0.2, 0.3))
    answer = predictor.predict(film)
    assert isinstance(answer, Segmentation)
    assert answer.positive
    assert answer.report.session.engine == engine
    assert (answer.label, answer.threshold) == ("TUMOUR", 0.5)
    assert answer.mask.shape == answer.raw.shape == film.pixels.shape
    assert answer.probability.shape == (32, 32)
    truth = film.pixels > 127
    assert 2 * (answer.raw & truth).sum() / (answer.raw.sum() + truth.sum()) > 0.95
    (lesion,) = answer.lesions
    assert lesion.location == ("middle", "left")
    assert answer.mask.sum() == lesion.area_px < answer.raw.sum()
    assert lesion.area_mm2 == pytest.approx(lesion.area_px * 0.06)
    assert lesion.score > 0.9
    assert answer.score == pytest.approx(sigmoid(tiny.GAIN * brightness(200)), abs=1e-4)


def test_a_letterboxed_mask_comes_back_to_where_it_was(tmp_path: Path) -> None:
    predictor = tiny.masks(tmp_path, net=Mask(resize="letterbox", side=64)).predictor(threads=1)
    film = tiny.chest(height=60, width=200)
    answer = predictor.predict(film)
    assert isinstance(answer, Segmentation)
    truth = film.pixels > 127
    assert 2 * (answer.mask & truth).sum() / (answer.mask.sum() + truth.sum()) > 0.95
    assert [lesion.location[1] for lesion in answer.lesions] == ["left", "right"]


def test_a_dark_film_has_no_region(tmp_path: Path) -> None:
    answer = tiny.masks(tmp_path).predictor(threads=1).predict(grey(0))
    assert isinstance(answer, Segmentation)
    assert not answer.positive
    assert answer.lesions == ()
    assert not answer.mask.any()


def test_the_explanation_of_a_mask_is_its_probabilities(tmp_path: Path) -> None:
    predictor = tiny.masks(tmp_path).predictor(threads=1)
    told = predictor.explain(tiny.chest())
    assert (told.method, told.label, told.sign) == ("probability", "LUNG", 1)
    seen = predictor.predict(tiny.chest())
    assert isinstance(seen, Segmentation)
    np.testing.assert_array_equal(told.map, seen.probability)


def test_a_network_for_lung_crops_takes_no_whole_film_alone(tmp_path: Path) -> None:
    bundle = tiny.binary(tmp_path, "tiny-lung-crop", Scores(region="lungs"))
    predictor = as_classifier(bundle.predictor(threads=1))
    for ask in (predictor.predict, predictor.explain):
        with pytest.raises(WholeFilmError, match="Use the pipeline 'tiny-on-lungs'"):
            ask(grey(200))
    answer = predictor.predict_crop(grey(200))
    assert answer.score == pytest.approx(sigmoid(6.0 * brightness(200)), abs=1e-5)
    assert predictor.explain_crop(tiny.noise(2)).label == "PNEUMONIA"
    # Its acceptance films are crops already.
    assert check_acceptance(bundle, "onnx/fp32").passed


def test_findings_and_masks_take_no_boxes(tmp_path: Path) -> None:
    for bundle in (tiny.findings(tmp_path / "a"), tiny.masks(tmp_path / "b")):
        predictor = bundle.predictor(threads=1)
        with pytest.raises(TensorError, match="found 1 boxes, expected none"):
            predictor.predict(grey(9), boxes=((0.0, 0.0, 1.0, 1.0),))


def test_only_a_two_label_model_is_a_classifier(tmp_path: Path) -> None:
    model = tiny.binary(tmp_path / "a").predictor(threads=1)
    assert isinstance(as_classifier(model), Classifier)
    with pytest.raises(ArtifactError, match="gives findings; expected a two-label classifier"):
        as_classifier(tiny.findings(tmp_path / "b").predictor(threads=1))


def test_findings_of_any_film_are_a_whole_answer(tmp_path: Path) -> None:
    answer = tiny.findings(tmp_path).predictor(threads=1).predict(tiny.noise(5))
    assert isinstance(answer, Findings)
    assert [f.label for f in answer.findings] == ["BACTERIAL", "VIRAL"]
    assert "second opinion" in answer.caution
    assert answer.crop is None
    assert answer.members == ()
