"""What changed between two bundles, in words and in decisions."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_bundles as tiny
from PIL import Image
from tiny_bundles import Scores

from clinicedge.profiles.bundle_diff import compare
from clinicedge.profiles.changed_decisions import changed_decisions
from clinicedge.profiles.splits import part_of, patient_key
from clinicedge.runtime import Bundle
from clinicedge.runtime.errors import ArtifactError, DataError
from clinicedge.runtime.figures import Accuracy, Figure, Flips
from clinicedge.runtime.manifest import DataHygiene, DataPart, FloatLayer, artifact_sha256

FIGURE = Figure(0.95, 0.92, 0.97, 400, 300)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny.binary(tmp_path_factory.mktemp("one") / "tiny")


def quiet(_done: int, _total: int, _what: str) -> None:
    pass


def words(one: Bundle, other: Bundle) -> list[str]:
    return [c.words for c in compare(one, other).changes]


def test_a_bundle_and_itself(one: Bundle) -> None:
    found = compare(one, one)
    assert found.same
    assert found.changes == ()


def test_labels_input_and_thresholds(one: Bundle, tmp_path: Path) -> None:
    net = Scores(labels=("PNEUMONIA", "NORMAL"), thresholds=(0.25,), side=64)
    told = words(one, tiny.binary(tmp_path / "tiny", net=net))
    assert "input.height: 32 → 64" in told
    assert (
        "labels of logits: NORMAL, PNEUMONIA → PNEUMONIA, NORMAL; their order says what a score "
        "means" in told
    )
    assert "threshold of onnx/fp32 PNEUMONIA f32: 0.5 → none" in told
    assert "threshold of onnx/fp32 NORMAL f32: none → 0.25" in told
    assert any(t.startswith("sha256 of onnx/fp32: ") for t in told)


def test_accuracy_flips_float_layers_and_patients(one: Bundle, tmp_path: Path) -> None:
    """Two manifests that differ in what convert measured."""
    found = []
    for number, (share, flips, layers, patients) in enumerate(
        ((0.95, 2, ("conv1",), "aa bb"), (0.94, 6, ("conv1", "conv2"), "bb cc dd"))
    ):
        figure = replace(FIGURE, value=share)
        accuracy = Accuracy("d", "guard", "f32", 0.5, figure, figure, FIGURE, FIGURE)
        (artifact,) = one.manifest.artifacts
        files = tuple(
            replace(f, bytes=f.bytes * (number + 1), sha256=f"{number}" * 64)
            for f in artifact.graphs[0].files
        )
        artifact = replace(
            artifact,
            sha256=artifact_sha256(files),
            graphs=(replace(artifact.graphs[0], files=files),),
            accuracy=(accuracy,),
            flips=(Flips("PNEUMONIA", "d", "guard", 400, flips, 0, 0, flips, 0.5),),
            float_layers=tuple(FloatLayer(name, "cost most") for name in layers),
        )
        part = DataPart("train", 3, len(patients.split()), patients)
        manifest = replace(
            one.manifest,
            artifacts=(artifact,),
            thresholds=tuple(replace(t, artifact_sha256="") for t in one.manifest.thresholds),
            data=(DataHygiene("d", "split", (part,)),),
        )
        found.append(tiny.write(tmp_path / str(number), manifest))
    told = words(*found)
    assert any("(+100.0 %)" in t and "bytes" in t for t in told)
    assert "layers of onnx/fp32 left in float: 1 → 2; float now: conv2" in told
    assert any(
        t.startswith("sensitivity of onnx/fp32 f32 on d/guard: 0.9500") and "(-1.00 points)" in t
        for t in told
    )
    assert (
        "onnx/fp32 decides otherwise than FP32 (PNEUMONIA d guard): 2 to positive, 0 to negative "
        "of 400 → 6 to positive, 0 to negative of 400" in told
    )
    assert "patients of d/train: 2 → 3 (2 new, 1 gone)" in told
    assert not any(t.startswith("specificity") for t in told)


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """Films of patients of the guard part, from dark to bright; one of another part."""
    root = tmp_path / "films"
    root.mkdir()
    numbers = (str(n) for n in range(10_000))
    guard = [n for n in numbers if part_of(patient_key("films", "train", n)) == "guard"][:8]
    rows = []
    for i, patient in enumerate(guard):
        name = f"{patient}.png"
        Image.fromarray(tiny.film(np.full((40, 40), i * 32)).pixels).save(root / name)
        rows.append((name, "PNEUMONIA" if i >= 4 else "NORMAL", patient, "train"))
    with (root / "manifest.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("file", "label", "patient", "split"), *rows])
    return root


def test_changed_decisions_are_listed_film_by_film(
    one: Bundle, films: Path, tmp_path: Path
) -> None:
    """A threshold of .9 instead of .5: the grey films change sides, rightly or not."""
    other = tiny.binary(tmp_path / "b", net=Scores(thresholds=(0.9,)))
    found = changed_decisions(one, other, films, "auto", quiet)
    assert (found.n_films, found.one, found.other) == (8, "onnx/fp32", "onnx/fp32")
    assert found.changed
    assert {(c.before, c.after) for c in found.changed} == {("PNEUMONIA", "NORMAL")}
    assert all(0.5 <= (c.score_before or 0) < 0.9 for c in found.changed)
    assert found.spoilt == sum(c.truth == "PNEUMONIA" for c in found.changed) > 0
    assert found.mended == len(found.changed) - found.spoilt
    assert found.p is not None


def test_another_question_is_not_compared(one: Bundle, films: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="expected the same question"):
        changed_decisions(tiny.masks(tmp_path / "a"), one, films, "auto", quiet)


def test_a_folder_without_films_of_the_guard_part(one: Bundle, films: Path) -> None:
    numbers = (str(n) for n in range(10_000))
    train = next(n for n in numbers if part_of(patient_key("films", "train", n)) == "train")
    file = next(films.glob("*.png")).name
    (films / "manifest.csv").write_text(
        f"file,label,patient,split\n{file},NORMAL,{train},train\n", encoding="utf-8"
    )
    with pytest.raises(DataError, match="no film in part 'guard'"):
        changed_decisions(one, one, films, "auto", quiet)
