"""The shortcut audit of weights: what they tell with the lungs, or all but the lungs, hidden."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ...profiles.datasets import Dataset
from ...profiles.hiding import VIEWS, Bools, Pixels, hide
from ...profiles.shortcut_audit import AuditFigures, view_areas
from ...runtime.errors import DataError, WeightsMissingError
from ...runtime.film import Film, FilmSource
from ...runtime.images import prepare, read_film
from ...runtime.lungs import Lungs, crop
from ...runtime.regions import enlarge_nearest
from ...runtime.spec import ModelSpec
from .cards.card import Card
from .cropping import LungFinder
from .targets import Data

_VIEW = FilmSource("array", "view")


def audited(
    card: Card, module: nn.Module, data: Data, model: ModelSpec, folders: tuple[Path, ...]
) -> Card:
    """With the audit of classifiers of chest films, or the reason why there is none."""
    if not isinstance(data, Dataset) or model.intended_use.body_part != "CHEST":
        return card
    try:
        found = audit_weights(module, data, model, folders)
    except WeightsMissingError:
        return replace(
            card, audit_note="`lungs-128`, which finds the lungs to hide, had no weights"
        )
    except DataError:
        return replace(card, audit_note="no film of the internal test shows lungs to hide")
    if model.task == "findings":
        return replace(card, audits=found, audit_note="")
    return replace(card, audit=next(iter(found.values())), audit_note="")


def audit_weights(
    module: nn.Module,
    data: Dataset,
    model: ModelSpec,
    folders: tuple[Path, ...] = (),
    advance: Callable[[], None] = lambda: None,
) -> dict[str, AuditFigures]:
    """On the internal test part; lungs as `lungs-128` draws them.

    A network for lung crops sees every view cropped to the box of the film as it is.

    Returns:
        Figures of each label against the films without it: the positive one of a classifier, all
        of a findings model.

    Raises:
        WeightsMissingError: `lungs-128` has no weights.
        DataError: no film of the part shows lungs.
    """
    finder = LungFinder(folders)
    module.eval()
    films = data.part("test")
    labels, truth = _truth(films, model)
    scores, seen = [], []
    for number, pixels, lungs in _films(films, model, finder, advance):
        mask = enlarge_nearest(lungs.mask, pixels.shape)
        box = lungs.box if model.input.region == "lungs" else None
        views = [Film(hide(pixels, mask, view), None, _VIEW) for view in VIEWS]
        scores.append(_shares(module, model, [crop(v, box) for v in views] if box else views))
        seen.append(number)
    if not seen:
        raise DataError("no film with lungs to hide; expected some in the part 'test'.")
    patients = [films.films[number].patient_key for number in seen]
    shown = np.array(scores)
    return {
        label: _figures(shown[:, :, k], truth[seen, k], patients) for k, label in enumerate(labels)
    }


def _truth(films: Dataset, model: ModelSpec) -> tuple[tuple[str, ...], Bools]:
    """The labels asked about, and whether each film has each: bool (N, K)."""
    head = model.outputs[0]
    if model.task == "findings":
        return head.labels, films.findings(head.labels)
    positive = head.positive_label or ""
    return (positive,), np.array(films.positives(positive), bool)[:, None]


def _shares(module: nn.Module, model: ModelSpec, films: list[Film]) -> NDArray[np.float64]:
    """The probability (N, K) of each label asked about."""
    pixels = np.concatenate([prepare(film, model.input) for film in films])
    with torch.inference_mode():
        logits = module(torch.from_numpy(pixels)).double()
    several = model.task == "findings"
    shares = torch.sigmoid(logits) if several else torch.softmax(logits, dim=1)[:, 1:]
    return np.asarray(shares.numpy())


def _figures(scores: NDArray[np.float64], positive: Bools, patients: list[str]) -> AuditFigures:
    return AuditFigures(
        n_films=len(positive),
        n_positive=int(positive.sum()),
        n_patients=len(set(patients)),
        views=view_areas(scores, positive, patients),
        peaks_inside=None,
        flat_maps=0,
    )


def _films(
    films: Dataset, model: ModelSpec, finder: LungFinder, advance: Callable[[], None]
) -> Iterator[tuple[int, Pixels, Lungs]]:
    """The films that show lungs: their number, pixels and lungs."""
    for number, film in enumerate(films.films):
        read = read_film(film.path, model.input.dicom.voi)
        found = finder.find(read)
        advance()
        if found is not None:
            yield number, read.pixels, found
