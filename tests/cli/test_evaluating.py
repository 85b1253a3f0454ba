"""`clinicedge evaluate` of findings, masks and pipelines, and its shortcut audit."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tiny_bundles import Scores, binary, chest, findings, masks, on_lungs

Command = Callable[..., Any]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Bright lungs are pneumonia; findings and masks in the same folder; one film without lungs."""
    root = tmp_path / "chests"
    root.mkdir()
    with (root / "manifest.csv").open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(("file", "mask", "label", "findings", "patient", "split"))
        for number in range(7):
            positive = number % 2 == 0
            film = chest(lungs=255 if positive else 165, outside=60 if number == 6 else 0)
            pixels = film.pixels if number < 6 else np.full_like(film.pixels, 10)
            Image.fromarray(pixels).save(root / f"{number}.png")
            lungs = np.where(pixels > 100, 255, 0).astype(np.uint8)
            Image.fromarray(lungs).save(root / f"m{number}.png")
            label = "PNEUMONIA" if positive else "NORMAL"
            finding = "BACTERIAL" if positive else ""
            rows.writerow(
                (f"{number}.png", f"m{number}.png", label, finding, f"p{number}", "train")
            )
    return root


def test_a_table_for_each_finding(ce: Command, tmp_path: Path, data: Path) -> None:
    ran = ce("evaluate", findings(tmp_path / "f").folder, "--data", data)
    assert ran.code == 0, ran.err
    assert "7 positive" not in ran.out
    assert "; BACTERIAL" in ran.out
    assert "F1" in ran.out
    assert "not measured: VIRAL: no film has it" in ran.out


def test_masks_in_the_thesis_figures(ce: Command, tmp_path: Path, data: Path) -> None:
    folder = masks(tmp_path / "m").folder
    ran = ce("evaluate", folder, "--data", data, "--no-keep")
    assert ran.code == 0, ran.err
    for word in (
        "pixel accuracy",
        "mean IoU",
        "Dice",
        "precision",
        "recall",
        "F1",
        "where nothing",
        "over all pixels, 95 % intervals from resampling patients",
    ):
        assert word in ran.out
    assert not (folder / "measurements").exists()


def test_the_attention_unet_stands_beside_its_thesis(
    ce: Command, tmp_path: Path, data: Path
) -> None:
    folder = masks(tmp_path / "m", "segunet-256").folder
    ran = ce("evaluate", folder, "--data", data, "--no-keep")
    assert ran.code == 0, ran.err
    (row,) = (line for line in ran.out.splitlines() if "0.7921" in line)
    assert [cell.strip() for cell in row.split("│")[1:-1]] == [
        *("thesis", "", ""),
        *("0.7921", "0.4901", "0.4596", "0.5633", "0.6105", "0.5792", "0.5948"),
        *("", ""),
    ]
    assert "thesis: other data geometry; its figures are not of the same kind." in ran.out
    assert "thesis" not in ce("evaluate", masks(tmp_path / "o").folder, "--data", data).out


def test_films_without_lungs_have_a_column(ce: Command, tmp_path: Path, data: Path) -> None:
    lungs = masks(tmp_path / "m")
    classifier = binary(tmp_path / "c", "tiny-lung-crop", Scores(region="lungs"))
    folder = on_lungs(tmp_path / "p", classifier, lungs).folder
    ran = ce("evaluate", folder, "--data", data)
    assert "without a score count as wrong" in ran.out
    answered = json.loads(ce("evaluate", folder, "--data", data, "--json").out)
    assert answered["parts"][0]["rows"][0]["no_score"] == 1
    ran = ce("evaluate", classifier.folder, "--data", data)
    assert ran.code == 2
    assert "tiny-on-lungs" in ran.err


def test_the_shortcut_audit_prints_and_keeps(ce: Command, tmp_path: Path, data: Path) -> None:
    folder = binary(tmp_path / "b").folder
    ran = ce("evaluate", folder, "--data", data, "--shortcut-audit", "--masks", data)
    assert ran.code == 0, ran.err
    assert "lungs-hidden-box" in ran.out
    assert "peaks inside the lungs" in ran.out
    (path,) = (folder / "measurements").iterdir()
    assert path.name.endswith("-shortcut-audit.json")
    lungs = masks(tmp_path / "m").folder
    words = ("evaluate", folder, "--data", data, "--shortcut-audit", "--lungs", lungs, "--json")
    answered = json.loads(ce(*words).out)
    assert answered["lungs"] == "masks drawn by tiny-lungs"
    assert ce("evaluate", folder, "--data", data, "--shortcut-audit").code == 2
