"""How well each artifact's boxes are found, on films at their own resolution."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..runtime.detector import Detector
from ..runtime.errors import DataError, TensorError
from ..runtime.predictions import FoundBox
from ..runtime.predictor import Predictor
from .box_matching import FLOOR, by_label
from .box_metrics import FilmMatch, box_figures, match
from .boxes import BoxFilm, boxes_on
from .evaluate_parts import PartFilms
from .evaluation import ArtifactBoxes, PartFigures, Ran, fp32_of, reference_of
from .film_store import Films
from .measure import Progress
from .paired_boxes import Found, box_losses

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class BoxScores:
    """What an artifact found: `films` by film, then label; `thresholds` of the labels."""

    ran: Ran
    thresholds: tuple[float, ...]
    films: list[list[FilmMatch]]


def score_boxes(
    predictor: Predictor, ran: Ran, data: tuple[Films, Sequence[BoxFilm]], progress: Progress
) -> BoxScores:
    """Ask for every film and match what is found with its boxes, label by label.

    Raises:
        FilmError: a film cannot be read.
        EngineError: the engine fails.
    """
    if not isinstance(predictor, Detector):
        raise TensorError(f"'{ran.artifact}' answers without boxes; expected a detector.")
    films, drawn = data
    rows = []
    for number, film in enumerate(drawn):
        progress(number, len(films), ran.artifact)
        seen = films.film(number)
        truth = boxes_on(film, seen.pixels.shape, predictor.labels)
        every = predictor.survey(seen, FLOOR).every
        rows.append(matches(every, truth, predictor.labels))
    progress(len(films), len(films), ran.artifact)
    thresholds = tuple(predictor.thresholds[label] for label in predictor.labels)
    return BoxScores(ran, thresholds, rows)


def matches(every: Sequence[FoundBox], truth: Floats, labels: Sequence[str]) -> list[FilmMatch]:
    """One film, label by label.

    Args:
        truth: (T, 5), the label's number and x0 y0 x1 y1 in pixels of the film.
    """
    found = []
    for number, label in enumerate(labels):
        own = [box for box in every if box.label == label]
        boxes = np.array([box.box for box in own], np.float64).reshape(-1, 4)
        scores = np.array([box.score for box in own], np.float64)
        found.append(match(boxes, scores, truth[truth[:, 0] == number][:, 1:]))
    return found


def box_part(
    part: PartFilms, labels: Sequence[str], n_positive: int, scored: Sequence[BoxScores]
) -> PartFigures:
    """All artifacts on one part.

    Args:
        n_positive: films of the part that have a box.

    Raises:
        DataError: none has.
    """
    rows, missing = box_rows(part, labels, scored)
    if not rows:
        raise DataError(
            f"part '{part.name}': none of {len(part.patients)} films has a box; recall and "
            "precision need some."
        )
    return PartFigures(
        part=part.name,
        n_films=len(part.patients),
        n_positive=n_positive,
        n_patients=len(set(part.patients)),
        reference=reference_of(scored).ran.artifact,
        rows=(),
        boxes=rows,
        not_measured=missing,
    )


def box_rows(
    part: PartFilms, labels: Sequence[str], scored: Sequence[BoxScores]
) -> tuple[tuple[ArtifactBoxes, ...], tuple[str, ...]]:
    """A row a label and artifact, and the labels that no film of the part has a box of."""
    rows, missing = [], []
    for number, label in enumerate(labels):
        columns = {id(one): _found(one, number, part) for one in scored}
        if not any(film.n_true for film in columns[id(scored[0])].films):
            missing.append(f"{label}: no film has a box of it ({len(part.patients)} films)")
            continue
        reference = columns[id(reference_of(scored))]
        for one in scored:
            fp32 = fp32_of(one, scored)
            own = columns[id(one)]
            flips = int(np.sum(_any(own) != _any(reference)))
            rows.append(
                ArtifactBoxes(
                    **vars(one.ran),
                    threshold=own.threshold,
                    label=label,
                    figures=box_figures(own.films, part.patients, own.threshold),
                    flips=flips,
                    agreement=1.0 - flips / len(part.patients),
                    against="" if fp32 is None else fp32.ran.artifact,
                    losses=()
                    if fp32 is None
                    else box_losses(columns[id(fp32)], own, part.patients, label),
                )
            )
    return tuple(rows), tuple(missing)


def _found(one: BoxScores, number: int, part: PartFilms) -> Found:
    column = by_label(one.films, len(one.thresholds))[number]
    chosen = [film for film, held in zip(column, part.inside, strict=True) if held]
    return Found(chosen, one.thresholds[number])


def _any(found: Found) -> Bools:
    """bool (n,): whether anything is answered on a film."""
    return np.array([bool((film.scores >= found.threshold).any()) for film in found.films])
