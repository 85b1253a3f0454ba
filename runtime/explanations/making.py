"""A map of one film from one network."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import TensorError
from ..film import Film
from ..predictions import Explanation
from .records import Heat, MapRequest, Outputs, Subject
from .registry import METHODS, find_method

if TYPE_CHECKING:
    from ..predictor import ModelPredictor, Predictor

ONE_GREY = "The film is one grey all over: there is no place on it to point to."


def explain(
    predictor: "Predictor", film: Film, method: str | None = None, label: str | None = None
) -> Explanation:
    """A map over the film for a class.

    Args:
        method: a name of `METHODS`; None: the one that the bundle names.
        label: the class; None: what the answer is about.

    Raises:
        ExplanationError: the predictor has no such class, or cannot do that.
        FilmError, WholeFilmError, TensorError: as `Predictor.predict`.
    """
    return predictor.explain(film, MapRequest(method, label))


def make_map(predictor: "ModelPredictor", film: Film, request: MapRequest) -> Explanation:
    """The map of a film that is cut already to what the network was made for.

    Raises:
        ExplanationError: the model has no such class, or its artifact cannot do that.
        TensorError: the network answered with values that are no numbers.
    """
    bundle, report = predictor.bundle, predictor.report
    method = find_method(bundle.manifest, bundle.artifact(report.artifact), request)
    tensor = predictor.tensor(film)
    outputs = predictor.remembered(film) or predictor.run_tensor(tensor)
    _refuse_no_numbers(predictor, outputs)
    target = predictor.target(request.label, outputs)
    subject = Subject(
        tensor=tensor,
        features=_features(predictor, outputs),
        target=target,
        score=lambda view: target.score(predictor.run_tensor(view)),
        passes=request.passes or method.passes,
        progress=request.progress,
    )
    if _one_grey(film) and method is not METHODS["probability"]:
        found = Heat(np.zeros(_size(subject), np.float32), 0, ONE_GREY)
    else:
        found = method.make(subject)
        found = replace(found, note=" ".join(filter(None, (target.note, found.note))))
    return Explanation(
        map=found.map,
        method=method.name,
        label=target.label,
        sign=found.sign,
        note=found.note,
        report=report,
        passes=found.passes,
    )


def _features(predictor: "ModelPredictor", outputs: Outputs) -> NDArray[np.float32] | None:
    spec = predictor.bundle.manifest.explanation
    return None if spec is None or spec.output not in outputs else outputs[spec.output][0]


def _refuse_no_numbers(predictor: "ModelPredictor", outputs: Outputs) -> None:
    if all(np.isfinite(values).all() for values in outputs.values()):
        return
    raise TensorError(
        f"'{predictor.report.model}' ({predictor.report.artifact}) answered with values that are "
        "no numbers; expected logits and features. Use another artifact or engine."
    )


def _one_grey(film: Film) -> bool:
    return bool(film.pixels.min() == film.pixels.max())


def _size(subject: Subject) -> tuple[int, int]:
    height, width = (subject.tensor if subject.features is None else subject.features).shape[-2:]
    return height, width
