"""Paired losses, flips and McNemar's test against brute force and published numbers."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinicedge.profiles.metrics import evaluate_binary
from clinicedge.profiles.paired import (
    Decided,
    Known,
    Place,
    count_flips,
    dice_loss,
    label_losses,
    mcnemar,
    worst_share,
)
from clinicedge.runtime.errors import DataError
from clinicedge.runtime.guarding import Budget, PairedLoss

PLACE = Place("", "phantoms", "guard")
# (score of one, score of the other, truth, patient); few scores, so that ties are common.
FILMS = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 6), st.booleans(), st.integers(0, 9)),
    min_size=2,
    max_size=30,
).filter(lambda films: len({t for _, _, t, _ in films}) == 2)
Films = list[tuple[int, int, bool, int]]


def drawn(films: Films, thresholds: tuple[float, float] = (0.5, 0.5)) -> tuple[Decided, Decided]:
    one, other = (np.array([f[i] for f in films]) / 6 for i in (0, 1))
    return Decided(one, thresholds[0]), Decided(other, thresholds[1])


def known(films: Films) -> Known:
    return Known(np.array([f[2] for f in films]), [f"p{f[3]}" for f in films])


@given(st.integers(0, 5), st.integers(0, 5))
@settings(max_examples=20, deadline=None)
def test_mcnemar_counts_every_way_that_coins_can_fall(mended: int, spoilt: int) -> None:
    n, uneven = mended + spoilt, abs(mended - spoilt)
    falls = [abs(2 * sum(coins) - n) for coins in itertools.product((0, 1), repeat=n)]
    share = sum(f >= uneven for f in falls) / len(falls)
    assert mcnemar(mended, spoilt) == pytest.approx(share)
    assert mcnemar(mended, spoilt) == mcnemar(spoilt, mended)


def test_mcnemar_as_tabled() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(0, 5) == pytest.approx(0.0625)
    assert mcnemar(0, 6) == pytest.approx(0.03125)
    # Binomial test of 4 in 25, as R's binom.test(4, 25) prints it.
    assert mcnemar(4, 21) == pytest.approx(0.0009105, rel=1e-3)
    assert 0 < mcnemar(900, 1300) < 1e-10


@given(FILMS)
@settings(max_examples=15, deadline=None)
def test_losses_are_the_difference_of_the_two_figures(films: Films) -> None:
    pair, truth = drawn(films), known(films)
    figures = [evaluate_binary(d.scores, truth.truth, truth.patients, d.threshold) for d in pair]
    for loss in label_losses(*pair, truth):
        one, other = (getattr(f, loss.figure) for f in figures)
        assert loss.value == pytest.approx(one.value - other.value)
        assert (loss.n, loss.n_patients) == (one.n, one.n_patients)
        assert -1 <= loss.low <= loss.value <= loss.high <= 1


@given(FILMS)
@settings(max_examples=15, deadline=None)
def test_the_other_way_round_is_a_gain(films: Films) -> None:
    one, other = drawn(films)
    there = label_losses(one, other, known(films))
    back = label_losses(other, one, known(films))
    for a, b in zip(there, back, strict=True):
        assert (a.value, a.low, a.high) == pytest.approx((-b.value, -b.high, -b.low))


@given(FILMS, st.floats(0.1, 0.9), st.floats(0.1, 0.9))
@settings(max_examples=30, deadline=None)
def test_flips_are_counted_film_by_film(films: Films, first: float, second: float) -> None:
    one, other = drawn(films, (first, second))
    found = count_flips(one, other, known(films).truth, PLACE)
    rows = [(a / 6 >= first, b / 6 >= second, t) for a, b, t, _ in films]
    assert found.n_films == len(films)
    assert found.to_positive == sum(b and not a for a, b, _ in rows)
    assert found.to_negative == sum(a and not b for a, b, _ in rows)
    assert found.mended == sum(a != b and b == t for a, b, t in rows)
    assert found.spoilt == sum(a != b and a == t for a, b, t in rows)
    blind = count_flips(one, other, None, PLACE)
    assert (blind.mended, blind.spoilt, blind.p) == (None, None, None)
    assert blind.to_positive == found.to_positive


def test_intervals_resample_both_in_the_same_draw() -> None:
    # Both wrong on the same films: each figure is uncertain, their difference is not.
    rng = np.random.default_rng(1)
    truth = rng.random(200) < 0.5
    scores = np.where(rng.random(200) < 0.8, truth, ~truth) * 0.8 + 0.1
    patients = [f"p{i}" for i in range(200)]
    own = Decided(scores, 0.5)
    alike = label_losses(own, Decided(scores * 0.99, 0.5), Known(truth, patients))
    assert [loss.value for loss in alike] == [0.0, 0.0, 0.0]
    z2 = 1.959963984540054**2
    n = int(truth.sum())
    assert alike[0].high == pytest.approx(z2 / (n + z2))
    assert alike[0].low == -alike[0].high


def test_interval_against_resampling_by_hand() -> None:
    # One film a patient, so that the resampled loss is the mean of drawn films.
    rng = np.random.default_rng(2)
    truth = np.arange(300) % 2 == 0
    one = np.where(truth, 0.9, 0.1)
    other = np.where(rng.random(300) < 0.1, 1 - one, one)
    loss = label_losses(
        Decided(one, 0.5), Decided(other, 0.5), Known(truth, [str(i) for i in range(300)])
    )[0]
    wrong = (one != other)[truth]
    half = 1.96 * math.sqrt(wrong.mean() * (1 - wrong.mean()) / len(wrong))
    assert loss.low == pytest.approx(wrong.mean() - half, abs=0.02)
    assert loss.high == pytest.approx(wrong.mean() + half, abs=0.02)


@pytest.mark.parametrize(("lost", "within"), [(2, True), (3, False)])
def test_two_films_are_allowed_and_no_third(lost: int, within: bool) -> None:
    truth = np.arange(146) < 73
    one = np.where(truth, 0.9, 0.1)
    other = one.copy()
    other[:lost] = 0.2
    losses = label_losses(
        Decided(one, 0.5), Decided(other, 0.5), Known(truth, [str(i) for i in range(146)])
    )
    assert losses[0].allowed == 2 / 73
    assert (worst_share(losses[:2]) <= 1) is within


def test_half_a_point_is_allowed_where_that_is_more_films() -> None:
    truth = np.arange(2000) < 1000
    one = np.where(truth, 0.9, 0.1)
    other = one.copy()
    other[:5] = 0.2
    pair = Decided(one, 0.5), Decided(other, 0.5)
    losses = label_losses(*pair, Known(truth, [str(i) for i in range(2000)]), "a finding")
    assert losses[0].allowed == 0.005
    assert worst_share(losses[:1]) == 1.0
    assert losses[0].label == "a finding"


def test_nothing_allowed() -> None:
    def loss(value: float) -> PairedLoss:
        return PairedLoss("auc", "", value, -1.0, 1.0, 0.0, 10, 10)

    assert worst_share([loss(0.0)]) == 0.0
    assert worst_share([loss(-0.1)]) == 0.0
    assert worst_share([loss(0.01)]) == math.inf
    assert worst_share([]) == 0.0


def test_dice_leaves_films_without_a_mask_out() -> None:
    one = [0.9, 0.8, math.nan, 0.7]
    loss = dice_loss(one, [0.8, 0.8, math.nan, 0.7], ["a", "a", "b", "c"], "tumour", Budget())
    assert loss.value == pytest.approx(0.1 / 3)
    assert (loss.figure, loss.n, loss.n_patients, loss.allowed) == ("dice", 3, 2, 0.005)
    assert loss.low <= loss.value <= loss.high
    with pytest.raises(DataError, match="none of 2 films has a mask"):
        dice_loss([math.nan] * 2, [math.nan] * 2, ["a", "b"])
    with pytest.raises(DataError, match="expected one of each"):
        dice_loss([0.5, math.nan], [0.5, 0.5], ["a", "b"])


def test_refusals() -> None:
    own = Decided(np.array([0.1, 0.9]), 0.5)
    truth = np.array([False, True])
    with pytest.raises(DataError, match="expected as many"):
        label_losses(own, Decided(np.array([0.1]), 0.5), Known(truth, ["a", "b"]))
    with pytest.raises(DataError, match="not finite"):
        label_losses(own, Decided(np.array([0.1, np.nan]), 0.5), Known(truth, ["a", "b"]))
    with pytest.raises(DataError, match="all 2 films are positive"):
        label_losses(own, own, Known(np.ones(2, bool), ["a", "b"]))
    with pytest.raises(DataError, match="expected one of each a film"):
        count_flips(own, Decided(np.array([0.1]), 0.5), None, PLACE)
