"""A detector measured on a data folder: figures, films without boxes, labels, paired losses."""

from pathlib import Path

import numpy as np
import pytest
import tiny_boxes as boxes
from PIL import Image
from tiny_boxes import Finder

from clinicedge.profiles.box_metrics import match
from clinicedge.profiles.changed_decisions import changed_decisions
from clinicedge.profiles.evaluate import evaluate, keep
from clinicedge.profiles.evaluate_boxes import BoxScores, box_rows
from clinicedge.profiles.evaluate_parts import PartFilms
from clinicedge.profiles.evaluation import EvaluationReport, Question, Ran
from clinicedge.profiles.explanation_quality.reporting import Asked, explain_report
from clinicedge.profiles.splits import part_of, patient_key
from clinicedge.runtime.bundle import Bundle
from clinicedge.runtime.errors import ArtifactError, DataError

BOTH = Finder(("BRIGHT", "DARK"), (8.0, -8.0), (-4.0, -4.0), (0.5, 0.5))


def folder(root: Path, told: dict[int, str]) -> Path:
    """Four films with a bright square of 32 pixels each, the last without; `told` by film."""
    root.mkdir()
    lines = ["file,patient,split,boxes_xyxy"]
    for number in range(4):
        corner = 32 * number
        spot = (corner, corner, corner + 32, corner + 32)
        drawn = boxes.spots(*((spot,) if number < 3 else ()), size=(128, 128))
        Image.fromarray(drawn.pixels).save(root / f"{number}.png")
        lines.append(f"{number}.png,p{number},train,{told.get(number, '')}")
    (root / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


def run(bundle: Bundle, data: Path) -> EvaluationReport:
    return evaluate(bundle, data, Question(), lambda _d, _t, _w: None)


def test_precision_recall_and_overlap_at_the_threshold(tmp_path: Path) -> None:
    bundle = boxes.detector(tmp_path / "d")
    # The first is told as it is, the second shifted by a quarter, the third elsewhere.
    told = {0: "0 0 32 32", 1: "40 32 72 64", 2: "0 96 32 128"}
    report = run(bundle, folder(tmp_path / "legs", told))
    (part,) = report.parts
    (row,) = part.boxes
    assert (report.kind, part.n_films, part.n_positive) == ("detection", 4, 3)
    assert (row.label, row.threshold, row.flips, row.against) == ("TUMOUR", 0.5, 0, "")
    figures = row.figures
    assert figures.recall.value == pytest.approx(2 / 3)
    assert figures.precision is not None
    assert figures.precision.value == pytest.approx(2 / 3)
    assert figures.overlap is not None
    assert figures.overlap.value == pytest.approx((1.0 + 24 / 40) / 2)
    assert 0.0 < figures.ap50.value < 1.0
    assert figures.false_alarms is not None
    assert figures.false_alarms.value == 0.0
    (path,) = keep(bundle, report)
    assert path.name.endswith("-accuracy-legs.json")
    with pytest.raises(DataError, match="none of 4 films has a box"):
        run(bundle, folder(tmp_path / "none", {}))


def test_each_label_has_its_row(tmp_path: Path) -> None:
    bundle = boxes.detector(tmp_path / "d", net=BOTH)
    told = {n: f"BRIGHT {32 * n} {32 * n} {32 * n + 32} {32 * n + 32}" for n in range(3)}
    (part,) = run(bundle, folder(tmp_path / "legs", told)).parts
    (row,) = part.boxes
    assert row.label == "BRIGHT"
    assert row.figures.recall.value == 1.0
    assert part.not_measured == ("DARK: no film has a box of it (4 films)",)


def test_films_that_two_detectors_decide_otherwise(tmp_path: Path) -> None:
    data = folder(tmp_path / "legs", {})
    guard = (n for n in range(999) if part_of(patient_key("legs", "train", str(n))) == "guard")
    text = (data / "manifest.csv").read_text(encoding="utf-8")
    for number in range(4):
        text = text.replace(f"p{number}", str(next(guard)))
    (data / "manifest.csv").write_text(text, encoding="utf-8")
    one = boxes.detector(tmp_path / "one")
    blind = boxes.detector(tmp_path / "blind", net=Finder(thresholds=(0.999,)))
    found = changed_decisions(one, blind, data, "auto", lambda _d, _t, _w: None)
    assert (found.n_films, len(found.changed)) == (4, 3)
    assert {(c.before, c.after) for c in found.changed} == {("TUMOUR", "no box")}
    with pytest.raises(ArtifactError, match="answers with boxes"):
        explain_report(one, Asked(data), lambda _d, _t, _w: None)


def test_what_an_artifact_loses_is_paired_with_fp32_of_its_format() -> None:
    truth = np.array([[0.0, 0.0, 10.0, 10.0]])
    hit = match(truth, np.array([0.9]), truth)
    missed = match(np.zeros((0, 4)), np.zeros(0), truth)
    part = PartFilms("test", np.array([True] * 8 + [False]), tuple(f"p{n}" for n in range(8)))
    fp32 = BoxScores(Ran("onnx/fp32", "a" * 64, "x", "f32"), (0.5,), [[hit]] * 9)
    small = BoxScores(
        Ran("onnx/int8-guarded", "b" * 64, "x", "int8"), (0.5,), [[missed]] * 2 + [[hit]] * 7
    )
    (own, other), none = box_rows(part, ("TUMOUR",), (fp32, small))
    assert none == ()
    assert (own.against, own.losses, other.against) == ("", (), "onnx/fp32")
    recall, area = other.losses
    assert (recall.figure, recall.value, recall.n) == ("recall", 0.25, 8)
    assert recall.low <= 0.25 <= recall.high
    assert area.value == pytest.approx(0.25)
    assert (other.flips, other.agreement) == (2, 0.75)
