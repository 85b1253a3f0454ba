"""Any number of boxes a film: films and boxes brought to the network's size, loss, judgement."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ....profiles.box_matching import by_label, film_matches
from ....profiles.box_metrics import FilmMatch, resampled_precision
from ....profiles.boxes import BoxDataset, boxes_on
from ....runtime.boxes import to_input
from ....runtime.errors import DataManifestError, ModelError
from ....runtime.images import read_film, resize
from ....runtime.spec import DetectionRules, InputSpec, ModelSpec
from ...yolo_nas.network import SIDE_VALUES
from ..augment import augment_boxes
from ..recipe import Recipe
from .box_loss import NONE, box_loss, decoded, side_of

_LOSS_BATCH = 16

Truth = tuple[NDArray[np.float32], ...]


@dataclass(frozen=True, eq=False)
class BoxArrays:
    """`pixels` uint8 (N, H, W); `truth` N times float32 (n, 5): the label's number and
    x0 y0 x1 y1 in pixels of the network's input."""

    pixels: NDArray[np.uint8]
    truth: Truth

    @property
    def targets(self) -> NDArray[np.float32]:
        """float32 (N, M, 5): boxes as shares of the side, -1 for the label where there is none."""
        most = max(1, *(len(t) for t in self.truth)) if self.truth else 1
        found = np.zeros((len(self.truth), most, 5), np.float32)
        found[..., 0] = NONE
        height, width = self.pixels.shape[1:]
        for row, boxes in zip(found, self.truth, strict=True):
            row[: len(boxes)] = boxes / np.array([1, width, height, width, height], np.float32)
        return found


def load_boxes(
    data: BoxDataset, model: ModelSpec, advance: Callable[[], None] = lambda: None
) -> BoxArrays:
    """Read films and bring them and their boxes to the network's size.

    Raises:
        FilmError: a film cannot be read.
        DataManifestError: there are none.
        ModelError: the network's input is not square.
    """
    spec, labels = model.input, model.output("logits").labels
    if spec.height != spec.width:
        raise ModelError(
            f"'{model.name}' takes {spec.width} x {spec.height} pixels; expected a square to train."
        )
    if not data.films:
        raise DataManifestError(
            f"{data.root}: a part of the split has no films; expected films of enough patients "
            "(76 % of them train, 8 % each select, guard and test)."
        )
    pixels = np.empty((len(data.films), spec.height, spec.width), np.uint8)
    truth = []
    for i, film in enumerate(data.films):
        read = read_film(film.path, spec.dicom.voi).pixels
        pixels[i] = resize(read, spec)
        truth.append(placed(boxes_on(film, read.shape, labels), read.shape, spec))
        advance()
    return BoxArrays(pixels, tuple(truth))


def placed(
    boxes: NDArray[np.float64], size: tuple[int, ...], spec: InputSpec
) -> NDArray[np.float32]:
    """Labelled boxes (n, 5) on a film (H, W) in pixels of the network's input, float32."""
    moved = to_input(boxes[:, 1:], size, spec)
    return np.concatenate([boxes[:, :1].astype(np.float32), moved], axis=1)


class BoxObjective:
    """Varifocal, CIoU and distribution focal loss on task-aligned places; judged by AP50."""

    score_name = "AP50"

    def __init__(
        self, train: BoxArrays, select: BoxArrays, recipe: Recipe, rules: DetectionRules
    ) -> None:
        self._train, self._select, self._recipe = train, select, recipe
        self._targets, self._judged = train.targets, select.targets
        self._rules = rules

    def __len__(self) -> int:
        return len(self._train.pixels)

    def batch(self, index: NDArray[np.int64], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """uint8 films (N, H, W), and float32 (N, M, 5) boxes moved alike, as shares of the side."""
        return augment_boxes(
            torch.from_numpy(self._train.pixels[index]),
            torch.from_numpy(self._targets[index]),
            self._recipe.augmentation,
            generator,
        )

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Of raw answers (N, P, 68 + K)."""
        return box_loss(outputs, targets)

    @property
    def select_pixels(self) -> NDArray[np.uint8]:
        """uint8 (N, H, W)."""
        return self._select.pixels

    def judge(self, outputs: NDArray[np.float32]) -> tuple[float, float]:
        """Loss, and the mean AP50 of the labels that the part has; NaN where it has none."""
        raw, targets = torch.from_numpy(outputs), torch.from_numpy(self._judged)
        losses = [
            float(box_loss(r, t)) * len(r)
            for r, t in (
                (raw[i : i + _LOSS_BATCH], targets[i : i + _LOSS_BATCH])
                for i in range(0, len(raw), _LOSS_BATCH)
            )
        ]
        share = side_of(outputs.shape[1]) / self._select.pixels.shape[1]
        scaled = tuple(t * np.array([1, *[share] * 4], np.float32) for t in self._select.truth)
        areas = []
        for films in matches(outputs, scaled, self._rules):
            if any(film.n_true for film in films):
                number = np.zeros(len(films), np.intp)
                ones = np.ones((1, 1), np.int32)
                areas.append(float(resampled_precision(films, number, ones)[0]))
        return sum(losses) / len(raw), float(np.mean(areas)) if areas else float("nan")


def matches(
    outputs: NDArray[np.float32], truth: Truth, rules: DetectionRules
) -> list[list[FilmMatch]]:
    """By label, then film: what is found by raw answers (N, P, 68 + K) against true boxes in
    pixels of the input that the network saw."""
    found = []
    for raw, true in zip(outputs, truth, strict=True):
        boxes, logits = (t[0].numpy() for t in decoded(torch.from_numpy(raw[None])))
        found.append(film_matches(boxes, logits, true, rules))
    return by_label(found, outputs.shape[2] - SIDE_VALUES)
