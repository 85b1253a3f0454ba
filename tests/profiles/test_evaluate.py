"""Figures on a data folder; patients that the bundle has seen are refused."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from clinicedge.profiles.datasets import read_dataset
from clinicedge.profiles.evaluate import evaluate, keep
from clinicedge.profiles.evaluation import Question, Wanted
from clinicedge.runtime import read_film
from clinicedge.runtime.bundle import Bundle
from clinicedge.runtime.classifier import as_classifier
from clinicedge.runtime.errors import DataError, FilmError, OverlapError
from clinicedge.runtime.figures import Part
from clinicedge.runtime.manifest import DataHygiene, DataPart

ONNX = ("onnx/int8-guarded",)
Folder = Callable[[str], Path]


def silent(_done: int, _total: int, _what: str) -> None:
    pass


def trained_on(bundle: Bundle, folder: Path, part: Part, official: str) -> Bundle:
    """The bundle as if the official part of that folder had been used as `part`."""
    data = read_dataset(folder)
    chosen = replace(data, films=tuple(f for f in data.films if f.official == official))
    keys = chosen.key_hashes()
    hygiene = DataHygiene(
        "phantoms", "rule", (DataPart(part, len(chosen.films), len(keys), " ".join(keys)),)
    )
    return replace(bundle, manifest=replace(bundle.manifest, data=(hygiene,)))


def test_other_data_is_read_whole_and_every_artifact_scored(
    bundle: Bundle, phantom_data: Folder
) -> None:
    steps: list[str] = []
    report = evaluate(
        bundle, phantom_data("other"), Question(), lambda _d, _t, what: steps.append(what)
    )
    assert [p.part for p in report.parts] == ["all"]
    part = report.parts[0]
    assert (part.n_films, part.n_positive, part.n_patients) == (16, 8, 16)
    assert {r.artifact for r in part.rows} == {a.id for a in bundle.manifest.artifacts}
    assert not report.skipped
    assert set(steps) == {"reading films", *(a.id for a in bundle.manifest.artifacts)}
    reference = next(r for r in part.rows if r.artifact == part.reference)
    assert (reference.flips, reference.agreement) == (0, 1.0)
    for row in part.rows:
        compute = bundle.artifact(row.artifact).computes[0]
        assert row.threshold == bundle.threshold(row.artifact, compute, "PNEUMONIA")
        assert row.agreement == pytest.approx(1 - row.flips / 16)
        assert row.figures.accuracy.low <= row.figures.accuracy.value <= row.figures.accuracy.high


def test_the_figures_are_those_of_the_predictor(bundle: Bundle, phantom_data: Folder) -> None:
    folder = phantom_data("other")
    report = evaluate(bundle, folder, Question(artifacts=ONNX), silent)
    predictor = as_classifier(bundle.predictor(precision=ONNX[0]))
    films = read_dataset(folder).films
    right = [
        predictor.predict(read_film(f.path)).positive == (f.label == "PNEUMONIA") for f in films
    ]
    assert report.parts[0].rows[0].figures.accuracy.value == pytest.approx(sum(right) / len(right))


@pytest.mark.parametrize("part", ["train", "select", "guard"])
def test_patients_the_bundle_has_seen_are_refused_by_name(
    bundle: Bundle, phantom_data: Folder, part: Part
) -> None:
    folder = phantom_data("mine")
    seen = trained_on(bundle, folder, part, "train")
    keys = read_dataset(folder).key_hashes()
    with pytest.raises(OverlapError, match=f"12 of them are in part '{part}'") as caught:
        evaluate(seen, folder, Question(parts=("all",), artifacts=ONNX), silent)
    assert any(key in str(caught.value) for key in keys)


def test_on_its_own_data_only_the_test_parts_are_read(bundle: Bundle, phantom_data: Folder) -> None:
    folder = phantom_data("mine")
    seen = trained_on(bundle, folder, "train", "train")
    # All phantoms of the official train part count as trained on, so `test` overlaps; asked for
    # by name, the official test films are clean.
    parts: tuple[Wanted, ...] = ("official-test", "official-test-new-patients")
    report = evaluate(seen, folder, Question(parts=parts, artifacts=ONNX), silent)
    assert [(p.part, p.n_films) for p in report.parts] == [(parts[0], 4), (parts[1], 2)]


def test_data_of_seen_patients_alone_is_refused_unasked(
    bundle: Bundle, phantom_data: Folder
) -> None:
    folder = phantom_data("mine")
    lines = (folder / "manifest.csv").read_text().splitlines()
    train = [line for line in lines if not line.endswith(",test")]
    (folder / "manifest.csv").write_text("\n".join(train))
    films = read_dataset(folder).films
    kept = {f.path.name for f in films if f.part == "train"}
    only_train = [train[0], *(line for line in train[1:] if line.split(",")[0] in kept)]
    (folder / "manifest.csv").write_text("\n".join(only_train))
    with pytest.raises(OverlapError, match="'all' of mine"):
        evaluate(trained_on(bundle, folder, "train", "train"), folder, Question(), silent)


def test_a_part_with_one_class_says_which(bundle: Bundle, phantom_data: Folder) -> None:
    folder = phantom_data("other")
    text = (folder / "manifest.csv").read_text().replace("PNEUMONIA", "NORMAL")
    (folder / "manifest.csv").write_text(text)
    with pytest.raises(DataError, match=r"part 'all'.*negative"):
        evaluate(bundle, folder, Question(artifacts=ONNX), silent)


def test_an_empty_part_and_a_damaged_film_are_refused(bundle: Bundle, phantom_data: Folder) -> None:
    folder = phantom_data("other")
    text = (folder / "manifest.csv").read_text().replace(",test", ",train")
    (folder / "manifest.csv").write_text(text)
    with pytest.raises(DataError, match="no film in part 'official-test'"):
        evaluate(bundle, folder, Question(parts=("official-test",)), silent)
    (folder / "03.png").write_bytes(b"")
    with pytest.raises(FilmError, match=r"03\.png"):
        evaluate(bundle, folder, Question(), silent)


def test_an_artifact_that_does_not_run_is_skipped_with_its_reason(
    bundle: Bundle, phantom_data: Folder
) -> None:
    path = bundle.folder / bundle.artifact("openvino/int8-guarded").graphs[0].files[0].path
    path.write_bytes(path.read_bytes() + b" ")
    report = evaluate(
        bundle,
        phantom_data("other"),
        Question(artifacts=("onnx/int8-guarded", "openvino/int8-guarded")),
        silent,
    )
    assert [r.artifact for r in report.parts[0].rows] == ["onnx/int8-guarded"]
    assert [s.artifact for s in report.skipped] == ["openvino/int8-guarded"]
    assert "changed" in report.skipped[0].reason


def test_the_report_is_kept_one_file_an_artifact(bundle: Bundle, phantom_data: Folder) -> None:
    report = evaluate(bundle, phantom_data("other"), Question(artifacts=ONNX), silent)
    (path,) = keep(bundle, report)
    assert path.name == f"{bundle.artifact(ONNX[0]).sha256}-accuracy-other.json"
    kept = json.loads(path.read_bytes())
    assert kept["parts"][0]["rows"][0]["artifact"] == "onnx/int8-guarded"
    assert kept["bundle_id"] == bundle.id


@pytest.mark.reference_data
def test_real_films_of_training_patients_are_refused(bundle: Bundle, data_root: Path) -> None:
    folder = data_root / "kermany224"
    data = read_dataset(folder).hygiene_record()
    seen = replace(bundle, manifest=replace(bundle.manifest, data=(data,)))
    with pytest.raises(OverlapError, match="'train' of kermany224"):
        evaluate(seen, folder, Question(parts=("train",), artifacts=ONNX), silent)
