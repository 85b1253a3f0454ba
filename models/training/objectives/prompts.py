"""A mask from a box: every region of a mask is asked for with the box around it, moved."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ....profiles.box_prompts import JITTER, MOST_JITTER, jittered, true_objects
from ....profiles.masks import MaskFilm, read_mask
from ....runtime.errors import DataManifestError
from ....runtime.images import read_film, resize
from ....runtime.spec import InputSpec
from ..augment import augment_pair
from ..recipe import Recipe
from .masks import mask_loss, select_dice

_SEED = 20230405


@dataclass(frozen=True, eq=False)
class PromptArrays:
    """Regions and the films that they are of.

    Attributes:
        pixels: uint8 (F, H, W), films that have a region.
        film: int64 (M,), the film of each region.
        masks: uint8 (M, H, W) of 0, IGNORE and 255, other regions of the film 0.
        boxes: float32 (M, 4), x0 y0 x1 y1 around each, in pixels.
        patients: M patient keys.
    """

    pixels: NDArray[np.uint8]
    film: NDArray[np.int64]
    masks: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    patients: tuple[str, ...]

    @property
    def moved(self) -> NDArray[np.float32]:
        """The boxes with their edges moved at random, always the same way."""
        height, width = self.masks.shape[1:]
        return jittered(self.boxes, (height, width), np.random.default_rng(_SEED))


def load_prompts(
    films: tuple[MaskFilm, ...], spec: InputSpec, advance: Callable[[], None] = lambda: None
) -> PromptArrays:
    """Read films and masks, bring both to the network's size, take the masks apart.

    Raises:
        FilmError: a film or mask cannot be read.
        DataManifestError: no film has a mask.
    """
    pixels: list[NDArray[np.uint8]] = []
    owner, masks, boxes, patients = [], [], [], []
    for film in films:
        found = true_objects(read_mask(film, spec))
        advance()
        if not found:
            continue
        owner += [len(pixels)] * len(found)
        pixels.append(resize(read_film(film.path, spec.dicom.voi).pixels, spec))
        masks += [o.mask for o in found]
        boxes += [o.box for o in found]
        patients += [film.patient_key] * len(found)
    if not pixels:
        raise DataManifestError(
            "a part of the split has no film with a mask; expected some of enough patients (76 % "
            "of them train, 8 % each select, guard and test)."
        )
    index = np.array(owner, np.int64)
    return PromptArrays(np.stack(pixels), index, np.stack(masks), np.stack(boxes), tuple(patients))


class PromptObjective:
    """Logits of a mask from film and box, and the IoU that is predicted of it.

    Loss: as `MaskObjective` at the film's size, plus the squared error of the predicted IoU
    (Kirillov et al. 2023, arXiv:2304.02643, appendix A). The select part is asked with moved
    boxes: a detector's are not exact either.
    """

    score_name = "Dice"

    def __init__(self, train: PromptArrays, select: PromptArrays, recipe: Recipe) -> None:
        self._train, self._select, self._recipe = train, select, recipe
        self._asked = torch.from_numpy(select.moved)

    def __len__(self) -> int:
        return len(self._train.film)

    def batch(self, index: NDArray[np.int64], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """uint8 films and masks (N, H, W), moved alike."""
        train = self._train
        return augment_pair(
            torch.from_numpy(train.pixels[train.film[index]]),
            torch.from_numpy(train.masks[index]),
            self._recipe.augmentation,
            generator,
        )

    def outputs(self, module: nn.Module, films: Tensor, targets: Tensor) -> Tensor:
        """(N, h w + 1): logits and predicted IoU of each film, asked with a moved box."""
        return packed(module, films, moved_boxes(targets))

    def select_outputs(self, module: nn.Module, films: Tensor, rows: slice) -> Tensor:
        """The same of select films."""
        return packed(module, films, self._asked[rows].to(films.device))

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Of (N, h w + 1) against uint8 masks (N, H, W)."""
        logits, quality = unpacked(outputs, targets.shape[1:])
        error = (quality - overlap(logits, targets)) ** 2
        return mask_loss(logits, targets, self._recipe) + error.mean()

    @property
    def select_pixels(self) -> NDArray[np.uint8]:
        """uint8 (M, H, W): a film as often as it has regions."""
        return self._select.pixels[self._select.film]

    def judge(self, outputs: NDArray[np.float32]) -> tuple[float, float]:
        """Loss, and the mean Dice over regions."""
        raw, masks = torch.from_numpy(outputs), torch.from_numpy(self._select.masks)
        logits, _ = unpacked(raw, masks.shape[1:])
        dice = select_dice(logits.numpy() >= 0, self._select.masks)
        return float(self.loss(raw, masks)), float(np.mean(dice))


def packed(module: nn.Module, films: Tensor, boxes: Tensor) -> Tensor:
    """Logits and predicted IoU in one tensor float (N, h w + 1)."""
    mask, quality = module(films, boxes)
    return torch.cat([mask.flatten(1).float(), quality.float()], dim=1)


def unpacked(outputs: Tensor, size: torch.Size) -> tuple[Tensor, Tensor]:
    """Logits brought to (N, H, W), bilinear, and predicted IoU (N,)."""
    side = round((outputs.shape[1] - 1) ** 0.5)
    small = outputs[:, :-1].reshape(-1, 1, side, side)
    wide = functional.interpolate(small, tuple(size), mode="bilinear", align_corners=False)
    return wide.squeeze(1), outputs[:, -1]


def overlap(logits: Tensor, masks: Tensor) -> Tensor:
    """IoU (N,) of what is drawn at 0; no gradient."""
    drawn, truth = logits.detach() >= 0, masks == 255
    both = (drawn & truth).flatten(1).sum(1)
    either = (drawn | truth).flatten(1).sum(1)
    return both / either.clamp_min(1)


def moved_boxes(masks: Tensor) -> Tensor:
    """Boxes float32 (N, 4) around uint8 masks (N, H, W), edges moved by torch's own random numbers.

    The whole film where a mask is empty.
    """
    boxes = boxes_around(masks)
    height, width = masks.shape[1:]
    sides = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    moves = (torch.randn(len(boxes), 4) * JITTER).clamp(-MOST_JITTER, MOST_JITTER)
    far = torch.tensor([width, height, width, height], device=masks.device)
    return (boxes + sides * moves.to(masks.device)).clamp_min(0).minimum(far)


def boxes_around(masks: Tensor) -> Tensor:
    """x0 y0 x1 y1 float32 (N, 4) of uint8 masks (N, H, W); the whole film where one is empty."""
    there = masks == 255
    found = []
    for axis in (1, 2):
        along = there.any(dim=axis).to(torch.uint8)
        found += [along.argmax(1), along.shape[1] - along.flip(1).argmax(1)]
    x0, x1, y0, y1 = found
    return torch.stack([x0, y0, x1, y1], dim=1).to(torch.float32)
