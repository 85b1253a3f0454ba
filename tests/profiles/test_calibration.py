"""Expected calibration error by hand, and temperatures against a search over a grid."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from clinicedge.profiles.calibration import (
    LEAST,
    MOST,
    calibration_error,
    fit_temperature,
    reliability,
    reliability_bins,
)
from clinicedge.profiles.paired import Place
from clinicedge.runtime.errors import DataError

PLACE = Place("", "phantoms", "guard")
Floats = NDArray[np.float64]


def loss(margin: Floats, positive: NDArray[np.bool_], temperature: float) -> float:
    scaled = margin / temperature
    return float(np.logaddexp(0.0, np.where(positive, -scaled, scaled)).sum())


def overconfident(n: int, by: float) -> tuple[Floats, NDArray[np.bool_]]:
    """Labels drawn with the probabilities that the margins divided by `by` say."""
    rng = np.random.default_rng(5)
    margin = rng.normal(0, 4, n)
    return margin, rng.random(n) < 1 / (1 + np.exp(-margin / by))


def test_calibration_error_by_hand() -> None:
    scores = [0.05, 0.05, 0.15, 0.95, 1.0]
    truth = [False, True, False, True, True]
    found = reliability(scores, truth, list("abcde"), PLACE)
    # |0.10 - 1| + |0.15 - 0| + |1.95 - 2|, of five films.
    assert found.ece.value == pytest.approx((0.9 + 0.15 + 0.05) / 5)
    assert found.ece.low <= found.ece.value <= found.ece.high
    assert [(b.low, b.high, b.n_films) for b in found.bins] == [
        (0.0, 0.1, 2),
        (0.1, 0.2, 1),
        (0.9, 1.0, 2),
    ]
    assert found.bins[0].positive_share == 0.5
    assert found.bins[2].mean_score == pytest.approx(0.975)


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=1, max_size=40))
@settings(max_examples=20, deadline=None)
def test_bins_hold_every_film_and_make_the_error(films: list[tuple[int, bool]]) -> None:
    scores = np.array([s for s, _ in films]) / 20
    truth = np.array([t for _, t in films])
    bins = reliability_bins(scores, truth)
    assert sum(b.n_films for b in bins) == len(films)
    error = sum(b.n_films * abs(b.mean_score - b.positive_share) for b in bins) / len(films)
    patients = [str(i) for i in range(len(films))]
    assert calibration_error(scores, truth, patients).value == pytest.approx(error)


@pytest.mark.parametrize("by", [0.5, 1.0, 2.5])
def test_the_temperature_of_made_scores_is_found(by: float) -> None:
    margin, positive = overconfident(4000, by)
    found = fit_temperature(margin, positive)
    assert found == pytest.approx(by, rel=0.12)


@given(st.lists(st.tuples(st.floats(-6, 6), st.booleans()), min_size=4, max_size=30))
@settings(max_examples=40, deadline=None)
def test_no_temperature_of_a_grid_is_likelier(films: list[tuple[float, bool]]) -> None:
    margin, positive = np.array([m for m, _ in films]), np.array([p for _, p in films])
    if positive.all() or not positive.any():
        return
    found = fit_temperature(margin, positive)
    grid = np.geomspace(LEAST, MOST, 60)
    best = min(loss(margin, positive, float(t)) for t in grid)
    if found is None:
        # The best lies at an end: nothing inside is better than both ends.
        ends = min(loss(margin, positive, LEAST), loss(margin, positive, MOST))
        assert best >= ends - 1e-6
    else:
        assert loss(margin, positive, found) <= best + 1e-6 * max(1.0, best)


def test_separated_and_useless_scores_have_no_temperature() -> None:
    truth = np.array([False, False, True, True])
    assert fit_temperature([-2.0, -1.0, 1.0, 2.0], truth) is None
    assert fit_temperature([2.0, 1.0, -1.0, -2.0], truth) is None


def test_scaling_mends_what_is_too_sure() -> None:
    margin, positive = overconfident(2000, 3.0)
    patients = [str(i) for i in range(2000)]
    found = fit_temperature(margin, positive)
    assert found is not None
    before = calibration_error(1 / (1 + np.exp(-margin)), positive, patients)
    after = calibration_error(1 / (1 + np.exp(-margin / found)), positive, patients)
    assert after.value < before.value / 2


def test_refusals() -> None:
    with pytest.raises(DataError, match=r"outside 0\.\.1"):
        calibration_error([1.2], [True], ["a"])
    with pytest.raises(DataError, match="outside"):
        calibration_error([math.nan], [True], ["a"])
    with pytest.raises(DataError, match="expected as many"):
        calibration_error([0.5], [True], ["a", "b"])
    with pytest.raises(DataError, match="films of both labels"):
        fit_temperature([0.5, 0.1], [True, True])
    with pytest.raises(DataError, match="all finite"):
        fit_temperature([math.inf, 0.1], [True, False])
