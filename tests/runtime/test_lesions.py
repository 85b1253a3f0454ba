"""The lesion pipeline: what it answers, an empty film, bounds, and members that do not fit."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_boxes as boxes
import tiny_bundles as tiny
from tiny_boxes import Finder, Prompted

from clinicedge.runtime import Bundle, Segmentation
from clinicedge.runtime.drawing import outline_overlay
from clinicedge.runtime.errors import ArtifactError, ExplanationError, SchemaError, TensorError
from clinicedge.runtime.explanations import MapRequest, bundle_offers, offers
from clinicedge.runtime.heat_maps import on_film
from clinicedge.runtime.lesions import Lesions
from clinicedge.runtime.lungs import CropRule
from clinicedge.runtime.predictions_json import prediction_json
from clinicedge.runtime.spec import DetectionRules

FILM = boxes.spots((8, 8, 24, 24), (40, 40, 60, 60))
BOTH = Finder(("BRIGHT", "DARK"), (8.0, -8.0), (-4.0, -4.0), (0.5, 0.5))


@pytest.fixture
def opened(tmp_path: Path) -> Lesions:
    return opened_as(tmp_path)


def opened_as(folder: Path, finder: Finder | None = None, net: Prompted | None = None) -> Lesions:
    return boxes.opened_lesions(boxes.lesions(folder / "p", finder, net))


def test_lesions_without_a_box_drawn_by_hand(opened: Lesions) -> None:
    found = opened.predict(FILM)
    assert isinstance(found, Segmentation)
    assert found.positive
    assert [one.location for one in found.lesions] == [("lower", "right"), ("upper", "left")]
    for one in found.lesions:
        assert one.label == "TUMOUR"
        assert one.confidence is not None
        assert one.confidence > 0.9
        assert one.prompt is not None
        assert one.area_px > 0
        assert one.area_mm2 == one.area_px * 0.125
        assert one.prompt[0] <= one.box[0] <= one.box[2] <= one.prompt[2]
    assert found.score == found.lesions[0].confidence
    assert (found.label, found.threshold, found.score_of, found.note) == ("TUMOUR", 0.5, "box", "")
    assert found.mask.shape == found.raw.shape == FILM.pixels.shape
    assert found.mask.sum() == sum(one.area_px for one in found.lesions)
    assert [m.role for m in found.members] == ["detector", "segmenter"]
    assert (opened.kind, opened.labels, opened.positive_label) == (
        "segmentation",
        ("TUMOUR",),
        None,
    )
    assert opened.input.resize == "stretch"
    told = prediction_json(found)
    assert told["score_of"] == "box"
    assert told["lesions"][0]["confidence"] == found.score
    assert outline_overlay(FILM, found).shape == (64, 64, 3)


def test_a_bundle_opens_as_a_pipeline(tmp_path: Path, opened: Lesions) -> None:
    found = boxes.lesions(tmp_path / "again").predictor(threads=1)
    assert isinstance(found, Lesions)
    answer = found.predict(FILM)
    assert answer.lesions == opened.predict(FILM).lesions
    assert answer.report.bundle_id == found.bundle.id


def test_the_same_boxes_by_hand_give_the_same_masks(opened: Lesions) -> None:
    found = opened.predict(FILM)
    prompts = tuple(one.prompt for one in found.lesions if one.prompt is not None)
    by_hand = opened.parts[1].predictor.predict(FILM, prompts)
    assert isinstance(by_hand, Segmentation)
    assert (by_hand.mask == found.mask).all()
    assert [one.outline for one in by_hand.lesions] == [one.outline for one in found.lesions]


def test_no_lesion_is_an_empty_explained_answer(opened: Lesions) -> None:
    found = opened.predict(boxes.spots())
    assert not found.positive
    assert found.lesions == ()
    assert not found.mask.any()
    assert not found.raw.any()
    assert found.note.startswith("No box reached its threshold: the surest, of TUMOUR")
    assert [m.role for m in found.members] == ["detector"]
    told = prediction_json(found)
    assert (told["positive"], told["lesions"], told["raw_outline"]) == (False, [], [])
    assert told["note"] == found.note
    assert (outline_overlay(boxes.spots(), found) == 0).all()
    map_ = opened.explain(boxes.spots())
    assert (map_.sign, map_.note) == (0, found.note)
    assert not map_.map.any()


def test_what_cannot_be_outlined_is_told_with_its_box(tmp_path: Path) -> None:
    found = opened_as(tmp_path, net=Prompted(threshold=0.999)).predict(FILM)
    assert found.positive
    assert [one.area_px for one in found.lesions] == [0, 0]
    assert found.note == "Nothing was outlined in 2 of 2 boxes."
    first = found.lesions[0]
    assert first.prompt is not None
    assert first.box == tuple(int(v) for v in first.prompt)


def test_a_hundred_boxes_are_the_most(tmp_path: Path) -> None:
    net = Finder(
        ("A", "B", "C"), (8.0,) * 3, (-4.0,) * 3, (0.5,) * 3, DetectionRules(1.0, 147, 100)
    )
    found = opened_as(tmp_path, net).predict(boxes.spots((0, 0, 64, 64)))
    assert len(found.lesions) == 100
    assert "Only the 100 surest boxes are told; there may be more." in found.note


def test_maps_are_the_probability_of_what_is_outlined(tmp_path: Path) -> None:
    opened = opened_as(tmp_path, BOTH)
    film = boxes.spots((0, 0, 32, 64))
    told = opened.explain(film, MapRequest(label="BRIGHT"))
    assert (told.method, told.label, told.sign) == ("probability", "BRIGHT", 1)
    laid = on_film(told, film, opened.input)
    assert laid[:, :28].mean() > 0.5 > laid[:, 36:].mean()
    dark = opened.explain(film, MapRequest(label="DARK"))
    assert dark.map.max() < 0.5
    none = opened.explain(boxes.spots((0, 0, 64, 64)), MapRequest(label="DARK"))
    assert none.note == "No box of this label reached its threshold."
    with pytest.raises(ExplanationError, match="has no class 'OBJECT'"):
        opened.explain(film, MapRequest(label="OBJECT"))
    with pytest.raises(ExplanationError, match="It offers probability"):
        opened.explain(film, MapRequest(method="occlusion"))
    offered = {o.method for o in offers(opened) if o.available}
    assert offered == {o.method for o in bundle_offers(opened.bundle) if o.available}
    assert offered == {"probability"}


def test_it_finds_the_boxes_itself(opened: Lesions) -> None:
    with pytest.raises(TensorError, match="found 1 boxes, expected none"):
        opened.predict(FILM, ((0.0, 0.0, 8.0, 8.0),))


def test_members_of_other_kinds_are_refused(tmp_path: Path) -> None:
    parts = boxes.lesions(tmp_path / "ok")
    members = {member.role: bundle for member, bundle in parts.members()}
    mask = tiny.masks(tmp_path / "mask")
    wrong = tiny.pipeline(
        tmp_path / "a", "l", boxes.LESIONS,
        [("detector", members["detector"]), ("segmenter", mask)], "segmentation",
    )  # fmt: skip
    with pytest.raises(ArtifactError, match="of the task segmentation; expected promptable"):
        wrong.predictor(threads=1)
    wrong = tiny.pipeline(
        tmp_path / "b", "l", boxes.LESIONS,
        [("detector", mask), ("segmenter", members["segmenter"])], "segmentation",
    )  # fmt: skip
    with pytest.raises(ArtifactError, match="'tiny-lungs' gives segmentation of film; expected"):
        wrong.predictor(threads=1)


def test_a_pipeline_needs_both_members(tmp_path: Path) -> None:
    found: Bundle = boxes.detector(tmp_path / "d")
    with pytest.raises(SchemaError, match=r"has roles \{'detector': 1\}; expected"):
        tiny.pipeline(tmp_path / "p", "l", boxes.LESIONS, [("detector", found)], "segmentation")
    rules = replace(boxes.LESIONS, crop=CropRule())
    with pytest.raises(SchemaError, match="of kind 'lesions' has no rule `crop`"):
        tiny.pipeline(
            tmp_path / "r", "l", rules,
            [("detector", found), ("segmenter", boxes.promptable(tmp_path / "s"))], "segmentation",
        )  # fmt: skip


def test_a_letterbox_and_a_stretch_point_to_the_same_place(tmp_path: Path) -> None:
    film = boxes.spots((16, 40, 48, 72), size=(96, 64))
    found = opened_as(tmp_path).predict(film)
    (one,) = found.lesions
    truth = np.zeros((96, 64), bool)
    truth[40:72, 16:48] = True
    assert found.mask.any()
    assert truth[found.mask].all()
    assert one.prompt is not None
    assert found.mask.sum() > 0.9 * 0.5 * (one.prompt[2] - one.prompt[0]) ** 2
