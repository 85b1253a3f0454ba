"""A mask a film: binary cross entropy or focal loss, and soft Dice, pixels of doubt left out."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ....profiles.masks import IGNORE, MaskFilm, read_mask
from ....runtime.errors import DataManifestError
from ....runtime.images import read_film, resize
from ....runtime.spec import InputSpec
from ..augment import augment_pair
from ..recipe import Recipe


@dataclass(frozen=True, eq=False)
class MaskArrays:
    """`pixels` and `masks` uint8 (N, H, W); masks hold 0, IGNORE and 255."""

    pixels: NDArray[np.uint8]
    masks: NDArray[np.uint8]


def load_masks(
    films: tuple[MaskFilm, ...], spec: InputSpec, advance: Callable[[], None] = lambda: None
) -> MaskArrays:
    """Read films and masks and bring both to the network's size.

    Raises:
        FilmError: a film or mask cannot be read.
        DataManifestError: there are none.
    """
    if not films:
        raise DataManifestError(
            "a part of the split has no films with masks; expected films of enough patients "
            "(76 % of them train, 8 % each select, guard and test)."
        )
    pixels = np.empty((len(films), spec.height, spec.width), np.uint8)
    masks = np.empty_like(pixels)
    for i, film in enumerate(films):
        pixels[i] = resize(read_film(film.path, spec.dicom.voi).pixels, spec)
        masks[i] = read_mask(film, spec)
        advance()
    return MaskArrays(pixels, masks)


class MaskObjective:
    """One channel of logits against a mask.

    Pixel loss: binary cross entropy, or with `Recipe.focal_gamma` > 0 the focal loss of Lin et
    al. 2017 (eq. 5), weighted by `Recipe.positive_weight` on mask pixels; times
    `Recipe.focal_weight`, plus soft Dice (Milletari et al. 2016) over the batch.
    """

    score_name = "Dice"

    def __init__(self, train: MaskArrays, select: MaskArrays, recipe: Recipe) -> None:
        self._train, self._select, self._recipe = train, select, recipe

    def __len__(self) -> int:
        return len(self._train.pixels)

    def batch(self, index: NDArray[np.int64], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """uint8 films and masks (N, H, W), moved alike."""
        return augment_pair(
            torch.from_numpy(self._train.pixels[index]),
            torch.from_numpy(self._train.masks[index]),
            self._recipe.augmentation,
            generator,
        )

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Of logits (N, 1, H, W) against uint8 masks (N, H, W)."""
        return mask_loss(outputs.squeeze(1), targets, self._recipe)

    @property
    def select_pixels(self) -> NDArray[np.uint8]:
        """uint8 (N, H, W)."""
        return self._select.pixels

    def judge(self, outputs: NDArray[np.float32]) -> tuple[float, float]:
        """Loss, and the mean Dice over films that have a mask (all, where none has)."""
        masks = self._select.masks
        loss = mask_loss(
            torch.from_numpy(outputs).squeeze(1), torch.from_numpy(masks), self._recipe
        )
        return float(loss), float(np.mean(select_dice(outputs[:, 0] >= 0, masks)))


def mask_loss(logits: Tensor, masks: Tensor, recipe: Recipe) -> Tensor:
    """`focal_weight` x pixel loss + soft Dice loss; float logits and uint8 masks (N, H, W)."""
    known = (masks != IGNORE).to(logits.dtype)
    truth = (masks == 255).to(logits.dtype)
    weight = known * (1 + (recipe.positive_weight - 1) * truth)
    pixel = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    if recipe.focal_gamma > 0:
        pixel = pixel * (1 - torch.exp(-pixel)) ** recipe.focal_gamma
    pixel_loss = (pixel * weight).sum() / weight.sum().clamp_min(1.0)
    shares = torch.sigmoid(logits) * known
    overlap = 2 * (shares * truth).sum() + 1
    dice_share = overlap / (shares.sum() + (truth * known).sum() + 1)
    return recipe.focal_weight * pixel_loss + 1 - dice_share


def select_dice(found: NDArray[np.bool_], masks: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Dice (M,) of the films that have a mask; of all where none has. Doubtful pixels left out."""
    has = (masks == 255).any(axis=(1, 2))
    chosen = has if has.any() else np.ones(len(masks), bool)
    known, truth = masks[chosen] != IGNORE, masks[chosen] == 255
    hit = found[chosen] & known
    both = (hit & truth).sum(axis=(1, 2))
    total = hit.sum(axis=(1, 2)) + truth.sum(axis=(1, 2))
    result: NDArray[np.float64] = np.where(total > 0, 2 * both / np.maximum(total, 1), 1.0)
    return result
