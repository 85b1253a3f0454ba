"""The written rule that picks a bundle's default method (docs/decisions/0008).

Among the methods that need no further runs of the network but two:

1. left out: a map that stays when the weights are shuffled (mean magnitude of the rank correlation
   with the twin's map above .5), and one that is empty on more than half of the films;
2. left out: insertion less deletion is worse than the best method's by more than .02, and the
   95 % interval of the paired difference by patients is below zero;
3. of the rest the one with the largest mean share of its weight inside the lungs; where no lungs
   are known, with the largest insertion less deletion. Equal to three digits: the first of
   `METHODS`.
"""

from collections.abc import Sequence

from ...runtime.explanations import METHODS
from .records import Choice, FilmFigures, MethodQuality, NotMeasured
from .summary import mean_difference, summarise

MOST_RANDOM = 0.5
MOST_FLAT = 0.5
WORSE = 0.02
DIGITS = 3


def pick(films: Sequence[FilmFigures]) -> Choice | None:
    """The method that wins on these films; None where none is left."""
    told = {m.method: m for m in summarise(films) if METHODS[m.method].passes == 0}
    out: list[NotMeasured] = []
    left = [m for m in told.values() if not _left_out(m, out)]
    if not left:
        return None
    best = max(left, key=lambda m: round(m.gain.value, DIGITS))
    kept = [m for m in left if not _worse(films, m, best, out)]
    by_lungs = all(m.lung_mass is not None for m in kept)
    winner = max(kept, key=lambda m: round(_figure(m, by_lungs), DIGITS))
    what = "share of the map inside the lungs" if by_lungs else "insertion less deletion"
    for m in kept:
        if m is not winner:
            out.append(NotMeasured(m.method, f"{what} {_figure(m, by_lungs):.3f}"))
    why = (
        f"{what} {_figure(winner, by_lungs):.3f}, the largest of {len(kept)} methods that were left"
    )
    return Choice(winner.method, why, tuple(out))


def _figure(m: MethodQuality, by_lungs: bool) -> float:
    return m.lung_mass.value if by_lungs and m.lung_mass is not None else m.gain.value


def _left_out(m: MethodQuality, out: list[NotMeasured]) -> bool:
    if m.random_rank is not None and m.random_rank.value > MOST_RANDOM:
        why = (
            f"its map stays when the weights are shuffled: rank correlation "
            f"{m.random_rank.value:.2f}, at most {MOST_RANDOM} allowed"
        )
    elif m.flat > MOST_FLAT * m.films:
        why = f"its map is empty on {m.flat} of {m.films} films"
    else:
        return False
    out.append(NotMeasured(m.method, why))
    return True


def _worse(
    films: Sequence[FilmFigures], m: MethodQuality, best: MethodQuality, out: list[NotMeasured]
) -> bool:
    """Paired by films, the interval by patients."""
    if m is best:
        return False
    differences, patients = [], []
    for film in films:
        gains = {one.method: one.insertion - one.deletion for one in film.maps}
        if m.method in gains and best.method in gains:
            differences.append(gains[m.method] - gains[best.method])
            patients.append(film.patient)
    found = mean_difference(differences, patients)
    if found.high >= 0 or found.value >= -WORSE:
        return False
    out.append(
        NotMeasured(
            m.method,
            f"insertion less deletion is {-found.value:.3f} ({-found.high:.3f}-{-found.low:.3f}) "
            f"below {best.method}'s",
        )
    )
    return True
