"""The lungs that a pipeline itself finds on a film."""

import numpy as np
from numpy.typing import NDArray

from ..errors import NoLungsError
from ..film import Film
from ..on_lungs import OnLungs
from ..predictor import Predictor
from ..regions import enlarge_nearest


def lung_fields(predictor: Predictor, film: Film) -> NDArray[np.bool_] | None:
    """bool (H, W) of the film's size; None where nothing in the predictor looks for lungs, or it
    finds none."""
    finder = _finder(predictor)
    if finder is None:
        return None
    try:
        found = finder.find(film)
    except NoLungsError:
        return None
    return enlarge_nearest(found.mask, film.pixels.shape)


def _finder(predictor: Predictor) -> OnLungs | None:
    if isinstance(predictor, OnLungs):
        return predictor
    inner = (_finder(part.predictor) for part in predictor.parts)
    return next((found for found in inner if found is not None), None)
