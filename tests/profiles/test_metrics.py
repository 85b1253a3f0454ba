"""Figures against brute force, and intervals that behave."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinicedge.profiles.metrics import (
    area_under_curve,
    evaluate_binary,
    pick_agreeing,
    pick_threshold,
    wilson,
)
from clinicedge.runtime.errors import DataError

# Few distinct scores, so that ties are common.
PAIRS = st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=2, max_size=40).filter(
    lambda pairs: len({positive for _, positive in pairs}) == 2
)


def split(pairs: list[tuple[int, bool]]) -> tuple[list[float], list[bool]]:
    return [s / 8 for s, _ in pairs], [p for _, p in pairs]


@given(PAIRS)
def test_area_counts_pairs(pairs: list[tuple[int, bool]]) -> None:
    scores, positives = split(pairs)
    up = [s for s, p in zip(scores, positives, strict=True) if p]
    down = [s for s, p in zip(scores, positives, strict=True) if not p]
    wins = sum((a > b) + (a == b) / 2 for a, b in itertools.product(up, down))
    assert area_under_curve(scores, positives) == pytest.approx(wins / (len(up) * len(down)))


@given(PAIRS)
def test_no_threshold_is_better_than_the_picked_one(pairs: list[tuple[int, bool]]) -> None:
    scores, positives = split(pairs)
    score, positive = np.array(scores), np.array(positives)
    value, rule = pick_threshold(scores, positives)

    def gain(threshold: float) -> float:
        called = score >= threshold
        return float(called[positive].mean() - called[~positive].mean())

    if len(set(scores)) > 1:
        middles = (np.unique(score)[1:] + np.unique(score)[:-1]) / 2
        assert gain(value) == pytest.approx(max(gain(m) for m in middles))
        assert value in middles
    assert "Youden" in rule


@given(PAIRS)
def test_no_threshold_agrees_more_than_the_agreeing_one(pairs: list[tuple[int, bool]]) -> None:
    scores, decided = split(pairs)
    score, called = np.array(scores), np.array(decided)
    value = pick_agreeing(scores, decided)

    def flips(threshold: float) -> int:
        return int(((score >= threshold) != called).sum())

    around = np.concatenate(
        [[-1.0], np.unique(score), [score.max() + 1.0 if score.max() < 1 else 0]]
    )
    assert flips(value) == min(flips(t) for t in around)


def test_the_same_scores_get_a_threshold_that_decides_the_same() -> None:
    score = np.random.default_rng(4).random(50)
    for threshold in (0.0, 0.2, 0.5, 0.99):
        assert np.array_equal(score >= pick_agreeing(score, score >= threshold), score >= threshold)


def test_of_equal_gaps_the_widest_is_taken() -> None:
    value, _ = pick_threshold([0.1, 0.2, 0.8, 0.9], [False, False, True, True])
    assert value == pytest.approx(0.5)


def test_a_threshold_between_adjacent_floats_still_separates() -> None:
    low = 0.5
    high = float(np.nextafter(low, 1))
    value, _ = pick_threshold([low, high], [False, True])
    assert low < value <= high


@settings(max_examples=20, deadline=None)
@given(PAIRS, st.integers(1, 5))
def test_figures_are_inside_their_intervals(pairs: list[tuple[int, bool]], films: int) -> None:
    scores, positives = split(pairs)
    patients = [f"p{i // films}" for i in range(len(scores))]
    result = evaluate_binary(scores, positives, patients, 0.5)
    called = np.array(scores) >= 0.5
    truth = np.array(positives)
    assert result.accuracy.value == pytest.approx(float((called == truth).mean()))
    assert result.sensitivity.value == pytest.approx(float(called[truth].mean()))
    assert result.specificity.value == pytest.approx(float((~called)[~truth].mean()))
    assert (result.sensitivity.n, result.specificity.n) == (truth.sum(), (~truth).sum())
    assert result.accuracy.n_patients == len(set(patients))
    for f in (result.accuracy, result.sensitivity, result.specificity, result.auc):
        assert 0 <= f.low <= f.value <= f.high <= 1


def test_perfect_scores_do_not_claim_certainty() -> None:
    scores = [0.9] * 20 + [0.1] * 20
    result = evaluate_binary(scores, [s > 0.5 for s in scores], [str(i) for i in range(40)], 0.5)
    assert (result.accuracy.value, result.auc.value) == (1.0, 1.0)
    assert result.accuracy.low == pytest.approx(wilson(1.0, 40)[0])
    assert result.sensitivity.low == pytest.approx(0.8389, abs=1e-4)
    assert result.auc.low == pytest.approx(0.8389, abs=1e-4)


def test_wilson_as_published() -> None:
    # Newcombe 1998, method 3: 81 of 263
    assert wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)


def test_films_of_few_patients_widen_the_interval() -> None:
    rng = np.random.default_rng(1)
    right = np.repeat(rng.random(40) < 0.8, 10)
    truth = np.tile([True, False], 200)
    scores = np.where(right == truth, 0.9, 0.1)
    alone = evaluate_binary(scores, truth, [str(i) for i in range(400)], 0.5).accuracy
    clustered = evaluate_binary(scores, truth, [str(i // 10) for i in range(400)], 0.5).accuracy
    assert clustered.value == alone.value
    assert clustered.high - clustered.low > 2 * (alone.high - alone.low)


def test_figures_are_the_same_every_time() -> None:
    rng = np.random.default_rng(2)
    scores, truth = rng.random(60), rng.random(60) < 0.5
    patients = [str(i // 2) for i in range(60)]
    assert evaluate_binary(scores, truth, patients, 0.5) == evaluate_binary(
        scores, truth, patients, 0.5
    )


@pytest.mark.parametrize(
    ("scores", "positives", "patients", "words"),
    [
        ([0.1, 0.2], [True, True], ["a", "b"], "all 2 films are positive"),
        ([0.1, 0.2], [False, False], ["a", "b"], "all 2 films are negative"),
        ([0.1, float("nan")], [True, False], ["a", "b"], "not finite"),
        ([0.1], [True, False], ["a", "b"], "expected as many"),
        ([0.1, 0.2], [True, False], ["a"], "expected as many"),
        ([], [], [], "at least one"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    scores: list[float], positives: list[bool], patients: list[str], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        evaluate_binary(scores, positives, patients, 0.5)
