"""How much a classifier tells from outside the lungs, where no evidence of pneumonia is.

Its AUC on films whose lungs are hidden should be near .5; how near it comes to the AUC of the
plain films shows what it has learned by heart of frames, positions and exposures. Pure numpy: the
scorer may be a predictor, a pipeline or a network in training.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import DataError
from ..runtime.figures import Figure
from .hiding import VIEWS, Bools, Pixels, View, hide
from .metrics import area_with_interval, bootstrap_share

FILL = "the film's own median grey"
Scorer = Callable[[Pixels], float]
# From a whole film, the scorer of its views: a pipeline crops them all where the film's lungs are.
Prepare = Callable[[Pixels], Scorer]
# Row and column of the peak of an explanation of a whole film; None where the map is flat.
Peak = Callable[[Pixels], tuple[int, int] | None]


@dataclass(frozen=True, eq=False)
class AuditFilm:
    """A film, uint8 (H, W), its lungs, bool (H, W), whether it is positive, and whose it is."""

    pixels: Pixels
    lungs: Bools
    positive: bool
    patient: str


@dataclass(frozen=True)
class ViewArea:
    """AUC on one view; None where its scored films have one label only. `no_score`: films that
    the scorer gave NaN."""

    view: View
    auc: Figure | None
    no_score: int


@dataclass(frozen=True)
class AuditFigures:
    """All views of the same films.

    Attributes:
        peaks_inside: share of the positive films whose explanation peaks inside the lungs; None
            where there are no explanations.
        flat_maps: positive films whose map has no peak.
    """

    n_films: int
    n_positive: int
    n_patients: int
    views: tuple[ViewArea, ...]
    peaks_inside: Figure | None
    flat_maps: int

    def auc(self, view: View) -> Figure | None:
        """The area of a view."""
        return next(v.auc for v in self.views if v.view == view)


def audit(scorer: Scorer, films: Iterable[AuditFilm], peak: Peak | None = None) -> AuditFigures:
    """As `audit_prepared`, for a scorer that takes any film as it is."""
    return audit_prepared(lambda _: scorer, films, peak)


def audit_prepared(
    prepare: Prepare, films: Iterable[AuditFilm], peak: Peak | None = None
) -> AuditFigures:
    """Score each film in every view.

    Args:
        prepare: called with the film as it is, gives the scorer of its views: a larger score is
            more positive, NaN is none.
        films: read one at a time.
        peak: where an explanation of the film as it is is strongest; asked for positive films.

    Raises:
        DataError: no films, a mask of another size, or no lungs on one.
    """
    rows: list[list[float]] = []
    positives: list[bool] = []
    patients: list[str] = []
    peaks: list[bool | None] = []
    for film in films:
        _check(film)
        scorer = prepare(film.pixels)
        rows.append([scorer(hide(film.pixels, film.lungs, view)) for view in VIEWS])
        positives.append(film.positive)
        patients.append(film.patient)
        peaks.append(_inside(peak, film) if peak and film.positive else None)
    if not rows:
        raise DataError("no film with lungs to hide; expected some of both labels.")
    scores, positive = np.array(rows, np.float64), np.array(positives)
    return AuditFigures(
        n_films=len(rows),
        n_positive=int(positive.sum()),
        n_patients=len(set(patients)),
        views=view_areas(scores, positive, patients),
        peaks_inside=_share(peaks, patients),
        flat_maps=sum(positives) - sum(p is not None for p in peaks) if peak else 0,
    )


def _check(film: AuditFilm) -> None:
    if film.lungs.shape != film.pixels.shape or not film.lungs.any():
        raise DataError(
            f"a film of {film.pixels.shape} with lungs of {film.lungs.shape}, "
            f"{int(film.lungs.sum())} pixels; expected the same size and some."
        )


def _inside(peak: Peak, film: AuditFilm) -> bool | None:
    at = peak(film.pixels)
    return None if at is None else bool(film.lungs[at])


def view_areas(
    scores: NDArray[np.float64], positive: Bools, patients: list[str]
) -> tuple[ViewArea, ...]:
    """Of scores (N, views) in the order of `VIEWS`, NaN where there is none; positive (N,)."""
    return tuple(_area(view, scores[:, k], positive, patients) for k, view in enumerate(VIEWS))


def _area(
    view: View, scores: NDArray[np.float64], positive: Bools, patients: list[str]
) -> ViewArea:
    seen = np.isfinite(scores)
    truth = positive[seen]
    missing = int((~seen).sum())
    if truth.all() or not truth.any():
        return ViewArea(view, None, missing)
    kept = tuple(p for p, s in zip(patients, seen, strict=True) if s)
    return ViewArea(view, area_with_interval(scores[seen], truth, kept), missing)


def _share(peaks: list[bool | None], patients: list[str]) -> Figure | None:
    told = [(p, who) for p, who in zip(peaks, patients, strict=True) if p is not None]
    if not told:
        return None
    return bootstrap_share([p for p, _ in told], tuple(who for _, who in told))
