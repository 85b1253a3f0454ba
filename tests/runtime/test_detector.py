"""A detector in its engine: what it answers, what it says of nothing, and what it refuses."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_boxes as boxes
import tiny_bundles as tiny
from tiny_boxes import Finder

from clinicedge.runtime import Bundle
from clinicedge.runtime.acceptance import check_acceptance
from clinicedge.runtime.detector import Detector
from clinicedge.runtime.errors import ArtifactError, OutsideUseError, TensorError
from clinicedge.runtime.explanations import MapRequest
from clinicedge.runtime.manifest import Manifest
from clinicedge.runtime.nms import probability
from clinicedge.runtime.predictions_json import prediction_json
from clinicedge.runtime.spec import DetectionRules
from clinicedge.runtime.trial import Trial, run

BOTH = Finder(("BRIGHT", "DARK"), (8.0, -8.0), (-4.0, -4.0), (0.5, 0.5))


@pytest.fixture
def opened(tmp_path: Path) -> Detector:
    return opened_as(tmp_path, Finder())


def opened_as(folder: Path, net: Finder) -> Detector:
    found = boxes.opened(boxes.detector(folder, net=net))
    assert isinstance(found, Detector)
    return found


def test_boxes_are_told_in_pixels_of_the_film(opened: Detector) -> None:
    # 64 x 128 becomes 16 x 32 in the middle of the letterbox: four film pixels a pixel of it.
    film = boxes.spots((32, 0, 64, 32), size=(64, 128))
    found = opened.predict(film)
    assert found.positive
    (box,) = found.boxes
    assert box.label == found.label == "TUMOUR"
    assert box.box == (32.0, 0.0, 64.0, 32.0)
    assert box.score == found.score > 0.9
    assert (box.threshold, found.threshold, found.note) == (0.5, 0.5, "")
    assert (found.height, found.width) == (64, 128)
    assert (opened.kind, opened.labels, opened.positive_label) == ("detection", ("TUMOUR",), None)


def test_what_sticks_out_of_the_film_is_cut(tmp_path: Path) -> None:
    opened = opened_as(tmp_path, Finder(offsets=(0.0,)))
    # 64 x 120 becomes 17 x 32 from row 7 on; the window of rows 4 to 12 begins above the film.
    (box,) = opened.predict(boxes.spots((0, 0, 34, 20), size=(64, 120))).boxes
    assert box.box == pytest.approx((0.0, 0.0, 30.0, 5 / 17 * 64))


def test_an_empty_film_is_explained(opened: Detector) -> None:
    found = opened.predict(boxes.spots())
    assert not found.positive
    assert found.boxes == ()
    assert found.label == "TUMOUR"
    assert 0 < found.score < 0.001
    assert found.note.startswith("No box reached its threshold: the surest, of TUMOUR, has 0.000")
    told = prediction_json(found)
    assert told["kind"] == "detection"
    assert told["boxes"] == []
    assert told["note"] == found.note


def test_every_label_has_its_own_threshold_and_boxes(tmp_path: Path) -> None:
    opened = opened_as(tmp_path, BOTH)
    found = opened.predict(boxes.spots((0, 0, 32, 64)))
    assert {b.label for b in found.boxes} == {"BRIGHT", "DARK"}
    for box in found.boxes:
        assert (box.box[0] >= 32) == (box.label == "DARK")
    assert [b.score for b in found.boxes] == sorted((b.score for b in found.boxes), reverse=True)
    assert found.score == found.boxes[0].score
    assert prediction_json(found)["boxes"][0]["label"] == found.boxes[0].label


def test_as_many_as_the_rules_allow_and_no_more(tmp_path: Path) -> None:
    net = Finder(rules=DetectionRules(1.0, 40, 6))
    found = opened_as(tmp_path, net).predict(boxes.spots((0, 0, 64, 64)))
    assert len(found.boxes) == 6
    assert found.note == "Only the 6 surest boxes are told; there may be more."


def test_the_raw_answer_is_the_network_s(opened: Detector) -> None:
    film = tiny.noise(3)
    raw = opened.run(film)
    assert raw["boxes"][0].tolist() == boxes.windows().tolist()
    best = probability(raw["scores"][0]).max()
    assert opened.predict(film).score <= best


def test_a_map_is_of_the_surest_box(opened: Detector) -> None:
    told = opened.explain(boxes.spots((32, 32, 56, 56)))
    assert (told.method, told.label, told.sign) == ("occlusion", "TUMOUR", 1)
    rows, columns = np.nonzero(told.map > 0.5)
    side = len(told.map)
    assert min(rows.min(), columns.min()) >= side // 3
    with pytest.raises(ArtifactError, match="has no class 'CAT'"):
        opened.explain(boxes.spots(), MapRequest(label="CAT"))


def test_a_detector_takes_no_boxes_and_no_other_films(opened: Detector) -> None:
    with pytest.raises(TensorError, match="found 1 boxes, expected none"):
        opened.predict(boxes.spots(), ((0, 0, 4, 4),))
    film = boxes.spots()
    other = replace(film, source=replace(film.source, modality="MR"))
    with pytest.raises(OutsideUseError):
        opened.predict(other)


def test_values_that_are_no_numbers_are_refused(opened: Detector) -> None:
    class Broken:
        inputs = outputs = ()
        report = opened.report.session

        def run(self, tensors: object) -> dict[str, np.ndarray]:
            return {
                "scores": np.full((1, 49, 1), np.nan, np.float32),
                "boxes": boxes.windows()[None],
            }

    opened._session = Broken()  # type: ignore[assignment]
    with pytest.raises(TensorError, match="no numbers; expected boxes and logits"):
        opened.predict(boxes.spots())


def changed(bundle: Bundle, output: str, place: int, by: float) -> Bundle:
    """The bundle with one recorded value of its first film moved."""
    acceptance = bundle.manifest.acceptance
    assert acceptance is not None
    film, *others = acceptance.films
    expected = []
    for one in film.expected:
        values = list(one.values)
        if one.output == output:
            values[place] += by
        expected.append(replace(one, values=tuple(values)))
    films = (replace(film, expected=tuple(expected)), *others)
    manifest: Manifest = replace(bundle.manifest, acceptance=replace(acceptance, films=films))
    return tiny.write(bundle.folder, manifest)


@pytest.mark.parametrize(
    ("output", "place", "by", "words"),
    [
        ("boxes", 5, 0.5, "boxes differ by 0.5"),
        ("scores", 3, 0.1, "scores differ by 0.1"),
        # 49 means, the largest logit, the share of boxes.
        ("scores", 49, -0.4, "scores differ by 0.4"),
        ("scores", 50, 0.3, "the decision differs"),
    ],
)
def test_a_machine_that_answers_otherwise_is_found_out(
    tmp_path: Path, output: str, place: int, by: float, words: str
) -> None:
    wrong = changed(boxes.detector(tmp_path), output, place, by)
    outcome = run(Trial(str(wrong.folder), wrong.id, "onnx/fp32", "f32", "onnxruntime"))
    problems = [film.problem for film in outcome.films]
    assert words in problems[output == "boxes"]
    assert [bool(p) for p in problems].count(True) == 1


def test_a_machine_that_answers_as_recorded_opens_it(tmp_path: Path) -> None:
    bundle = boxes.detector(tmp_path)
    opened = bundle.predictor(threads=1)
    assert isinstance(opened, Detector)
    result = check_acceptance(bundle, "onnx/fp32")
    assert result.passed
    # Scores and boxes of two films.
    assert len(result.films) == 4
