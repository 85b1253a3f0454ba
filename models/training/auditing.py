"""The shortcut audit of weights: what they tell with the lungs, or all but the lungs, hidden."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ...profiles.datasets import Dataset
from ...profiles.shortcut_audit import AuditFigures, AuditFilm, Scorer, audit_prepared
from ...runtime.film import Film, FilmSource
from ...runtime.images import prepare, read_film
from ...runtime.lungs import crop
from ...runtime.regions import enlarge_nearest
from ...runtime.spec import ModelSpec
from .cropping import LungFinder

Pixels = NDArray[np.uint8]


def audit_weights(
    module: nn.Module,
    data: Dataset,
    model: ModelSpec,
    folders: tuple[Path, ...] = (),
    advance: Callable[[], None] = lambda: None,
) -> AuditFigures:
    """On the internal test part; lungs as `lungs-128` draws them.

    A network for lung crops sees every view cropped to the box of the film as it is.

    Raises:
        WeightsMissingError: `lungs-128` has no weights.
        DataError: no film of the part shows lungs.
    """
    finder = LungFinder(folders)
    module.eval()

    def score(film: Film) -> float:
        with torch.inference_mode():
            logits = module(torch.from_numpy(prepare(film, model.input))).double()
        return float(torch.softmax(logits, dim=1)[0, 1])

    def scorer(pixels: Pixels) -> Scorer:
        if model.input.region == "film":
            return lambda view: score(_film(view))
        box = finder.box(_film(pixels))
        return lambda view: float("nan") if box is None else score(crop(_film(view), box))

    films = _films(data.part("test"), model, finder, advance)
    return audit_prepared(scorer, films)


def _film(pixels: Pixels) -> Film:
    return Film(pixels, None, FilmSource("array", "view"))


def _films(
    data: Dataset, model: ModelSpec, finder: LungFinder, advance: Callable[[], None]
) -> Iterator[AuditFilm]:
    positive = model.outputs[0].positive_label
    for film in data.films:
        read = read_film(film.path, model.input.dicom.voi)
        found = finder.find(read)
        advance()
        if found is not None:
            mask = enlarge_nearest(found.mask, read.pixels.shape)
            yield AuditFilm(read.pixels, mask, film.label == positive, film.patient_key)
