"""A lesion pipeline is judged by its masks and boxes, and by its segmenter with right boxes."""

import csv
from pathlib import Path

import numpy as np
import pytest
import tiny_boxes as boxes
from PIL import Image

from clinicedge.profiles.evaluate import evaluate
from clinicedge.profiles.evaluate_lesions import TRUE_BOXES, lesion_part, score_lesions
from clinicedge.profiles.evaluate_masks import MaskScores, mask_rows
from clinicedge.profiles.evaluate_parts import PartFilms, part_films
from clinicedge.profiles.evaluation import EvaluationReport, Question, Ran
from clinicedge.profiles.film_store import FilmStore
from clinicedge.profiles.mask_metrics import count_pixels
from clinicedge.profiles.masks import read_mask_dataset, read_mask_pixels
from clinicedge.runtime.bundle import Bundle


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three films with a bright square and its mask, one with nothing."""
    root = tmp_path / "legs"
    root.mkdir()
    with (root / "manifest.csv").open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(("file", "label", "patient", "split", "mask"))
        for number in range(4):
            corner = 16 * number
            spot = (corner, corner, corner + 32, corner + 32)
            drawn = boxes.spots(*((spot,) if number < 3 else ()), size=(128, 128))
            Image.fromarray(drawn.pixels).save(root / f"{number}.png")
            truth = np.zeros((128, 128), np.uint8)
            if number < 3:
                # Two pixels of the network from the box's edge its logits are still below 0.
                truth[corner + 4 : corner + 28, corner + 4 : corner + 28] = 255
            Image.fromarray(truth).save(root / f"m{number}.png")
            rows.writerow((f"{number}.png", "tumor", f"p{number}", "train", f"m{number}.png"))
    return root


def run(bundle: Bundle, data: Path) -> EvaluationReport:
    return evaluate(bundle, data, Question(), lambda _d, _t, _w: None)


def test_dice_from_found_true_and_moved_boxes(tmp_path: Path, data: Path) -> None:
    report = run(boxes.lesions(tmp_path / "lesions"), data)
    (part,) = report.parts
    (row,) = part.masks
    assert (report.kind, part.n_films, part.n_positive) == ("segmentation", 4, 3)
    assert row.figures.dice.value > 0.75
    assert row.figures.false_alarms is not None
    assert row.figures.false_alarms.value == 0.0
    assert (row.threshold, row.boxes) == (0.5, "found")
    true, moved = part.given_boxes
    assert (true.boxes, true.losses) == ("true", ())
    assert moved.boxes == "moved"
    for one in (row, moved):
        (loss,) = one.losses
        assert loss.against == TRUE_BOXES
        difference = true.figures.dice.value - one.figures.dice.value
        assert loss.value == pytest.approx(difference)
        assert loss.low <= loss.value <= loss.high
    (found,) = part.boxes
    # Found 32 pixels wide around masks of 24.
    assert found.figures.recall.value == 1.0
    assert found.figures.overlap is not None
    assert found.figures.overlap.value == pytest.approx((24 / 32) ** 2)
    assert any("what the detector's boxes cost" in note for note in report.notes)


def test_masks_do_not_tell_labels_apart(tmp_path: Path, data: Path) -> None:
    net = boxes.Finder(("BRIGHT", "GREY"), (8.0, 8.0), (-4.0, -12.0), (0.5, 0.5))
    predictor = boxes.opened_lesions(boxes.lesions(tmp_path / "lesions", net))
    masks = read_mask_dataset(data).films
    films = FilmStore([film.path for film in masks], "file")
    ran = Ran("onnx/fp32", "a" * 64, "x", "f32")
    scored = score_lesions(predictor, ran, (films, masks), lambda _d, _t, _w: None)
    part = lesion_part(part_films("all", masks, masks), [scored])
    assert part.boxes == ()
    assert part.not_measured[0].startswith("boxes: the detector has several labels")
    assert len(part.given_boxes) == 2
    # What is measured is what the pipeline answers.
    counted = [
        count_pixels(predictor.predict(films.film(n)).mask, read_mask_pixels(film))
        for n, film in enumerate(masks)
    ]
    assert (scored.masks["found"].shown == counted).all()


def test_what_an_artifact_loses_is_paired_with_fp32_of_its_format() -> None:
    part = PartFilms("test", np.ones(3, bool), ("a", "b", "c"))
    whole = np.array([[10.0, 0, 0, 90], [10, 0, 0, 90], [0, 0, 0, 100]])
    half = np.array([[5.0, 0, 5, 90], [10, 0, 0, 90], [0, 0, 0, 100]])
    found = np.array([True, True, False])
    fp32, small = (
        MaskScores(Ran(name, name, "x", "f32"), 0.5, counts, counts, found)
        for name, counts in (("onnx/fp32", whole), ("onnx/int8-guarded", half))
    )
    own, other = mask_rows(part, (fp32, small))
    assert own.losses == ()
    (loss,) = other.losses
    assert (loss.against, loss.n, loss.n_patients) == ("onnx/fp32", 2, 2)
    assert loss.value == pytest.approx((1 - 2 / 3) / 2)
