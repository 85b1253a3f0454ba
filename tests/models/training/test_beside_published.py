"""Masks of the attention U-Net stand beside the thesis', said to be of other data."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from clinicedge.models import weights, zoo
from clinicedge.models.training.cards.card import Card, read_card
from clinicedge.models.training.cards.card_page import render
from clinicedge.models.training.judging.judgement import MeasuredMasks
from clinicedge.models.training.judging.masks import drawn_accuracy
from clinicedge.runtime.records import dump_bytes

OURS = "segunet-256"
HEADING = "## Other data geometry"
THESIS = ("0.7921", "0.4901", "0.4596", "0.5633", "0.6105", "0.5792", "0.5948")


def older() -> Card:
    """A card from before all figures were kept."""
    return replace(read_card(weights.CLONE_FOLDER / "lungs-128.json"), name=OURS)


def section(card: Card) -> list[str]:
    text = render(card, zoo.spec(card.name))
    return text[text.index(HEADING) :].split("\n## ")[0].splitlines()


def table(card: Card) -> list[list[str]]:
    lines = [line for line in section(card) if line.startswith("|")]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]


@pytest.fixture
def measured() -> Card:
    """Of four films, one without a mask: half of each mask is found, and one pixel too many."""
    masks = np.zeros((4, 8, 8), np.uint8)
    masks[:3, :4] = 255
    drawn = np.zeros((4, 8, 8), bool)
    drawn[:3, :2], drawn[3, 7, 7] = True, True
    figures = drawn_accuracy(drawn, masks, ["a", "b", "c", "d"], ("discs", "test"))
    return replace(older(), masks=(MeasuredMasks("internal test, other patients", figures),))


def test_seven_figures_beside_the_thesis(measured: Card) -> None:
    head, _, *rows = table(measured)
    assert head == ["", "ours: internal test, other patients, 3 films with a mask", "thesis"]
    assert tuple(row[2] for row in rows) == THESIS
    names = [row[0] for row in rows]
    assert names == [
        "pixel accuracy",
        "mean IoU of tumour and background",
        "tumour IoU",
        "Dice",
        "precision",
        "recall",
        "F1",
    ]
    ours = [row[1] for row in rows]
    # 48 of 96 mask pixels hit, 1 beside them, 159 of 160 others left.
    assert ours[0].startswith(f"{207 / 256:.4f} (")
    assert ours[1].startswith(f"{(48 / 97 + 159 / 208) / 2:.4f} (")
    assert [value[:8] for value in ours[2:4]] == ["0.5000 (", "0.6667 ("]
    assert ours[4].startswith(f"{48 / 49:.4f} (")
    assert ours[5].startswith("0.5000 (")
    assert ours[6].startswith(f"{2 * 48 / (49 + 96):.4f} (")


def test_the_reader_is_told_that_the_two_differ(measured: Card) -> None:
    text = " ".join(section(measured))
    for words in ("not of one kind", "means over films with a mask", "is not known to us"):
        assert words in text


def test_precision_and_recall_come_with_intervals(measured: Card) -> None:
    text = render(measured, zoo.spec(OURS))
    assert "| 98.0 (" in text
    assert "| 50.0 (" in text


def test_an_older_card_says_what_it_did_not_keep() -> None:
    rows = {row[0]: row[1:] for row in table(older())}
    assert rows["pixel accuracy"] == ["not measured", "not measured", "0.7921"]
    assert rows["Dice"][0].startswith("0.95")


def test_the_figures_are_kept_with_the_card(measured: Card, tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    path.write_bytes(dump_bytes(measured))
    assert read_card(path) == measured
    kept = json.loads(path.read_bytes())["masks"][0]["figures"]
    assert kept["pixel_accuracy"] == 207 / 256
    for name in ("precision", "recall", "f1", "pixel_accuracy", "mean_iou"):
        low, high = kept[f"{name}_range"]
        assert low <= kept[name] <= high


def test_other_masks_have_no_such_table() -> None:
    card = read_card(weights.CLONE_FOLDER / "lungs-128.json")
    assert "thesis" not in render(card, zoo.spec(card.name))
    assert zoo.published("lungs-128") is None
    assert zoo.published("a-user's-own") is None
    assert zoo.published("segunet-512") == zoo.published(OURS)
