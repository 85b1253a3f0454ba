"""Predictions as JSON, and regions drawn on the film."""

import json
from pathlib import Path

import numpy as np
import tiny_bundles as tiny
from tiny_bundles import Mask, Scores

from clinicedge.runtime import Segmentation
from clinicedge.runtime.drawing import outline_overlay
from clinicedge.runtime.manifest import DiscrepancyRule, PipelineRules
from clinicedge.runtime.outlines import signed_area
from clinicedge.runtime.predictions_json import prediction_json
from clinicedge.runtime.spec import MaskRules


def told(prediction: object) -> dict[str, object]:
    """As a reader of the document sees it."""
    found = prediction_json(prediction)  # type: ignore[arg-type]
    again: dict[str, object] = json.loads(json.dumps(found, allow_nan=False))
    assert again == found
    return again


def test_a_classification(tmp_path: Path) -> None:
    answer = tiny.binary(tmp_path).predictor(threads=1).predict(tiny.noise(1))
    found = told(answer)
    assert found["kind"] == "classification"
    assert found["probabilities"] == dict(answer.probabilities)  # type: ignore[union-attr]
    assert found["crop"] is None
    assert found["members"] == []
    assert found["report"]["session"]["engine"] == "onnxruntime"  # type: ignore[index]


def test_findings(tmp_path: Path) -> None:
    found = told(tiny.findings(tmp_path).predictor(threads=1).predict(tiny.chest()))
    assert found["kind"] == "findings"
    rows = found["findings"]
    assert isinstance(rows, list)
    assert set(rows[0]) == {"label", "score", "threshold", "positive"}


def test_a_mask_is_told_by_outlines(tmp_path: Path) -> None:
    answer = tiny.masks(tmp_path).predictor(threads=1).predict(tiny.chest())
    assert isinstance(answer, Segmentation)
    found = told(answer)
    assert (found["kind"], found["height"], found["width"]) == ("segmentation", 120, 160)
    assert found["area_px"] == answer.mask.sum()
    assert found["area_share"] == answer.mask.mean()
    lesions = found["lesions"]
    assert isinstance(lesions, list)
    assert [row["area_px"] for row in lesions] == [one.area_px for one in answer.lesions]
    (outer,) = lesions[0]["outline"]
    assert abs(signed_area(outer) / lesions[0]["area_px"] - 1) < 0.05
    assert len(found["raw_outline"]) == 2  # type: ignore[arg-type]
    assert not {"mask", "raw", "probability"} & set(found)


def test_a_cascade_tells_its_parts_each_in_its_own_form(tmp_path: Path) -> None:
    lungs = tiny.masks(tmp_path / "l")
    crop = Scores(region="lungs")
    first = tiny.on_lungs(tmp_path / "f", tiny.binary(tmp_path / "c", "c-lung-crop", crop), lungs)
    second = tiny.findings(tmp_path / "s")
    rules = PipelineRules("cascade", None, DiscrepancyRule(0.1, 0.2, 1, 2), None)
    bundle = tiny.pipeline(tmp_path / "p", "both", rules, [("first", first), ("second", second)])
    predictor = bundle.predictor(threads=1)
    ill = told(predictor.predict(tiny.chest(lungs=250, outside=60)))
    assert ill["kind"] == "cascade"
    assert ill["first"]["kind"] == "classification"  # type: ignore[index]
    assert set(ill["first"]["crop"]) == {"x0", "y0", "x1", "y1"}  # type: ignore[index]
    assert ill["second"]["kind"] == "findings"  # type: ignore[index]
    assert [m["role"] for m in ill["members"]] == [  # type: ignore[attr-defined]
        *("first", "first/lungs", "first/classifier", "second"),
    ]
    assert told(predictor.predict(tiny.chest(lungs=180)))["second"] is None


def test_outlines_are_drawn_around_the_regions(tmp_path: Path) -> None:
    film = tiny.chest()
    one = Mask(rules=MaskRules(0.0, 1, 0.0))
    answer = tiny.masks(tmp_path, net=one).predictor(threads=1).predict(film)
    assert isinstance(answer, Segmentation)
    drawn = outline_overlay(film, answer)
    assert drawn.shape == (*film.pixels.shape, 3)
    coloured = (drawn != film.pixels[..., None]).any(axis=2)
    edge = np.zeros(film.pixels.shape, bool)
    for x0, y0, x1, y1 in (lesion.box for lesion in answer.lesions):
        edge[max(0, y0 - 1) : y1 + 2, max(0, x0 - 1) : x1 + 2] = True
        edge[y0 + 4 : y1 - 4, x0 + 4 : x1 - 4] = False
    assert coloured.any()
    assert not (coloured & ~edge).any()
    assert (outline_overlay(film, answer, raw=True) != drawn).any()
