"""A run stops where select films get no better, and keeps its best epoch; without one it fails."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from clinicedge.models.training.loop import Trainer, Watch
from clinicedge.models.training.recipe import Recipe, recipe_for
from clinicedge.models.training.state import RunState
from clinicedge.models.zoo import spec
from clinicedge.runtime.errors import ModelError

FILMS = np.zeros((4, 8, 8), np.uint8)
NAN = float("nan")
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


def told(folder: Path, losses: Sequence[float], recipe: Recipe) -> RunState:
    return trainer(folder, recipe).train(Told(losses), Watch())


@pytest.mark.parametrize("keep", ["loss", "score"])
def test_equal_is_not_better(tmp_path: Path, keep: Literal["loss", "score"]) -> None:
    state = told(tmp_path, [1.0] * 9, Recipe(epochs=9, batch=4, patience=3, keep=keep))
    assert (state.best_epoch, len(state.history)) == (0, 4), "a Dice of 0 runs out of patience"


@pytest.mark.parametrize("keep", ["loss", "score"])
def test_what_is_no_number_is_never_best(tmp_path: Path, keep: Literal["loss", "score"]) -> None:
    recipe = Recipe(epochs=5, batch=4, keep=keep)
    assert told(tmp_path, [NAN, 0.5, NAN, 0.4, NAN], recipe).best_epoch == 3


def test_a_score_without_a_loss_does_not_count(tmp_path: Path) -> None:
    """Masks of NaN are empty, and have a Dice."""

    class Empty(Told):
        def judge(self, outputs: NDArray[np.float32]) -> tuple[float, float]:
            return super().judge(outputs)[0], 0.0

    recipe = Recipe(epochs=3, batch=4, keep="score")
    state = trainer(tmp_path, recipe).train(Empty([NAN, 0.5, 0.5]), Watch())
    assert state.best_epoch == 1


def test_a_run_that_diverged_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="none of 3 epochs came to a finite"):
        told(tmp_path, [NAN] * 8, Recipe(epochs=8, batch=4, patience=3))


def test_small_films_alone_are_no_end(tmp_path: Path) -> None:
    recipe = Recipe(epochs=3, batch=4, small_epochs=1, small_side=4)
    with pytest.raises(ModelError, match="none of 3 epochs at full size"):
        told(tmp_path, [0.5, NAN, NAN], recipe)
    assert told(tmp_path, [0.5, NAN, 0.9], recipe).best_epoch == 2
    only = replace(recipe, small_epochs=3)
    assert told(tmp_path, [0.5, 0.4, 0.6], only).best_epoch == 2, "none competes before full size"


def test_outputs_that_are_no_numbers_are_not_judged(tmp_path: Path) -> None:
    """An AUC of them is an error that speaks of data."""

    class Judged(Told):
        def judge(self, outputs: NDArray[np.float32]) -> tuple[float, float]:
            raise AssertionError

        def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
            return (outputs * NAN).mean()

    with pytest.raises(ModelError, match="diverged"):
        trainer(tmp_path, Recipe(epochs=2, batch=4)).train(Judged(()), Watch())
