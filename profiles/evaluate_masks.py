"""How well each artifact's masks fit, at each film's own resolution."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import DataError, TensorError
from ..runtime.film import Film
from ..runtime.predictions import Segmentation
from ..runtime.predictor import Predictor
from .evaluate_parts import PartFilms
from .evaluate_prompts import prompts_of
from .evaluation import (
    ArtifactMasks,
    MaskLoss,
    PartFigures,
    Prompts,
    Ran,
    fp32_of,
    reference_of,
)
from .film_store import Films
from .mask_metrics import MaskFigures, PixelCounts, count_pixels, mask_figures
from .masks import MaskFilm, read_mask_pixels
from .measure import Progress
from .paired import dice_loss

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MaskScores:
    """Pixels (N, 4) of each film, hit, extra, missed and rest, as shown and as thresholded.

    `found`: bool (N,), whether anything is shown. `boxes`: as in `ArtifactMasks`.
    """

    ran: Ran
    threshold: float
    shown: Floats
    raw: Floats
    found: NDArray[np.bool_]
    boxes: str = ""


def score_masks(
    predictor: Predictor,
    ran: Ran,
    data: tuple[Films, Sequence[MaskFilm]],
    progress: Progress,
    boxes: Prompts | None = None,
) -> MaskScores:
    """Ask for every film and compare with its mask.

    Args:
        boxes: what a promptable model is asked with; a film without a mask is not asked about.

    Raises:
        FilmError: a film or mask cannot be read.
        DataError: a mask has another size than its film.
        EngineError: the engine fails.
    """
    films, masks = data
    shown, raw = np.zeros((len(films), 4)), np.zeros((len(films), 4))
    found = np.zeros(len(films), bool)
    for number, film in enumerate(masks):
        progress(number, len(films), ran.artifact)
        truth = read_mask_pixels(film)
        asked = () if boxes is None else prompts_of(truth, boxes, number)
        if boxes is not None and not asked:
            shown[number] = raw[number] = count_pixels(np.zeros(truth.shape, bool), truth)
            continue
        seen = films.film(number)
        refuse_other_size(film, truth, seen)
        answer = predictor.predict(seen, asked)
        if not isinstance(answer, Segmentation):
            raise TensorError(f"'{ran.artifact}' answers without a mask; expected one.")
        shown[number] = count_pixels(answer.mask, truth)
        raw[number] = count_pixels(answer.raw, truth)
        found[number] = answer.positive
    progress(len(films), len(films), ran.artifact)
    threshold = next(iter(predictor.thresholds.values()))
    return MaskScores(ran, threshold, shown, raw, found, boxes or "")


def refuse_other_size(mask: MaskFilm, truth: NDArray[np.uint8], film: Film) -> None:
    """Stop where a mask does not lie on its film pixel by pixel.

    Raises:
        DataError: it has another size.
    """
    if truth.shape != film.pixels.shape:
        raise DataError(
            f"the mask {mask.mask} has {truth.shape[1]} x {truth.shape[0]} pixels, its film "
            f"{film.pixels.shape[1]} x {film.pixels.shape[0]}; expected the same size."
        )


def mask_part(part: PartFilms, scored: Sequence[MaskScores]) -> PartFigures:
    """All artifacts on one part.

    Raises:
        DataError: no film of the part has a mask.
    """
    reference = reference_of(scored)
    true_pixels = reference.raw[part.inside][:, [0, 2]].sum(axis=1)
    return PartFigures(
        part=part.name,
        n_films=len(part.patients),
        n_positive=int((true_pixels > 0).sum()),
        n_patients=len(set(part.patients)),
        reference=reference.ran.artifact,
        rows=(),
        masks=mask_rows(part, scored),
    )


def mask_rows(part: PartFilms, scored: Sequence[MaskScores]) -> tuple[ArtifactMasks, ...]:
    """A row an artifact; raises as `mask_part`."""
    reference, inside = reference_of(scored), part.inside
    rows = []
    for one in scored:
        flips = int(np.sum((one.found != reference.found)[inside]))
        fp32 = fp32_of(one, scored)
        rows.append(
            ArtifactMasks(
                **vars(one.ran),
                threshold=one.threshold,
                figures=_figures(part, one.shown[inside]),
                raw=_figures(part, one.raw[inside]),
                flips=flips,
                agreement=1.0 - flips / len(part.patients),
                boxes=one.boxes,
                losses=() if fp32 is None else (lost_dice(part, fp32, one, fp32.ran.artifact),),
            )
        )
    return tuple(rows)


def lost_dice(part: PartFilms, better: MaskScores, one: MaskScores, against: str) -> MaskLoss:
    """What `one` loses of Dice against `better`, film by film.

    Raises:
        DataError: no film of the part has a mask.
    """
    first, second = (_dice(scores.shown[part.inside]) for scores in (better, one))
    loss = dice_loss(first, second, part.patients)
    return MaskLoss(against, loss.value, loss.low, loss.high, loss.n, loss.n_patients)


def _dice(counts: Floats) -> Floats:
    """(N,) of pixels (N, 4); NaN where a film has no mask."""
    hit, extra, missed, _ = counts.T
    has = hit + missed > 0
    return np.where(has, 2 * hit / np.maximum(2 * hit + extra + missed, 1.0), np.nan)


def _figures(part: PartFilms, counts: Floats) -> MaskFigures:
    try:
        return mask_figures(PixelCounts(*counts.T), part.patients)
    except DataError as err:
        raise DataError(f"part '{part.name}': {err}") from err
