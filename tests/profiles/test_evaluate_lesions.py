"""A lesion pipeline is judged by its masks, from boxes that it found itself."""

import csv
from pathlib import Path

import numpy as np
import pytest
import tiny_boxes as boxes
from PIL import Image

from clinicedge.profiles.evaluate import evaluate
from clinicedge.profiles.evaluation import Question


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


def test_dice_of_masks_from_found_boxes(tmp_path: Path, data: Path) -> None:
    bundle = boxes.lesions(tmp_path / "lesions")
    report = evaluate(bundle, data, Question(), lambda _d, _t, _w: None)
    (part,) = report.parts
    (row,) = part.masks
    assert (report.kind, part.n_films, part.n_positive) == ("segmentation", 4, 3)
    assert row.figures.dice.value > 0.75
    assert row.figures.false_alarms is not None
    assert row.figures.false_alarms.value == 0.0
    assert row.threshold == 0.5
