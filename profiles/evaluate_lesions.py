"""A lesion pipeline: its masks, its boxes, and what its segmenter draws in boxes that are right.

The difference of Dice between the last two is what finding lesions by machine costs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..runtime.boxes import Boxes
from ..runtime.errors import TensorError
from ..runtime.lesions import Lesions
from ..runtime.predictor import Predictor
from .box_matching import FLOOR
from .evaluate_boxes import BoxScores, box_rows, matches
from .evaluate_masks import (
    MaskScores,
    lost_dice,
    mask_part,
    mask_rows,
    refuse_other_size,
)
from .evaluate_parts import PartFilms
from .evaluate_prompts import prompts_of
from .evaluation import ArtifactMasks, PartFigures, Ran
from .film_store import Films
from .mask_metrics import count_pixels
from .masks import MaskFilm, read_mask_pixels
from .measure import Progress

Source = Literal["found", "true", "moved"]
SOURCES: tuple[Source, ...] = ("found", "true", "moved")
TRUE_BOXES = "true boxes"
NOTE = (
    "true: the boxes around the regions of the true masks; moved: the same, each edge moved at "
    "random. Dice lost against true boxes is what the detector's boxes cost"
)
_SEVERAL = "boxes: the detector has several labels, and masks do not tell whose they are"


@dataclass(frozen=True, eq=False)
class LesionScores:
    """Of one variant: masks by the boxes that they were drawn in, and the detector's boxes.

    `boxes`: None where the detector has several labels, which masks do not tell apart.
    """

    masks: Mapping[Source, MaskScores]
    boxes: BoxScores | None
    labels: tuple[str, ...]


def score_lesions(
    predictor: Predictor, ran: Ran, data: tuple[Films, Sequence[MaskFilm]], progress: Progress
) -> LesionScores:
    """Ask for every film, and the segmenter for the true boxes and moved ones beside.

    Raises:
        FilmError: a film or mask cannot be read.
        DataError: a mask has another size than its film.
        EngineError: the engine fails.
    """
    if not isinstance(predictor, Lesions):
        raise TensorError(f"'{ran.artifact}' is no lesion pipeline.")
    films, masks = data
    labels = predictor.labels
    pixels = np.zeros((len(SOURCES), 2, len(films), 4))
    drew = np.zeros((len(SOURCES), len(films)), bool)
    boxes = []
    for number, film in enumerate(masks):
        progress(number, len(films), ran.artifact)
        truth, seen = read_mask_pixels(film), films.film(number)
        refuse_other_size(film, truth, seen)
        asked = (prompts_of(truth, "true", number), prompts_of(truth, "moved", number))
        found = predictor.compare(seen, asked, FLOOR)
        drawn = [(one.mask, one.raw) for one in found.drawn]
        for place, pair in enumerate(((found.answer.mask, found.answer.raw), *drawn)):
            pixels[place, :, number] = [count_pixels(mask, truth) for mask in pair]
            drew[place, number] = pair[0].any()
        boxes.append(matches(found.every, _rows(asked[0]), labels[:1]))
    progress(len(films), len(films), ran.artifact)
    level = next(iter(predictor.parts[1].predictor.thresholds.values()))
    masks_of = {
        source: MaskScores(ran, level, pixels[place, 0], pixels[place, 1], drew[place], source)
        for place, source in enumerate(SOURCES)
    }
    one = len(labels) == 1
    found_boxes = BoxScores(ran, (predictor.thresholds[labels[0]],), boxes) if one else None
    return LesionScores(masks_of, found_boxes, labels)


def lesion_part(part: PartFilms, scored: Sequence[LesionScores]) -> PartFigures:
    """All variants on one part: `masks` of found boxes, `given_boxes` of true and moved ones.

    Raises:
        DataError: no film of the part has a mask.
    """
    whole = mask_part(part, [s.masks["found"] for s in scored])
    given = [
        row for source in SOURCES[1:] for row in mask_rows(part, [s.masks[source] for s in scored])
    ]
    by_boxes = {s.masks["found"].ran.artifact: s for s in scored}

    def against_true(row: ArtifactMasks) -> ArtifactMasks:
        masks = by_boxes[row.artifact].masks
        if row.boxes == "true":
            return row
        own = masks["found" if row.boxes == "found" else "moved"]
        return replace(row, losses=(*row.losses, lost_dice(part, masks["true"], own, TRUE_BOXES)))

    found = [s.boxes for s in scored if s.boxes is not None]
    labels = scored[0].labels
    rows, missing = box_rows(part, labels, found) if found else ((), (_SEVERAL,))
    return replace(
        whole,
        masks=tuple(map(against_true, whole.masks)),
        given_boxes=tuple(map(against_true, given)),
        boxes=rows,
        not_measured=missing,
    )


def _rows(boxes: Boxes) -> NDArray[np.float64]:
    """(T, 5): the only label's number, x0 y0 x1 y1."""
    return np.array([(0.0, *box) for box in boxes], np.float64).reshape(-1, 5)
