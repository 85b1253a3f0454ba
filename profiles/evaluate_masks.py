"""How well each artifact's masks fit, at each film's own resolution."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import DataError, TensorError
from ..runtime.predictions import Segmentation
from ..runtime.predictor import Predictor
from .evaluate_prompts import prompts_of
from .evaluation import ArtifactMasks, PartFigures, Prompts, Ran, Wanted, reference_of
from .film_store import Films
from .mask_metrics import MaskFigures, PixelCounts, count_pixels, mask_figures
from .masks import MaskDataset, MaskFilm, read_mask_pixels
from .measure import Progress

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MaskScores:
    """Pixels (N, 4) of each film, hit, extra, missed and rest, as shown and as thresholded.

    `found`: bool (N,), whether anything is shown.
    """

    ran: Ran
    threshold: float
    shown: Floats
    raw: Floats
    found: NDArray[np.bool_]


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
        answer = predictor.predict(films.film(number), asked)
        if not isinstance(answer, Segmentation):
            raise TensorError(f"'{ran.artifact}' answers without a mask; expected one.")
        if truth.shape != answer.mask.shape:
            raise DataError(
                f"the mask {film.mask} has {truth.shape[1]} x {truth.shape[0]} pixels, its film "
                f"{answer.mask.shape[1]} x {answer.mask.shape[0]}; expected the same size."
            )
        shown[number] = count_pixels(answer.mask, truth)
        raw[number] = count_pixels(answer.raw, truth)
        found[number] = answer.positive
    progress(len(films), len(films), ran.artifact)
    threshold = next(iter(predictor.thresholds.values()))
    return MaskScores(ran, threshold, shown, raw, found)


def mask_part(
    name: Wanted,
    films: Sequence[MaskFilm],
    chosen: Mapping[Wanted, MaskDataset],
    scored: Sequence[MaskScores],
) -> PartFigures:
    """All artifacts on one part.

    Raises:
        DataError: no film of the part has a mask.
    """
    held = set(chosen[name].films)
    inside = np.array([f in held for f in films])
    patients = tuple(f.patient_key for f in films if f in held)
    reference = reference_of(scored)
    rows = []
    for one in scored:
        flips = int(np.sum((one.found != reference.found)[inside]))
        rows.append(
            ArtifactMasks(
                **vars(one.ran),
                threshold=one.threshold,
                figures=_figures(name, one.shown[inside], patients),
                raw=_figures(name, one.raw[inside], patients),
                flips=flips,
                agreement=1.0 - flips / len(patients),
            )
        )
    true_pixels = reference.raw[inside][:, [0, 2]].sum(axis=1)
    return PartFigures(
        part=name,
        n_films=len(patients),
        n_positive=int((true_pixels > 0).sum()),
        n_patients=len(set(patients)),
        reference=reference.ran.artifact,
        rows=(),
        masks=tuple(rows),
    )


def _figures(name: Wanted, counts: Floats, patients: tuple[str, ...]) -> MaskFigures:
    try:
        return mask_figures(PixelCounts(*counts.T), patients)
    except DataError as err:
        raise DataError(f"part '{name}': {err}") from err
