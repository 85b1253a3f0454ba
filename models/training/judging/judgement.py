"""What the end of a run finds out about weights: thresholds, and figures on the test parts."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ....profiles.datasets import Dataset
from ....profiles.divided import DividedFilms
from ....profiles.metrics import evaluate_binary
from ....profiles.splits import refuse_overlap
from ....runtime.figures import Accuracy, BoxAccuracy, MaskAccuracy, Part


@dataclass(frozen=True)
class Measured:
    """Figures on films that steered nothing. `what` names them in words.

    `no_score`: films left out because no lungs were found on them.
    """

    what: str
    figures: Accuracy
    no_score: int = 0


@dataclass(frozen=True)
class MeasuredMasks:
    """As `Measured`, of masks."""

    what: str
    figures: MaskAccuracy


@dataclass(frozen=True)
class MeasuredBoxes:
    """As `Measured`, of boxes."""

    what: str
    figures: BoxAccuracy


@dataclass(frozen=True)
class Judgement:
    """`threshold` by `rule` on `n_films` of the part select; `thresholds` a label where a model
    has several findings, of which `threshold` is the first's; `not_measured`: why films gave
    no figures, by what they are in words."""

    threshold: float
    rule: str
    n_films: int
    measured: tuple[Measured, ...] = ()
    masks: tuple[MeasuredMasks, ...] = ()
    boxes: tuple[MeasuredBoxes, ...] = ()
    thresholds: Mapping[str, float] = field(default_factory=dict)
    not_measured: Mapping[str, str] = field(default_factory=dict)


TEST_PARTS: tuple[tuple[str, Part], ...] = (
    ("internal test, other patients", "test"),
    ("official test, all", "official-test"),
)
NEW_PATIENTS = "official test, patient numbers that training has not"
NO_MASK = "no film has a mask"

FilmsOf = TypeVar("FilmsOf", bound=DividedFilms[Any])


def unseen_parts(data: FilmsOf) -> Iterator[tuple[str, Part, FilmsOf]]:
    """The films that steered nothing: in words, their part, and they; none that is empty.

    Raises:
        OverlapError: a patient of train is among them.
    """
    train = data.part("train").key_hashes()
    parts = [(what, part, data.part(part)) for what, part in TEST_PARTS]
    if isinstance(data, Dataset):
        parts.append((NEW_PATIENTS, "official-test", data.official_test_new_patients()))
    for what, part, films in parts:
        if films.films:
            refuse_overlap(train, films.key_hashes(), ("train", part))
            yield what, part, films


def one_sided(truth: NDArray[np.bool_]) -> str:
    """Why films cannot be judged, "" where they can.

    Args:
        truth: bool (N,), whether each film that has a score has the label.
    """
    if not len(truth):
        return "no film got a score"
    if truth.any() and not truth.all():
        return ""
    return f"{'all' if truth.all() else 'none'} of {len(truth)} films have the label"


def measure_label(
    where: tuple[str, Part],
    films: Dataset,
    scores: NDArray[np.float64],
    truth: NDArray[np.bool_],
    rule: tuple[str, float],
) -> Measured:
    """Figures of one label on films of a part; those without a score are left out and counted.

    Args:
        where: the films in words, and their part.
        scores: (N,), NaN where a film got none.
        truth: bool (N,), whether each has the label.
        rule: the label, "" of a binary model, and its threshold.

    Raises:
        DataError: the scored films are all of one class.
    """
    seen = np.isfinite(scores)
    patients = [p for p, s in zip(films.patients(), seen, strict=True) if s]
    label, threshold = rule
    found = evaluate_binary(scores[seen], truth[seen], patients, threshold)
    figures = Accuracy(
        data=films.name,
        part=where[1],
        compute="f32",
        threshold=threshold,
        accuracy=found.accuracy,
        sensitivity=found.sensitivity,
        specificity=found.specificity,
        auc=found.auc,
        label=label,
    )
    return Measured(where[0], figures, int((~seen).sum()))
