"""Two artifacts on the same films: what the second loses, and which decisions differ.

Every film is its own control, so far smaller losses show than by comparing two intervals.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..runtime.errors import DataError
from ..runtime.figures import Flips, Part
from ..runtime.guarding import USUAL_BUDGET, Budget, Lost, PairedLoss
from .metrics import area_under_curve, bootstrap_share
from .resampling import Bools, Floats, Z, draw_patients, number_patients, resampled_areas


@dataclass(frozen=True, eq=False)
class Decided:
    """Scores (N,) of one label, and the threshold: positive means score >= threshold."""

    scores: NDArray[np.floating]
    threshold: float

    @property
    def positive(self) -> Bools:
        """bool (N,)."""
        return np.asarray(self.scores, np.float64) >= self.threshold


@dataclass(frozen=True, eq=False)
class Known:
    """What is true of N films, bool (N,), and whose they are, N patient keys."""

    truth: NDArray[np.bool_]
    patients: Sequence[str]


@dataclass(frozen=True)
class Place:
    """Where decisions were compared: the decided label ("" for the only one), data and part."""

    label: str
    data: str
    part: Part


@dataclass(frozen=True)
class Changes:
    """Films decided otherwise; `mended`, `spoilt` and `p` as in `Flips`."""

    to_positive: int
    to_negative: int
    mended: int | None
    spoilt: int | None
    p: float | None


def label_losses(
    fp32: Decided, artifact: Decided, known: Known, label: str = "", budget: Budget = USUAL_BUDGET
) -> tuple[PairedLoss, PairedLoss, PairedLoss]:
    """Losses of sensitivity, specificity and AUC, each at the artifact's own threshold.

    Intervals: percentiles of a bootstrap over patients, both artifacts in the same resample;
    where all resamples agree, the score interval of a paired difference without discordant
    pairs, +- z^2 / (P + z^2) of P patients (Tango 1998, Stat. Med. 17:891).

    Args:
        label: the finding that it is about, "" for a binary model.

    Raises:
        DataError: other lengths, a score that is no number, or one class has no film.
    """
    truth = _checked(fp32, artifact, known)
    patient = number_patients(known.patients)
    draws = draw_patients(int(patient.max()) + 1)
    lost = _right(fp32, truth).astype(int) - _right(artifact, truth).astype(int)

    def share(figure: Lost, among: Bools) -> PairedLoss:
        n = draws.shape[1]
        sums = draws @ np.bincount(patient, weights=lost * among, minlength=n)
        counts = draws @ np.bincount(patient, weights=among, minlength=n)
        films, people = int(among.sum()), len(np.unique(patient[among]))
        value = int(lost[among].sum()) / films
        low, high = interval_of(value, sums[counts > 0] / counts[counts > 0], people)
        allowed = max(budget.points / 100, budget.films / films)
        return PairedLoss(figure, label, value, low, high, allowed, films, people)

    def area() -> PairedLoss:
        one, other = (np.asarray(d.scores, np.float64) for d in (fp32, artifact))
        losses = resampled_areas(one, truth, patient, draws)
        losses = losses - resampled_areas(other, truth, patient, draws)
        value = area_under_curve(one, truth) - area_under_curve(other, truth)
        rarer = min(len(np.unique(patient[truth])), len(np.unique(patient[~truth])))
        low, high = interval_of(value, losses[np.isfinite(losses)], rarer)
        return PairedLoss("auc", label, value, low, high, budget.auc, len(truth), draws.shape[1])

    return share("sensitivity", truth), share("specificity", ~truth), area()


def dice_loss(
    fp32: ArrayLike,
    artifact: ArrayLike,
    patients: Sequence[str],
    label: str = "",
    budget: Budget = USUAL_BUDGET,
) -> PairedLoss:
    """Loss of mean Dice, its interval as that of `label_losses`.

    Args:
        fp32, artifact: Dice (N,) of each film, 0..1, NaN where the film has no mask.

    Raises:
        DataError: other lengths, other films with a mask, or none.
    """
    one, other = (np.asarray(d, np.float64).reshape(-1) for d in (fp32, artifact))
    has = np.isfinite(one)
    if not len(one) == len(other) == len(patients) or not np.array_equal(has, np.isfinite(other)):
        raise DataError(
            f"{len(one)} and {len(other)} figures of {len(patients)} films; expected one of each "
            "a film, and of both where the film has a mask."
        )
    if not has.any():
        raise DataError(f"none of {len(one)} films has a mask; Dice needs some.")
    lost = (one - other)[has]
    patient = number_patients([p for p, h in zip(patients, has, strict=True) if h])
    n = int(patient.max()) + 1
    draws = draw_patients(n)
    sums = draws @ np.bincount(patient, weights=lost, minlength=n)
    value = float(lost.mean())
    low, high = interval_of(value, sums / (draws @ np.bincount(patient, minlength=n)), n)
    return PairedLoss("dice", label, value, low, high, budget.dice, len(lost), n)


def agreement_loss(
    differs: ArrayLike, patients: Sequence[str], label: str = "", budget: Budget = USUAL_BUDGET
) -> PairedLoss:
    """The share of films that the two decide otherwise, where nobody knows what is true.

    Args:
        differs: bool (N,).

    Raises:
        DataError: other lengths, or no film.
    """
    share = bootstrap_share(differs, patients)
    allowed = max(budget.points / 100, budget.films / share.n)
    people = share.n_patients
    return PairedLoss(
        "agreement", label, share.value, share.low, share.high, allowed, share.n, people
    )


def worst_share(losses: Iterable[PairedLoss]) -> float:
    """The loss that used most of its allowance, as a share of it; at most 1 keeps the budget.

    0 where nothing was lost; infinite where something was and nothing is allowed.
    """
    return max((_used(loss) for loss in losses), default=0.0)


def count_flips(fp32: Decided, artifact: Decided, truth: ArrayLike | None, place: Place) -> Flips:
    """Films of one label that the two decide otherwise, each at its own threshold.

    Args:
        truth: bool (N,), None where it is not known.

    Raises:
        DataError: other lengths.
    """
    found = count_changes(fp32, artifact, truth)
    return Flips(
        label=place.label,
        data=place.data,
        part=place.part,
        n_films=len(fp32.scores),
        to_positive=found.to_positive,
        to_negative=found.to_negative,
        mended=found.mended,
        spoilt=found.spoilt,
        p=found.p,
    )


def count_changes(fp32: Decided, artifact: Decided, truth: ArrayLike | None) -> Changes:
    """The counts of `count_flips`; raises as it."""
    was, now = fp32.positive, artifact.positive
    if len(was) != len(now) or (truth is not None and np.size(truth) != len(was)):
        raise DataError(f"{len(was)} and {len(now)} scores; expected one of each a film.")
    changed = was != now
    mended = spoilt = None
    p = None
    if truth is not None:
        right = now == np.asarray(truth, bool).reshape(-1)
        mended, spoilt = int((changed & right).sum()), int((changed & ~right).sum())
        p = mcnemar(mended, spoilt)
    return Changes(
        to_positive=int((changed & now).sum()),
        to_negative=int((changed & was).sum()),
        mended=mended,
        spoilt=spoilt,
        p=p,
    )


def mcnemar(mended: int, spoilt: int) -> float:
    """Exact two-sided probability of so uneven a split, were each change as likely either way.

    Twice the tail of a binomial with one half, at most 1 (McNemar 1947, Psychometrika 12:153).
    """
    n, fewer = mended + spoilt, min(mended, spoilt)
    tail = sum(math.comb(n, k) for k in range(fewer + 1))
    # Whole numbers until here: 2 ** n is beyond floats from n = 1024 on.
    return 1.0 if 2 * tail >= 1 << n else 2 * tail / (1 << n)


def _checked(fp32: Decided, artifact: Decided, known: Known) -> Bools:
    truth = np.asarray(known.truth, bool).reshape(-1)
    lengths = [len(fp32.scores), len(artifact.scores), len(truth), len(known.patients)]
    if len(set(lengths)) > 1:
        raise DataError(
            f"{lengths[0]} and {lengths[1]} scores, {lengths[2]} labels, {lengths[3]} patients; "
            "expected as many of each."
        )
    if not (np.isfinite(fp32.scores).all() and np.isfinite(artifact.scores).all()):
        raise DataError("some scores are not finite numbers; leave this artifact out.")
    if truth.all() or not truth.any():
        raise DataError(
            f"all {len(truth)} films are {'positive' if truth.any() else 'negative'}; "
            "sensitivity, specificity and AUC need films of both labels."
        )
    return truth


def _right(one: Decided, truth: Bools) -> Bools:
    right: Bools = one.positive == truth
    return right


def interval_of(value: float, resampled: Floats, n_patients: int) -> tuple[float, float]:
    """95 % interval of a paired difference from its resamples; see `label_losses`."""
    low, high = (float(v) for v in np.percentile(resampled, (2.5, 97.5)))
    if low == high:
        half = Z**2 / (n_patients + Z**2)
        low, high = max(-1.0, value - half), min(1.0, value + half)
    return min(low, value), max(high, value)


def _used(loss: PairedLoss) -> float:
    if loss.value <= 0:
        return 0.0
    return loss.value / loss.allowed if loss.allowed > 0 else math.inf
