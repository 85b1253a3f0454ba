"""Which loss a recipe trains with, and how its parts weigh."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from clinicedge.models import weights
from clinicedge.models.training.cards.card import read_card
from clinicedge.models.training.cards.card_page import render
from clinicedge.models.training.objectives.findings import FindingArrays, FindingsObjective
from clinicedge.models.training.objectives.masks import mask_loss
from clinicedge.models.training.recipe import FOCAL_GAMMA, Recipe, recipe_for, with_loss
from clinicedge.models.zoo import names, spec


def test_dice_and_focal_loss_weigh_as_the_recipe_says() -> None:
    masks = torch.zeros(2, 8, 8, dtype=torch.uint8)
    masks[:, 2:6, 2:6] = 255
    logits = torch.randn(2, 8, 8, generator=torch.Generator().manual_seed(0))
    found = [
        float(mask_loss(logits, masks, Recipe(epochs=1, focal_gamma=2.0, focal_weight=weight)))
        for weight in (0.0, 1.0, 3.0)
    ]
    shares, truth = torch.sigmoid(logits), (masks == 255).float()
    dice = 1 - (2 * (shares * truth).sum() + 1) / (shares.sum() + truth.sum() + 1)
    assert found[0] == pytest.approx(float(dice), rel=1e-6)
    assert found[2] - found[0] == pytest.approx(3 * (found[1] - found[0]), rel=1e-5)


def test_every_recipe_weighs_both_alike() -> None:
    assert {
        recipe_for(name, gpu=gpu).focal_weight for name in names() for gpu in (False, True)
    } == {1.0}


def test_a_findings_run_chooses_its_loss() -> None:
    usual = recipe_for("densenet121-224")
    focal = with_loss(usual, "focal")
    assert (usual.focal_gamma, focal.focal_gamma) == (0.0, FOCAL_GAMMA)
    assert with_loss(focal, "bce") == usual
    targets = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    arrays = FindingArrays(np.zeros((2, 8, 8), np.uint8), targets)
    easy = torch.from_numpy(targets) * 8 - 4
    plain, forgetful = (
        float(FindingsObjective(arrays, arrays, recipe).loss(easy, torch.from_numpy(targets)))
        for recipe in (usual, focal)
    )
    assert forgetful < plain / 100


def test_the_card_tells_the_weights() -> None:
    card = read_card(weights.CLONE_FOLDER / "lungs-128.json")
    weighted = {**card.recipe, "focal_weight": 0.5, "positive_weight": 5.0}
    text = render(replace(card, recipe=weighted), spec(card.name))
    assert "soft Dice and pixel loss, positive pixels weighted 5, pixel loss weighted 0.5," in text
    assert "weighted" not in render(card, spec(card.name))
