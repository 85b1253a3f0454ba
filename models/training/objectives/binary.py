"""Two labels a film: class-weighted cross entropy."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ....profiles.metrics import area_under_curve
from ..augment import augment
from ..films import FilmArrays
from ..recipe import Recipe


class BinaryObjective:
    """NORMAL / PNEUMONIA and the like; the second label is the positive one."""

    score_name = "AUC"

    def __init__(self, train: FilmArrays, select: FilmArrays, recipe: Recipe) -> None:
        self._train, self._select, self._recipe = train, select, recipe
        self._weights = class_weights(train.labels)

    def __len__(self) -> int:
        return len(self._train.labels)

    def batch(self, index: NDArray[np.int64], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """uint8 (N, H, W) and int64 (N,)."""
        pixels = torch.from_numpy(self._train.pixels[index])
        return (
            augment(pixels, self._recipe.augmentation, generator),
            torch.from_numpy(self._train.labels[index]),
        )

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Cross entropy of logits (N, 2), rarer label weighing more."""
        return functional.cross_entropy(
            outputs,
            targets,
            weight=self._weights.to(outputs.device),
            label_smoothing=self._recipe.label_smoothing,
        )

    @property
    def select_pixels(self) -> NDArray[np.uint8]:
        """uint8 (N, H, W)."""
        return self._select.pixels

    def judge(self, outputs: NDArray[np.float32]) -> tuple[float, float]:
        """Loss without smoothing, and AUC."""
        labels = self._select.labels
        loss = functional.cross_entropy(
            torch.from_numpy(outputs), torch.from_numpy(labels), weight=self._weights
        )
        return float(loss), area_under_curve(outputs[:, 1] - outputs[:, 0], labels == 1)


def class_weights(labels: NDArray[np.int64]) -> Tensor:
    """float32 (K,): inverse to how often each class occurs, 1 on average over the films."""
    counts = np.maximum(np.bincount(labels, minlength=2), 1)
    return torch.from_numpy((len(labels) / (len(counts) * counts)).astype(np.float32))
