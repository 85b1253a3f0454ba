"""A run stops where select films get no better, and keeps its best epoch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from clinicedge.models.training.loop import Trainer, Watch
from clinicedge.models.training.recipe import Recipe, recipe_for
from clinicedge.models.zoo import spec

FILMS = np.zeros((4, 8, 8), np.uint8)
BETTER_THEN_WORSE = (0.9, 0.5, 0.6, 0.7, 0.8, 0.4, 0.3, 0.2)


class Told:
    """An objective whose select films say what they are told to."""

    score_name = "AUC"

    def __init__(self, losses: Sequence[float]) -> None:
        self._losses = iter(losses)

    def __len__(self) -> int:
        return len(FILMS)

    def batch(self, index: NDArray[np.int64], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(FILMS[index]), torch.zeros(len(index))

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs - 1).square().mean()

    @property
    def select_pixels(self) -> NDArray[np.uint8]:
        return FILMS

    def judge(self, outputs: NDArray[np.float32]) -> tuple[float, float]:
        loss = next(self._losses)
        return loss, 1 - loss


class Bias(nn.Module):
    """One number that every step moves."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((1, 2, 3)) * 0 + self.bias


def trainer(folder: Path, recipe: Recipe) -> Trainer:
    return Trainer(Bias(), spec("mobilenet-0.25-128").input, recipe, folder, "cpu")


@pytest.mark.parametrize("keep", ["loss", "score"])
def test_training_stops_and_the_best_epoch_is_kept(
    tmp_path: Path, keep: Literal["loss", "score"]
) -> None:
    recipe = Recipe(epochs=len(BETTER_THEN_WORSE), batch=4, patience=3, keep=keep)
    weights: list[float] = []
    run = trainer(tmp_path, recipe)
    watch = Watch(epoch=lambda _: weights.append(float(run.ema.values["bias"])))
    state = run.train(Told(BETTER_THEN_WORSE), watch)
    assert state.finished
    # Epochs 2, 3 and 4 were no better than epoch 1; the better ones after them were not reached.
    assert [line.select_loss for line in state.history] == list(BETTER_THEN_WORSE[:5])
    assert state.best_epoch == 1
    assert float(state.best["bias"]) == weights[1]
    assert len(set(weights)) == 5, "the weights went on to change"


def test_a_stopped_run_has_ended_for_good(tmp_path: Path) -> None:
    recipe = Recipe(epochs=8, batch=4, patience=3)
    trainer(tmp_path, recipe).train(Told(BETTER_THEN_WORSE), Watch())
    again = trainer(tmp_path, recipe)
    again.resume()
    state = again.train(Told(()), Watch())
    assert (state.finished, len(state.history), state.best_epoch) == (True, 5, 1)


def test_without_patience_it_runs_to_its_end(tmp_path: Path) -> None:
    recipe = Recipe(epochs=8, batch=4, patience=8)
    state = trainer(tmp_path, recipe).train(Told(BETTER_THEN_WORSE), Watch())
    assert (len(state.history), state.best_epoch) == (8, 7)


@pytest.mark.parametrize("name", ["separable-cnn-180", "separable-cnn-180-lung-crop"])
@pytest.mark.parametrize("gpu", [False, True])
def test_the_separable_network_can_stop_early(name: str, gpu: bool) -> None:
    recipe = recipe_for(name, gpu=gpu)
    assert recipe.patience < recipe.epochs - 1


def test_the_thesis_recipe_can_stop_early() -> None:
    recipe = recipe_for("segunet-256", gpu=True)
    assert (recipe.keep, recipe.patience < recipe.epochs - 1) == ("score", True)
