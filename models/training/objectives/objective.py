"""What a run learns: batches of the train part, a loss, and a judgement on the select part."""

from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class Objective(Protocol):
    """One kind of target. `score_name` is the figure of `judge`, e.g. "AUC"."""

    score_name: str

    def __len__(self) -> int:
        """Films of the train part."""
        ...

    def batch(self, index: NDArray[np.int64], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Augmented uint8 films (N, H, W) and their targets."""
        ...

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """A scalar from the network's raw float32 outputs."""
        ...

    @property
    def select_pixels(self) -> NDArray[np.uint8]:
        """Films of the select part, uint8 (N, H, W)."""
        ...

    def judge(self, outputs: NDArray[np.float32]) -> tuple[float, float]:
        """(loss, score) of the raw outputs on the select films; the recipe says which of the two
        chooses the epoch. NaN is never the best."""
        ...


@runtime_checkable
class Asking(Protocol):
    """An objective whose network is asked with more than the film, e.g. with a box."""

    def outputs(self, module: nn.Module, films: Tensor, targets: Tensor) -> Tensor:
        """Raw outputs of films float32 (N, C, H, W) of a training batch."""
        ...

    def select_outputs(self, module: nn.Module, films: Tensor, rows: slice) -> Tensor:
        """The same of these rows of the select films."""
        ...
