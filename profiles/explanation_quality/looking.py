"""What of a film the explained network is shown, through any pipeline."""

from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from ...runtime.explanations import MapRequest
from ...runtime.explanations.registry import deciding
from ...runtime.film import Film
from ...runtime.heat_maps import on_film
from ...runtime.lungs import Box, crop
from ...runtime.on_lungs import OnLungs
from ...runtime.predictions import Explanation
from ...runtime.predictor import ModelPredictor, Predictor
from ..hiding import Bools


@dataclass(frozen=True, eq=False)
class Look:
    """A film, the part of it that the network was shown, and where that lies (None: all of it)."""

    film: Film
    shown: Film
    box: Box | None

    @property
    def region(self) -> Bools:
        """bool (H, W): what the network was shown."""
        there = np.ones(self.film.pixels.shape, bool)
        if self.box is not None:
            there[:] = False
            there[self.box.y0 : self.box.y1, self.box.x0 : self.box.x1] = True
        return there

    def map(self, network: ModelPredictor, request: MapRequest) -> Explanation:
        """The network's map of what it is shown."""
        return replace(network.explain_crop(self.shown, request), crop=self.box)

    def laid(self, told: Explanation, network: ModelPredictor) -> NDArray[np.float32]:
        """The map at the film's size, float32 (H, W)."""
        return on_film(told, self.film, network.input)


def network_of(predictor: Predictor, label: str | None = None) -> ModelPredictor:
    """The network whose map stands for the label.

    Raises:
        ExplanationError: none has that class.
    """
    return cast(ModelPredictor, deciding(predictor, label))


def look(predictor: Predictor, film: Film) -> Look:
    """As the predictor itself would show a film to its explained network.

    Raises:
        NoLungsError: a pipeline finds none.
    """
    if isinstance(predictor, OnLungs):
        box = predictor.find(film).box
        return Look(film, crop(film, box), box)
    if predictor.parts:
        return look(predictor.parts[0].predictor, film)
    return Look(film, film, None)
