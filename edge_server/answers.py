"""What is answered for a film: a prediction, or why there is none, and how it fits the reading."""

from dataclasses import dataclass
from typing import Any

from ..runtime.discrepancy import Opinion, discrepancy
from ..runtime.errors import NoLungsError
from ..runtime.film import Film
from ..runtime.predictions import (
    CAUTION,
    CascadeResult,
    Classification,
    Prediction,
    Segmentation,
)
from ..runtime.predictions_json import prediction_json
from ..runtime.records import to_json
from . import raw_masks
from .readings import UNSURE
from .records import NO_SCORE, Reading
from .served import Served


@dataclass(frozen=True)
class Answer:
    """What a case keeps; `discrepancy` is None where there was nothing to compare."""

    prediction: dict[str, Any]
    discrepancy: dict[str, Any] | None


def answer(model: Served, film: Film, reading: Reading) -> Answer:
    """Ask a model about a film.

    Raises:
        FilmError: the film says itself that the model was not made for it.
    """
    try:
        prediction = model.predict(film)
    except NoLungsError as err:
        return Answer(_no_score(model, "no-lungs", str(err)), None)
    if isinstance(prediction, Segmentation):
        return Answer(raw_masks.kept(prediction), None)
    return Answer(prediction_json(prediction), _compared(model, prediction, reading))


def _no_score(model: Served, code: str, reason: str) -> dict[str, Any]:
    return {
        "kind": NO_SCORE,
        "code": code,
        "reason": reason,
        "report": to_json(model.predictor.report),
        "caution": CAUTION,
    }


def _compared(model: Served, prediction: Prediction, reading: Reading) -> dict[str, Any] | None:
    """The discrepancy by the rules of the bundle, where it has some and something was said."""
    rules = model.bundle.manifest.pipeline
    if rules is None or rules.discrepancy is None:
        return None
    if not isinstance(prediction, CascadeResult | Classification):
        return None
    if reading.first_opinion is None and reading.first_findings is None:
        return None
    label = None if reading.first_opinion == UNSURE else reading.first_opinion
    found = discrepancy(prediction, Opinion(label, reading.first_findings), rules.discrepancy)
    told: dict[str, Any] = to_json(found)
    return told
