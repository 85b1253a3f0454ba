"""How long a run took, with what was done before it was stopped in the middle of an epoch."""

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from clinicedge.models.training.loop import Trainer, Watch
from clinicedge.models.training.recipe import Recipe
from clinicedge.models.zoo import spec

FILMS = np.zeros((4, 8, 8), np.uint8)
STEP_SECONDS = 0.05


class Slow:
    """An objective whose batches take their time."""

    score_name = "AUC"
    select_pixels = FILMS

    def __len__(self) -> int:
        return len(FILMS)

    def batch(self, index: NDArray[np.int64], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        time.sleep(STEP_SECONDS)
        return torch.from_numpy(FILMS[index]), torch.zeros(len(index))

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs - 1).square().mean()

    def judge(self, outputs: NDArray[np.float32]) -> tuple[float, float]:
        return 0.5, 0.5


class Bias(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((1, 2, 3)) * 0 + self.bias


def test_a_stopped_epoch_counts(tmp_path: Path) -> None:
    recipe = Recipe(epochs=1, batch=1, checkpoint_minutes=0.0)
    steps = 0

    def stop() -> None:
        nonlocal steps
        steps += 1
        if steps == 4:
            raise KeyboardInterrupt

    def trainer() -> Trainer:
        return Trainer(Bias(), spec("mobilenet-0.25-128").input, recipe, tmp_path, "cpu")

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        trainer().train(Slow(), Watch(step=stop))
    again = trainer()
    again.resume()
    assert again.state.step == 3
    assert again.state.seconds >= 3 * STEP_SECONDS
    state = again.train(Slow(), Watch())
    assert 4 * STEP_SECONDS <= state.seconds <= time.monotonic() - began
