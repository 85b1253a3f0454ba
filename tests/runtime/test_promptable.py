"""A promptable model: two graphs asked as one, a region a box, and what is refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_boxes as boxes
import tiny_bundles as tiny

from clinicedge.runtime import Bundle, Segmentation
from clinicedge.runtime.acceptance import check_acceptance
from clinicedge.runtime.errors import ExplanationError, TensorError
from clinicedge.runtime.explanations import check_request
from clinicedge.runtime.explanations.records import USUAL
from clinicedge.runtime.graphs import TwoGraphs, open_artifact
from clinicedge.runtime.pack import pack, unpack
from clinicedge.runtime.predictions_json import prediction_json
from clinicedge.runtime.promptable import PromptableSegmenter
from clinicedge.runtime.session import SessionOptions
from clinicedge.runtime.trial import Trial, run

FILM = boxes.spots((8, 8, 28, 24), (40, 40, 60, 60))


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return boxes.promptable(tmp_path / "b")


@pytest.fixture
def opened(bundle: Bundle) -> PromptableSegmenter:
    found = boxes.opened(bundle)
    assert isinstance(found, PromptableSegmenter)
    return found


def test_a_region_a_box_in_their_order(opened: PromptableSegmenter) -> None:
    asked = ((36.0, 36.0, 64.0, 64.0), (4.0, 4.0, 32.0, 28.0), (30.0, 0.0, 36.0, 6.0))
    found = opened.predict(FILM, asked)
    assert [one.prompt for one in found.lesions] == list(asked)
    right, left, none = found.lesions
    assert right.location == ("lower", "right")
    assert left.location == ("upper", "left")
    assert none.area_px == 0
    assert none.outline == ()
    assert found.note == "Nothing was outlined in 1 of 3 boxes."
    assert found.positive
    assert found.mask.sum() == right.area_px + left.area_px
    assert (found.raw == found.mask).all()
    assert right.area_mm2 == right.area_px * 0.125
    assert found.score == pytest.approx(float(found.probability.max()))
    assert all(one.quality is not None and 0 <= one.quality <= 1 for one in found.lesions)
    assert (opened.kind, found.label, found.score_of) == ("segmentation", "OBJECT", "mask")
    told = prediction_json(found)
    assert told["lesions"][2]["prompt"] == [30.0, 0.0, 36.0, 6.0]
    assert told["lesions"][0]["confidence"] is None


def test_several_boxes_share_one_encoding(opened: PromptableSegmenter) -> None:
    asked = ((36.0, 36.0, 64.0, 64.0), (4.0, 4.0, 32.0, 28.0))
    graphs = opened._graphs
    counted = Counted(graphs._encoder)
    graphs._encoder = counted
    both = opened.predict(FILM, asked)
    assert counted.runs == 1
    for number, box in enumerate(asked):
        alone = opened.predict(FILM, (box,))
        assert alone.lesions == (both.lesions[number],)
    assert counted.runs == 3


class Counted:
    """A session that counts."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.runs = inner, 0
        self.inputs, self.outputs, self.report = inner.inputs, inner.outputs, inner.report

    def run(self, tensors: Any) -> dict[str, np.ndarray]:
        self.runs += 1
        found: dict[str, np.ndarray] = self.inner.run(tensors)
        return found


def test_two_graphs_are_a_session(bundle: Bundle) -> None:
    session = open_artifact(bundle.files("onnx/fp32"), SessionOptions("f32", 1))
    assert isinstance(session, TwoGraphs)
    assert [t.name for t in session.inputs] == ["film", "box"]
    assert [t.name for t in session.outputs] == ["mask", "quality"]
    assert session.report.compute == "f32"
    film = np.ones((1, 3, 32, 32), np.float32)
    box = np.array([[4.0, 4.0, 20.0, 12.0]], np.float32)
    one = session.run({"film": film, "box": box})
    assert one["mask"].shape == (1, 1, 8, 8)
    # The cell of 4..8: 2 pixels from the left edge, white everywhere.
    assert one["mask"][0, 0, 1, 1] == 2.0
    many = session.run_boxes(film, np.repeat(box, 3, axis=0))
    assert many["mask"].shape == (3, 1, 8, 8)
    assert many["quality"].shape == (3, 1)
    assert (many["mask"] == one["mask"]).all()
    with pytest.raises(TensorError, match="expected 'box'"):
        session.run({"film": film})


def test_a_graph_left_in_float_is_opened_in_float(bundle: Bundle) -> None:
    artifact = bundle.manifest.artifacts[0]
    encoder, decoder = artifact.graphs
    mixed = replace(artifact, graphs=(replace(encoder, precision="int8"), decoder))
    files = replace(bundle.files("onnx/fp32"), artifact=mixed)
    session = open_artifact(files, SessionOptions("int8", 1))
    assert isinstance(session, TwoGraphs)
    assert session.report.compute == "int8"
    assert session._decoder.report.compute == "f32"


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ((), "found 0, expected 1 to 100"),
        (((0.0, 0.0, 8.0, 8.0),) * 101, "found 101"),
        (((60.0, 60.0, 70.0, 70.0),), "is not on the film"),
        (((8.0, 8.0, 8.0, 20.0),), "has no area"),
    ],
)
def test_other_boxes_are_refused(
    opened: PromptableSegmenter, asked: tuple[tuple[float, ...], ...], words: str
) -> None:
    with pytest.raises(TensorError, match=words):
        opened.predict(FILM, asked)


def test_a_map_needs_a_pipeline(opened: PromptableSegmenter) -> None:
    with pytest.raises(ExplanationError, match="Ask a pipeline that finds the boxes"):
        opened.explain(FILM)
    with pytest.raises(ExplanationError, match="Ask a pipeline that finds the boxes"):
        check_request(opened, USUAL)


def test_the_same_in_openvino(tmp_path: Path) -> None:
    bundle = boxes.promptable(tmp_path, formats=("onnx", "openvino"))
    asked = ((4.0, 4.0, 32.0, 28.0),)
    one, other = (
        boxes.opened(bundle, f"{name}/fp32").predict(FILM, asked) for name in ("onnx", "openvino")
    )
    assert isinstance(one, Segmentation)
    assert isinstance(other, Segmentation)
    assert np.abs(one.probability - other.probability).max() < 1e-5
    assert one.lesions[0].outline == other.lesions[0].outline


def test_acceptance_asks_with_the_recorded_boxes(tmp_path: Path, bundle: Bundle) -> None:
    acceptance = bundle.manifest.acceptance
    assert acceptance is not None
    assert isinstance(bundle.predictor(threads=1), PromptableSegmenter)
    result = check_acceptance(bundle, "onnx/fp32")
    assert result.passed
    assert len(result.films) == 2
    # Two boxes: 64 means each, then 2 shares.
    assert len(acceptance.films[0].expected[0].values) == 130
    moved = tuple(
        replace(f, boxes=(f.boxes[0], (20.5, 8.25, 40.0, 24.0))) for f in acceptance.films
    )
    wrong = tiny.write(
        bundle.folder, replace(bundle.manifest, acceptance=replace(acceptance, films=moved))
    )
    outcome = run(Trial(str(wrong.folder), wrong.id, "onnx/fp32", "f32", "onnxruntime"))
    assert all(film.problem for film in outcome.films)


def test_packed_and_unpacked(tmp_path: Path, bundle: Bundle) -> None:
    packed = pack(bundle, tmp_path / "b.tar")
    again = unpack(packed.file, tmp_path / "out").bundle
    assert again.id == bundle.id
    again.check_all()
    assert boxes.opened(again).predict(FILM, ((4.0, 4.0, 32.0, 28.0),)) is not None
