"""Figures of findings, masks, and pipelines as a whole."""

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_bundles import Scores, binary, chest, film, findings, masks, on_lungs, pipeline, write

from clinicedge.profiles.datasets import read_dataset
from clinicedge.profiles.evaluate import evaluate, keep
from clinicedge.profiles.evaluation import EvaluationReport, Question
from clinicedge.profiles.mask_metrics import evaluate_masks
from clinicedge.runtime import Film
from clinicedge.runtime.bundle import Bundle
from clinicedge.runtime.errors import DataError, DataManifestError, OverlapError, WholeFilmError
from clinicedge.runtime.manifest import DataHygiene, DataPart, PipelineRules, Threshold
from clinicedge.runtime.predictions import Segmentation

TYPES = ("BACTERIAL", "VIRAL")
CROPS = Scores(region="lungs")
CASCADE = PipelineRules("cascade", None, None, None)


def grey(value: int) -> Film:
    return film(np.full((64, 64), value, np.uint8))


def folder(
    root: Path, films: Sequence[tuple[Film, str]], head: str = "label", mask: str = ""
) -> Path:
    """A data folder: each film with the cells of `head`, a patient each, all of one origin."""
    root.mkdir()
    with (root / "manifest.csv").open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(("file", *head.split(","), "patient", "split", *([mask] if mask else [])))
        for number, (drawn, cells) in enumerate(films):
            Image.fromarray(drawn.pixels).save(root / f"{number}.png")
            more = [f"m{number}.png"] if mask else []
            rows.writerow((f"{number}.png", *cells.split(","), f"p{number}", "train", *more))
    return root


def run(bundle: Bundle, data: Path, question: Question | None = None) -> EvaluationReport:
    return evaluate(bundle, data, question or Question(), lambda _d, _t, _w: None)


def trained_on(bundle: Bundle, data: Path) -> Bundle:
    """The bundle, as if the folder's first three patients had trained it."""
    films = read_dataset(data).films[:3]
    keys = replace(read_dataset(data), films=films).key_hashes()
    part = DataPart("train", 3, 3, " ".join(keys))
    manifest = replace(bundle.manifest, data=(DataHygiene("x", "rule", (part,)),))
    return write(bundle.folder, manifest)


def test_each_finding_is_judged_on_its_own(tmp_path: Path) -> None:
    net = Scores((*TYPES, "OTHER"), (4.0, -4.0, 1.0), (0.0, 0.0, 0.0), (0.5, 0.5, 0.5))
    bundle = findings(tmp_path / "f", net=net)
    films = [(grey(230), "BACTERIAL"), (grey(200), ""), (grey(30), "VIRAL"), (grey(60), "VIRAL")]
    report = run(bundle, folder(tmp_path / "data", films, "findings"))
    (part,) = report.parts
    rows = {row.label: row for row in part.rows}
    assert report.kind == "findings"
    assert set(rows) == set(TYPES)
    assert (part.n_films, part.n_positive) == (4, 3)
    assert rows["VIRAL"].figures.accuracy.value == 1.0
    assert rows["BACTERIAL"].figures.accuracy.value == 0.75
    f1 = rows["BACTERIAL"].f1
    assert f1 is not None
    assert f1.value == pytest.approx(2 / 3)
    assert part.not_measured == ("OTHER: no film has it where it is known (4 films)",)
    assert len(keep(bundle, report)) == 1


CHESTS = [
    *[(chest(lungs=255, height=120 + n), "PNEUMONIA") for n in range(4)],
    *[(chest(lungs=165, height=120 + n), "NORMAL") for n in range(4)],
]
NO_LUNGS = (grey(20), "NORMAL")


@pytest.fixture
def lungs(tmp_path: Path) -> Bundle:
    return masks(tmp_path / "lungs")


@pytest.fixture
def chest_pipeline(tmp_path: Path, lungs: Bundle) -> Bundle:
    return on_lungs(tmp_path / "pipe", binary(tmp_path / "c", "tiny-lung-crop", CROPS), lungs)


def test_films_without_lungs_get_no_score_and_are_counted(
    chest_pipeline: Bundle, tmp_path: Path
) -> None:
    report = run(chest_pipeline, folder(tmp_path / "data", [*CHESTS, NO_LUNGS]))
    (row,) = report.parts[0].rows
    assert (row.artifact, row.no_score, report.n_films) == ("onnx/fp32", 1, 9)
    assert (row.figures.accuracy.value, row.figures.accuracy.n) == (1.0, 8)
    assert row.accuracy_with_no_score is not None
    assert row.accuracy_with_no_score.value == pytest.approx(8 / 9)
    assert row.accuracy_with_no_score.n == 9
    predictor = chest_pipeline.predictor(precision="onnx/fp32")
    assert row.artifact_sha256 == predictor.report.artifact_sha256
    (path,) = keep(chest_pipeline, report)
    assert path.name == f"{row.artifact_sha256}-accuracy-data.json"
    assert json.loads(path.read_bytes())["parts"][0]["rows"][0]["no_score"] == 1


def test_where_all_films_have_lungs_nothing_is_added(
    chest_pipeline: Bundle, tmp_path: Path
) -> None:
    (row,) = run(chest_pipeline, folder(tmp_path / "data", CHESTS)).parts[0].rows
    assert (row.no_score, row.accuracy_with_no_score) == (0, None)


def test_a_variant_that_a_member_lacks_is_named(tmp_path: Path, lungs: Bundle) -> None:
    both = binary(tmp_path / "c", "tiny-lung-crop", CROPS, ("onnx", "openvino"))
    report = run(on_lungs(tmp_path / "pipe", both, lungs), folder(tmp_path / "data", CHESTS))
    assert [r.artifact for r in report.parts[0].rows] == ["onnx/fp32"]
    assert [(s.artifact, s.reason) for s in report.skipped] == [
        ("openvino/fp32", "not made for tiny-lungs")
    ]


def test_patients_of_any_member_are_refused(tmp_path: Path, lungs: Bundle) -> None:
    data = folder(tmp_path / "data", CHESTS)
    classifier = binary(tmp_path / "c", "tiny-lung-crop", CROPS)
    with pytest.raises(OverlapError, match="3 of them are in part 'train' of 'tiny-on-lungs'"):
        run(
            on_lungs(tmp_path / "pipe", classifier, trained_on(lungs, data)),
            data,
            Question(parts=("all",)),
        )


def test_a_network_for_crops_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WholeFilmError, match="'tiny-on-lungs'"):
        run(
            binary(tmp_path / "c", "tiny-lung-crop", CROPS),
            folder(tmp_path / "data", CHESTS),
        )


def test_an_ensemble_is_a_classifier(tmp_path: Path) -> None:
    members = [binary(tmp_path / n, n, Scores(offsets=(0.0, o))) for n, o in (("a", 0), ("b", 1))]
    own = Threshold("onnx/fp32", "f32", "PNEUMONIA", 0.5, "by hand", "noise", "select", 1)
    bundle = pipeline(
        tmp_path / "e",
        "pair",
        PipelineRules("ensemble", None, None, own),
        [("member", m) for m in members],
    )
    films = [(grey(240), "PNEUMONIA"), (grey(10), "NORMAL"), (grey(20), "NORMAL")]
    (row,) = run(bundle, folder(tmp_path / "data", films)).parts[0].rows
    assert (row.threshold, row.figures.accuracy.value) == (0.5, 1.0)


def cascade(tmp_path: Path) -> Bundle:
    second = findings(tmp_path / "s", net=Scores(TYPES, (4.0, -4.0), (-2.0, 2.0), (0.5, 0.5)))
    members = (("first", binary(tmp_path / "b")), ("second", second))
    return pipeline(tmp_path / "cascade", "both", CASCADE, members)


CASES = [
    (grey(250), "PNEUMONIA,bacterial"),
    (grey(255), "PNEUMONIA,bacterial"),
    (grey(150), "PNEUMONIA,viral"),
    (grey(60), "PNEUMONIA,viral"),
    (grey(240), "PNEUMONIA,"),
    (grey(40), "NORMAL,"),
    (grey(30), "NORMAL,"),
]


def test_a_cascade_is_judged_stage_by_stage(tmp_path: Path) -> None:
    report = run(cascade(tmp_path), folder(tmp_path / "data", CASES, "label,subtype"))
    rows = {row.label: row for row in report.parts[0].rows}
    assert list(rows) == ["", *TYPES]
    assert report.parts[0].n_positive == 5
    assert (rows[""].figures.accuracy.n, rows[""].no_score) == (7, 0)
    assert rows[""].figures.sensitivity.value == pytest.approx(4 / 5)
    viral = rows["VIRAL"]
    # The film that the first stage missed never reached the second.
    assert (viral.figures.accuracy.n, viral.no_score) == (3, 1)
    assert viral.figures.accuracy.value == 1.0
    assert viral.accuracy_with_no_score is not None
    assert viral.accuracy_with_no_score.value == 0.75


def test_a_cascade_on_data_without_findings_judges_the_first_stage(tmp_path: Path) -> None:
    films = [(drawn, cells.split(",")[0]) for drawn, cells in CASES]
    part = run(cascade(tmp_path), folder(tmp_path / "data", films)).parts[0]
    assert [row.label for row in part.rows] == [""]
    assert [why.split(":")[0] for why in part.not_measured] == list(TYPES)


@pytest.fixture
def mask_data(tmp_path: Path) -> Path:
    """Films with bright fields and their true masks, one of them without."""
    films = [(chest(lungs=220, height=90 + 30 * n), "tumor") for n in range(3)]
    films.append((grey(20), "normal"))
    root = folder(tmp_path / "bones", films, mask="mask")
    for number, (drawn, _) in enumerate(films):
        truth = np.where(drawn.pixels > 200, 255, 0).astype(np.uint8)
        truth[:5, :5] = 127
        Image.fromarray(truth).save(root / f"m{number}.png")
    return root


def test_masks_are_judged_at_the_films_own_size(lungs: Bundle, mask_data: Path) -> None:
    report = run(lungs, mask_data)
    (part,) = report.parts
    (row,) = part.masks
    assert (report.kind, part.n_films, part.n_positive, part.rows) == ("segmentation", 4, 3, ())
    predictor = lungs.predictor()
    dices = []
    for number in range(3):
        with Image.open(mask_data / f"{number}.png") as image:
            drawn = film(np.asarray(image))
        with Image.open(mask_data / f"m{number}.png") as image:
            truth = np.asarray(image)
        answer = predictor.predict(drawn)
        assert isinstance(answer, Segmentation)
        assert answer.mask.shape == drawn.pixels.shape
        dices.append(evaluate_masks(answer.mask[None], truth[None], ["p"]).dice.value)
    assert row.figures.dice.value == pytest.approx(np.mean(dices))
    assert row.figures.dice.value > 0.9
    assert row.figures.false_alarms is not None
    assert row.figures.false_alarms.value == 0.0
    assert row.figures.precision_range is not None
    assert row.figures.precision_range[0] <= row.figures.precision <= row.figures.precision_range[1]
    assert len(keep(lungs, report)) == 1


def test_a_mask_of_another_size_is_refused(lungs: Bundle, mask_data: Path) -> None:
    Image.new("L", (20, 20), 255).save(mask_data / "m1.png")
    with pytest.raises(DataError, match="20 x 20 pixels, its film 160 x 120"):
        run(lungs, mask_data)


def test_data_of_another_kind_is_refused(lungs: Bundle, tmp_path: Path) -> None:
    data = folder(tmp_path / "data", CHESTS)
    with pytest.raises(DataManifestError, match="no mask"):
        run(lungs, data)
    with pytest.raises(DataManifestError, match="no film with any of BACTERIAL"):
        run(findings(tmp_path / "f"), data)
