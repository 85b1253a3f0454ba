"""Thresholds by F1, and figures of each finding."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinicedge.profiles.findings_metrics import evaluate_findings
from clinicedge.profiles.metrics import bootstrap_ratio, pick_threshold_f1
from clinicedge.runtime.errors import DataError


def f1(scores: np.ndarray, truth: np.ndarray, threshold: float) -> float:
    """From the definition: precision and recall."""
    called = scores >= threshold
    hit = (called & truth).sum()
    if not hit:
        return 0.0
    precision, recall = hit / called.sum(), hit / truth.sum()
    return float(2 * precision * recall / (precision + recall))


FILMS = st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=2, max_size=30)


@given(FILMS)
def test_no_threshold_has_a_larger_f1(films: list[tuple[int, bool]]) -> None:
    scores = np.array([s / 20 for s, _ in films])
    truth = np.array([t for _, t in films])
    if truth.all() or not truth.any():
        with pytest.raises(DataError, match="with and without"):
            pick_threshold_f1(scores, truth)
        return
    threshold, rule = pick_threshold_f1(scores, truth)
    best = max(f1(scores, truth, t) for t in scores)
    assert f1(scores, truth, threshold) == pytest.approx(best)
    assert "F1" in rule


def test_the_widest_of_equal_gaps_is_taken() -> None:
    assert pick_threshold_f1([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1])[0] == pytest.approx(0.5)
    assert pick_threshold_f1([0.4, 0.5, 0.6], [1, 0, 1])[0] == pytest.approx(0.2)


def test_scores_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(DataError, match="1 scores are not finite"):
        pick_threshold_f1([0.5, float("nan")], [True, False])
    with pytest.raises(DataError, match="as many"):
        pick_threshold_f1([0.5], [True, False])


def test_each_finding_has_its_own_figures() -> None:
    scores = np.array([[0.9, 0.2, 0.1], [0.8, 0.7, 0.1], [0.1, 0.6, 0.1], [0.2, 0.1, 0.1]])
    truth = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 0, 0]], bool)
    rules = (("a", 0.5), ("b", 0.5), ("c", 0.5))
    one, two, none = evaluate_findings(scores, truth, ["p", "q", "r", "s"], rules)
    assert one.figures is not None
    assert one.f1 is not None
    assert (one.figures.accuracy.value, one.figures.auc.value, one.f1.value) == (1.0, 1.0, 1.0)
    assert two.figures is not None
    assert two.f1 is not None
    assert two.figures.accuracy.value == 0.75
    assert two.f1.value == pytest.approx(f1(scores[:, 1], truth[:, 1], 0.5))
    assert two.f1.low <= two.f1.value <= two.f1.high
    assert (none.n_positive, none.n_films, none.figures, none.f1) == (0, 4, None, None)


def test_shapes_must_agree() -> None:
    with pytest.raises(DataError, match="expected"):
        evaluate_findings(np.zeros((2, 2)), np.zeros((2, 1), bool), ["p", "q"], [("a", 0.5)])


def test_a_ratio_of_sums_resamples_patients() -> None:
    same = bootstrap_ratio([1, 1, 0, 2], [2, 2, 2, 2], ["p", "p", "q", "r"])
    assert (same.value, same.n, same.n_patients) == (0.5, 4, 3)
    assert same.low < 0.5 < same.high
    with pytest.raises(DataError, match="sum to 0"):
        bootstrap_ratio([0], [0], ["p"])
