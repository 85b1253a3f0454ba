"""What is asked of an explanation, what it is made of, and what comes out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import ExplanationError

Outputs = Mapping[str, NDArray[np.float32]]
# Called with (done, total) after each further run of the network.
Progress = Callable[[int, int], None]
Need = Literal["features", "pooled head", "scores", "mask"]
MAX_PASSES = 4096


@dataclass(frozen=True)
class MapRequest:
    """Which map is wanted.

    Attributes:
        method: a name of `METHODS`; None: the one that the bundle names.
        label: the class; None: what the answer is about (the positive label, the main finding or
            the one nearest to its threshold, the mask's label).
        passes: bound on further runs of the network, up to MAX_PASSES; 0: the method's own.
        progress: told of each.
    """

    method: str | None = None
    label: str | None = None
    passes: int = 0
    progress: Progress | None = None


USUAL = MapRequest()


@dataclass(frozen=True, eq=False)
class Target:
    """The class that a map is about.

    Attributes:
        score: the class's logit out of a run's raw outputs. With a softmax over two labels it is
            the label's minus the other's, for only that decides; of a mask the mean logit over
            the pixels that are outlined on the film as it is.
        row: float32 (C,), d score / d pooled features, where the head is pooling + linear.
        places: of a mask, float32 (h, w) 0..1, the label's probability at each place.
        note: a sentence for the reader, or "".
    """

    label: str
    score: Callable[[Outputs], float]
    row: NDArray[np.float32] | None = None
    places: NDArray[np.float32] | None = None
    note: str = ""


@dataclass(frozen=True, eq=False)
class Subject:
    """A film as a network saw it, and the class to explain.

    Attributes:
        tensor: float32 (1, C, H, W), the network's input.
        features: float32 (C, h, w), None where the network gives none.
        score: the target's logit for any input like `tensor`: one run of the network.
        passes, progress: as in `MapRequest`, the bound filled in.
    """

    tensor: NDArray[np.float32]
    features: NDArray[np.float32] | None
    target: Target
    score: Callable[[NDArray[np.float32]], float]
    passes: int
    progress: Progress | None

    @property
    def feature_map(self) -> NDArray[np.float32]:
        """The features of a method that needs them."""
        return _given(self.features, "feature map")

    @property
    def row(self) -> NDArray[np.float32]:
        """The target's row of a method that needs it."""
        return _given(self.target.row, "row of a pooled linear head")

    @property
    def places(self) -> NDArray[np.float32]:
        """The target's places of a method that needs them."""
        return _given(self.target.places, "mask")


def _given(values: NDArray[np.float32] | None, what: str) -> NDArray[np.float32]:
    if values is None:
        raise ExplanationError(f"there is no {what}; `offers` tells which methods need none.")
    return values


@dataclass(frozen=True, eq=False)
class Heat:
    """A finished map.

    Attributes:
        map: float32 (h, w), 0..1.
        sign: +1, or 0 where the map is flat.
        note: a sentence for the reader, or "".
        passes: runs of the network beyond the first.
    """

    map: NDArray[np.float32]
    sign: int
    note: str = ""
    passes: int = 0


@dataclass(frozen=True)
class Method:
    """One way to a map.

    Attributes:
        source: the publication.
        needs: what the artifact must give.
        passes: the usual bound on further runs of the network; 0 where a closed form is enough.
    """

    name: str
    source: str
    needs: tuple[Need, ...]
    passes: int
    make: Callable[[Subject], Heat]


@dataclass(frozen=True)
class Offer:
    """Whether an artifact can be explained with a method; `why` says what is missing, or ""."""

    method: str
    source: str
    available: bool
    why: str
    passes: int
