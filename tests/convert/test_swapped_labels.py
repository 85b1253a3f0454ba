"""Labels in another order than the network's: told at conversion, refused on the device."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from clinicedge.convert import Conversion, ConvertOptions, Source, convert_model, notes
from clinicedge.runtime import load
from clinicedge.runtime.acceptance import check_acceptance
from clinicedge.runtime.recorded_values import label_scores


def test_each_record_says_what_its_values_are_scores_of(converted: Conversion) -> None:
    manifest = converted.manifest
    assert manifest.acceptance is not None
    output = manifest.outputs[0]
    for film in manifest.acceptance.films:
        for expected in film.expected:
            assert expected.labels == output.labels
            assert expected.scores == label_scores(output, expected.values)
    assert not [note for note in converted.notes if "swapped" in note]


@pytest.mark.parametrize("artifact", ["onnx/fp32", "tflite/int8-guarded"])
def test_a_bundle_with_swapped_labels_is_not_accepted(
    converted: Conversion, tmp_path: Path, artifact: str
) -> None:
    folder = shutil.copytree(converted.folder, tmp_path / "swapped")
    raw = json.loads((folder / "bundle.json").read_bytes())
    raw["outputs"][0]["labels"].reverse()
    (folder / "bundle.json").write_text(json.dumps(raw), encoding="utf-8")
    result = check_acceptance(load(folder), artifact)
    assert not result.passed
    assert "recorded were NORMAL, PNEUMONIA" in result.explain()


def test_an_auc_below_chance_is_told(converted: Conversion, source: Source) -> None:
    manifest = converted.manifest
    fp32 = manifest.artifacts[0]
    auc = replace(fp32.accuracy[0].auc, value=0.031, low=0.0, high=0.12)
    worse = replace(fp32, accuracy=(replace(fp32.accuracy[0], auc=auc),))
    assert notes.of_labels(source.spec, manifest) == ()
    (note,) = notes.of_labels(source.spec, replace(manifest, artifacts=(worse,)))
    assert note == (
        "labels may be swapped: the AUC of onnx/fp32 is 0.031 (0.000-0.120) on guard of phantoms, "
        "below chance. Are the network's scores in the order NORMAL, PNEUMONIA?"
    )


@pytest.mark.slow
def test_convert_says_that_labels_may_be_swapped(
    source: Source, options: ConvertOptions, tmp_path: Path
) -> None:
    spec = source.spec
    first = replace(spec.outputs[0], labels=spec.outputs[0].labels[::-1])
    theirs = replace(source, spec=replace(spec, name="theirs", outputs=(first, *spec.outputs[1:])))
    small = replace(options, out=tmp_path, formats=("onnx",), precisions=("fp32",))
    (note,) = [n for n in convert_model(theirs, small).notes if "swapped" in n]
    assert note.startswith("labels may be swapped: the AUC of onnx/fp32 is 0.")
    assert note.endswith("in the order PNEUMONIA, NORMAL?")
