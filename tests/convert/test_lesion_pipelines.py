"""Lesion pipelines: the zoo's by name, and what a bundle of two models says of both."""

from dataclasses import replace
from pathlib import Path

import pytest
import tiny_boxes
import tiny_bundles as tiny

from clinicedge.convert import ConvertOptions, convert
from clinicedge.convert.matrix_cells import empty_row
from clinicedge.convert.pipeline_bundles import lesions, write_pipeline
from clinicedge.convert.pipelines import LESIONS, default_names, is_pipeline, members_of
from clinicedge.convert.recipes import Recipe
from clinicedge.models import weights, zoo
from clinicedge.runtime.bundle import Bundle
from clinicedge.runtime.errors import WeightsMissingError


@pytest.mark.parametrize("name", LESIONS)
def test_the_zoo_has_lesion_pipelines(name: str) -> None:
    assert is_pipeline(name)
    assert name in default_names()
    detector, segmenter = map(zoo.spec, members_of(name))
    assert (detector.task, segmenter.task) == ("detection", "promptable-segmentation")
    # A lesion has the label of the box that found it.
    assert detector.outputs[0].labels == segmenter.outputs[0].labels
    row = empty_row(name, (Recipe("onnx", "fp32"),), "missing", "no weights")
    assert (row.task, row.kind, row.members) == ("segmentation", "pipeline", members_of(name))


def test_a_member_without_weights_is_named_before_the_long_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "CLONE_FOLDER", tmp_path)
    detector, segmenter = LESIONS["lesion-segmenter"]
    # Whoever has the detector's alone must not wait for its conversion to hear of the other.
    (tmp_path / f"{detector}.safetensors").write_bytes(b"")
    with pytest.raises(WeightsMissingError, match=f"clinicedge train {segmenter}"):
        convert("lesion-segmenter", ConvertOptions(tmp_path / "out", ("onnx",), ("fp32",)))


def licensed(bundle: Bundle, licence: str) -> Path:
    """The bundle's folder, under another licence."""
    return tiny.write(bundle.folder, replace(bundle.manifest, licence=licence)).folder


def test_every_member_s_licence_reaches_the_pipeline(tmp_path: Path) -> None:
    detector = licensed(tiny_boxes.detector(tmp_path / "d"), "Apache-2.0")
    segmenter = tiny_boxes.promptable(tmp_path / "s")
    one = write_pipeline(lesions("one", detector, licensed(segmenter, "Apache-2.0")), tmp_path)
    assert one.manifest.licence == "Apache-2.0"
    two = write_pipeline(lesions("two", detector, licensed(segmenter, "CC BY-SA 4.0")), tmp_path)
    assert two.manifest.licence == "tiny-boxes: Apache-2.0 | tiny-prompted: CC BY-SA 4.0"
