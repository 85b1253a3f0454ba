"""What a promptable model is asked with in a conversion: the box around each true region."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..profiles.box_prompts import TrueObject, true_objects
from ..runtime.errors import DataError
from .films import ConversionFilms, FilmSet

# Where a chest film has its lungs: x0 y0 x1 y1 as shares of the film. For films of which nothing
# is known, and for acceptance films.
USUAL_BOXES = ((0.08, 0.12, 0.48, 0.86), (0.52, 0.12, 0.92, 0.86))


def usual_boxes(size: Sequence[int]) -> tuple[tuple[float, float, float, float], ...]:
    """Two boxes on a picture (H, W), in its pixels, rounded to whole ones."""
    height, width = size
    return tuple(
        (
            float(round(a * width)),
            float(round(b * height)),
            float(round(c * width)),
            float(round(d * height)),
        )
        for a, b, c, d in USUAL_BOXES
    )


def prompted(films: ConversionFilms) -> ConversionFilms:
    """With boxes; films of select and guard on which nothing is there are left out.

    Raises:
        DataError: a part has no film with a mask.
    """
    return replace(
        films,
        calibration=_prompted(films.calibration, all_films=True),
        select=_prompted(films.select, all_films=False),
        guard=_prompted(films.guard, all_films=False),
    )


def objects_of(films: FilmSet) -> tuple[tuple[TrueObject, ...], ...]:
    """The true regions of each film; none where no masks are known."""
    if films.truth is None:
        return tuple(() for _ in range(len(films)))
    return tuple(true_objects(mask) for mask in films.truth)


def _prompted(films: FilmSet, all_films: bool) -> FilmSet:
    if films.truth is None or all_films:
        boxes = np.array(usual_boxes(films.pixels.shape[1:]), np.float32)
        return replace(films, boxes=(boxes,) * len(films))
    objects = objects_of(films)
    chosen = [i for i, found in enumerate(objects) if found]
    if not chosen:
        raise DataError(
            f"part '{films.part}' of {films.data} has no film with a mask; a promptable model is "
            "judged by what it draws in the boxes around masks. Give a data folder with some."
        )
    index: NDArray[np.intp] = np.array(chosen)
    return replace(
        films,
        pixels=films.pixels[index],
        truth=films.truth[index],
        patients=tuple(films.patients[i] for i in chosen),
        boxes=tuple(np.stack([o.box for o in objects[i]]) for i in chosen),
    )
