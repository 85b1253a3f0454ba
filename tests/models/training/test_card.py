"""The page of a card says how the weights were made, and what the zoo knows of the network."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clinicedge.models import weights, zoo
from clinicedge.models.training.cards.card import Card, read_card
from clinicedge.models.training.cards.card_page import render
from clinicedge.runtime.errors import SchemaError

FOLDER = weights.CLONE_FOLDER
CARDS = sorted(path.stem for path in FOLDER.glob("*.json"))
CLASSIFIER = "mobilenet-0.25-128"


def known(**changes: Any) -> Card:
    """A shipped card with other values of its recipe."""
    card = read_card(FOLDER / f"{CLASSIFIER}.json")
    return replace(card, recipe={**card.recipe, **changes})


def page(card: Card, name: str = CLASSIFIER) -> str:
    return render(replace(card, name=name), zoo.spec(name))


@pytest.mark.parametrize("name", CARDS)
def test_pages_that_ship_say_what_their_figures_say(name: str) -> None:
    found = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    assert found == render(read_card(FOLDER / f"{name}.json"), zoo.spec(name)), "run `make docs`"


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ({"warmup": 0.25}, "one cycle of the learning rate to 0.003, rising for 25 % of it"),
        (
            {"warmup": 0.25, "schedule": "cycle-a-size"},
            "one cycle of the learning rate to 0.003 for the small films and one for those of full "
            "size, each rising for 25 % of it",
        ),
        (
            {"schedule": "exponential", "decay_epochs": 12.0},
            "learning rate from 0.003 down, exponentially to a tenth in every 12 epochs",
        ),
        (
            {"schedule": "plateau", "plateau_epochs": 5, "keep": "score"},
            "learning rate 0.003, halved after every 5 epochs without a better score on *select*",
        ),
        ({"keep": "score"}, "kept (best score on *select*)"),
        ({"keep": "loss"}, "kept (lowest loss on *select*)"),
        (
            {"small_epochs": 6, "small_side": 96, "full_steps": 120},
            "the first 6 on films of 96 x 96 pixels, those at full size of 120 batches at most",
        ),
        (
            {"small_epochs": 6, "small_side": 64, "middle_epochs": 2, "middle_side": 128},
            "the first 6 on films of 64 x 64 pixels, the next 2 on 128 x 128",
        ),
        (
            {"warmup": 0.25, "schedule": "cycle-a-size", "middle_epochs": 2, "middle_side": 128},
            "one cycle of the learning rate to 0.003 for each size of the films, each rising for "
            "25 % of it",
        ),
        (
            {"first_epochs": 3, "first_labels": ["NORMAL", "PNEUMONIA"]},
            "From scratch, after 3 epochs of NORMAL / PNEUMONIA on small films: AdamW",
        ),
        ({"focal_gamma": 2.0}, "label smoothing 0.05 (focal, gamma 2)"),
    ],
)
def test_the_schedule_and_the_kept_epoch_are_named(recipe: dict[str, Any], words: str) -> None:
    assert words in page(known(**recipe))


def test_the_separable_cnn_tells_the_notebooks_mistakes() -> None:
    for name in ("separable-cnn-180", "separable-cnn-180-lung-crop"):
        text = page(known(), name)
        mistakes = text[text.index("## A published notebook's three mistakes") :]
        for words in ("180 x 180", "224 x 224", "VGG's subtraction of channel means", "swapped"):
            assert words in mistakes
        assert "## INT8" in text
    assert "notebook" not in page(known())


def test_the_attention_unet_tells_of_its_data() -> None:
    masks = read_card(FOLDER / "lungs-128.json")
    parts = tuple(p for p in masks.parts if p.part != "official-test")
    card = replace(masks, parts=parts, recipe={**masks.recipe, "positive_weight": 5.0})
    text = page(card, "segunet-256")
    for words in ("## Other data geometry", "## Neighbours", "positive pixels weighted 5"):
        assert words in text
    assert "both official parts" not in text
    assert "the official test films" not in text
    assert "outside the lungs" not in text


def test_only_classifiers_of_chest_films_have_evidence_outside_the_lungs() -> None:
    """Boxes and outlines have no heat map, and no form on lungs."""
    for name in ("yolo-nas-s-256-lungs", "medsam2-mini-192-lungs"):
        assert "on-lungs" not in page(known(), name)
        assert "outside the lungs" not in page(known(), name)
    assert f"The default form is {CLASSIFIER}-on-lungs" in page(known())


def test_a_damaged_card_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    raw = json.loads((FOLDER / f"{CLASSIFIER}.json").read_bytes())
    for content in ("", "{", "[]", json.dumps({**raw, "threshold": "low"}), json.dumps({})):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(SchemaError, match=r"card\.json"):
            read_card(path)
    with pytest.raises(SchemaError, match="no card"):
        read_card(tmp_path / "none.json")
