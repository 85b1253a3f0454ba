"""Films as every step of a conversion takes them: resized, with what is known of each."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..runtime.figures import Part
from ..runtime.images import scale
from ..runtime.manifest import DataHygiene
from ..runtime.spec import InputSpec

PHANTOMS = "phantom films"


@dataclass(frozen=True, eq=False)
class FilmSet:
    """Films of one part, already at the network's size.

    Attributes:
        pixels: uint8 (N, H, W), cropped and resized by the bundle's rules.
        truth: bool (N,) of a binary model, bool (N, K) of K findings, uint8 (N, H, W) masks of
            0, 127 (in doubt) and 255, float32 (N, 100, 5) boxes (label's number, -1 for none, and
            x0 y0 x1 y1 in the network's pixels); None where the films show no patients.
        patients: N patient keys.
        left_out: films on which no lungs were found; the device gives them no score.
        boxes: of a promptable model what each film is asked with, float32 (B, 4) in the network's
            pixels; () for all others.
    """

    data: str
    part: Part
    pixels: NDArray[np.uint8]
    truth: NDArray[Any] | None
    patients: tuple[str, ...]
    input: InputSpec
    left_out: int = 0
    boxes: tuple[NDArray[np.float32], ...] = ()

    def __len__(self) -> int:
        return len(self.pixels)

    def tensors(self) -> Iterator[NDArray[np.float32]]:
        """The network's input float32 (1, C, H, W), film by film."""
        for pixels in self.pixels:
            yield scale(pixels, self.input)

    def batch(self, start: int, end: int) -> NDArray[np.float32]:
        """float32 (n, C, H, W) of a slice."""
        return np.concatenate([scale(p, self.input) for p in self.pixels[start:end]])

    @property
    def sha256(self) -> str:
        """Of the resized pixels, the patients and what is known of the films."""
        digest = hashlib.sha256(np.ascontiguousarray(self.pixels).tobytes())
        digest.update("\n".join(self.patients).encode("utf-8"))
        if self.truth is not None:
            digest.update(np.ascontiguousarray(self.truth).tobytes())
        for rows in self.boxes:
            digest.update(rows.tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class ConversionFilms:
    """Calibration films from train, thresholds from select, comparison on guard.

    `twice`: films of guard that are the very files of the others, under other patients.
    """

    calibration: FilmSet
    select: FilmSet
    guard: FilmSet
    hygiene: tuple[DataHygiene, ...]
    twice: int = 0

    @property
    def labelled(self) -> bool:
        """Whether thresholds and accuracy can be had from these films."""
        return self.guard.truth is not None

    @property
    def left_out(self) -> int:
        """Films of all parts without lungs."""
        return self.calibration.left_out + self.select.left_out + self.guard.left_out
