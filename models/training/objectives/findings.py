"""Any number of findings a film: binary cross entropy a label, or focal loss."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ....profiles.datasets import Dataset
from ....profiles.metrics import area_under_curve
from ....runtime.spec import InputSpec
from ..augment import augment
from ..cropping import Crop
from ..films import read_films
from ..recipe import Recipe

# A label rarer than 1 in 21 weighs no more: single films would steer the run.
MOST_WEIGHT = 20.0


@dataclass(frozen=True, eq=False)
class FindingArrays:
    """`pixels` uint8 (N, H, W); `targets` float32 (N, K), 1 where a film has the finding."""

    pixels: NDArray[np.uint8]
    targets: NDArray[np.float32]


def load_findings(
    data: Dataset,
    spec: InputSpec,
    labels: tuple[str, ...],
    advance: Callable[[], None] = lambda: None,
    cropped: Crop | None = None,
) -> FindingArrays:
    """Read, crop and resize all films, see `read_films`.

    Raises:
        FilmError: a film cannot be read.
        DataManifestError: the part has no films.
    """
    pixels, films = read_films(data, spec, advance, cropped)
    return FindingArrays(pixels, films.findings(labels).astype(np.float32))


class FindingsObjective:
    """Bacterial / viral, or the labels of a findings model; each label decides for itself."""

    score_name = "mean AUC"

    def __init__(self, train: FindingArrays, select: FindingArrays, recipe: Recipe) -> None:
        self._train, self._select, self._recipe = train, select, recipe
        self._weights = positive_weights(train.targets)

    def __len__(self) -> int:
        return len(self._train.pixels)

    def batch(self, index: NDArray[np.int64], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """uint8 (N, H, W) and float32 (N, K)."""
        pixels = torch.from_numpy(self._train.pixels[index])
        return (
            augment(pixels, self._recipe.augmentation, generator),
            torch.from_numpy(self._train.targets[index]),
        )

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Of logits (N, K), the mean over films and labels."""
        return self._loss(outputs, targets, self._recipe.label_smoothing)

    @property
    def select_pixels(self) -> NDArray[np.uint8]:
        """uint8 (N, H, W)."""
        return self._select.pixels

    def judge(self, outputs: NDArray[np.float32]) -> tuple[float, float]:
        """Loss without smoothing, and the mean AUC of the labels that the part has both ways."""
        targets = self._select.targets
        loss = self._loss(torch.from_numpy(outputs), torch.from_numpy(targets), 0.0)
        areas = [area_under_curve(outputs[:, k], targets[:, k] > 0) for k in range(len(targets.T))]
        known = [area for area in areas if np.isfinite(area)]
        return float(loss), float(np.mean(known)) if known else float("nan")

    def _loss(self, outputs: Tensor, targets: Tensor, smoothing: float) -> Tensor:
        """Lin et al. 2017, "Focal loss", where the recipe's gamma is not 0."""
        soft = targets * (1 - smoothing) + smoothing / 2
        weights = self._weights.to(outputs.device)
        raw = functional.binary_cross_entropy_with_logits(
            outputs, soft, pos_weight=weights, reduction="none"
        )
        if self._recipe.focal_gamma > 0:
            chance = torch.sigmoid(outputs)
            miss = torch.where(targets > 0, 1 - chance, chance)
            raw = raw * miss**self._recipe.focal_gamma
        return raw.mean()


def positive_weights(targets: NDArray[np.float32]) -> Tensor:
    """float32 (K,): films without a finding for each film with it, at most `MOST_WEIGHT`."""
    with_it = targets.sum(axis=0)
    weights = (len(targets) - with_it) / np.maximum(with_it, 1)
    return torch.from_numpy(np.clip(weights, 1 / MOST_WEIGHT, MOST_WEIGHT).astype(np.float32))
