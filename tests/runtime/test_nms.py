"""Non-maximum suppression against the rule written as two loops."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinicedge.runtime.nms import at_least, probability, suppress
from clinicedge.runtime.spec import DetectionRules

Pairs = list[tuple[int, int]]


def overlap(a: list[float], b: list[float]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    both = max(width, 0.0) * max(height, 0.0)
    sizes = [max(c[2] - c[0], 0.0) * max(c[3] - c[1], 0.0) for c in (a, b)]
    either = sum(sizes) - both
    return both / either if either else 0.0


def plain(
    boxes: np.ndarray, logits: np.ndarray, floors: list[float], rules: DetectionRules
) -> tuple[Pairs, bool]:
    """Every pair of candidates compared."""
    count, k = logits.shape
    candidates = [
        (-float(logits[n, c]), n, c)
        for n in range(count)
        for c in range(k)
        if 1.0 / (1.0 + math.exp(-float(logits[n, c]))) >= floors[c]
    ]
    candidates.sort()
    more = len(candidates) > rules.max_candidates
    kept: Pairs = []
    for _, n, c in candidates[: rules.max_candidates]:
        rivals = [m for m, other in kept if other == c]
        if all(overlap(boxes[n].tolist(), boxes[m].tolist()) <= rules.nms_iou for m in rivals):
            kept.append((n, c))
    return kept[: rules.max_boxes], more or len(kept) > rules.max_boxes


CORNER = st.integers(0, 6)
SIDE = st.integers(0, 4)
BOX = st.tuples(CORNER, CORNER, SIDE, SIDE).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))


@given(st.data(), st.integers(0, 12), st.integers(1, 3))
def test_as_two_loops_ties_included(data: st.DataObject, count: int, k: int) -> None:
    boxes = np.array(data.draw(st.lists(BOX, min_size=count, max_size=count)), np.float32)
    # Few values, so that many are equal.
    rows = st.lists(st.sampled_from((-2.0, 0.0, 0.5, 3.0)), min_size=count * k, max_size=count * k)
    logits = np.array(data.draw(rows), np.float32).reshape(count, k)
    floors = data.draw(st.lists(st.sampled_from((0.1, 0.5, 0.6)), min_size=k, max_size=k))
    rules = DetectionRules(
        data.draw(st.sampled_from((0.2, 0.5, 1.0))),
        data.draw(st.integers(3, 30)),
        data.draw(st.integers(1, 3)),
    )
    found = suppress(boxes.reshape(-1, 4), logits, floors, rules)
    wanted, more = plain(boxes, logits, floors, rules)
    assert list(zip(found.box.tolist(), found.label.tolist(), strict=True)) == wanted
    assert found.more == more


def test_equals_are_ordered_by_box_and_then_label() -> None:
    boxes = np.array([[0, 0, 4, 4], [10, 0, 14, 4], [0, 0, 4, 4]], np.float32)
    logits = np.full((3, 2), 1.5, np.float32)
    found = suppress(boxes, logits, (0.5, 0.5), DetectionRules(0.5, 100, 100))
    assert found.box.tolist() == [0, 0, 1, 1]
    assert found.label.tolist() == [0, 1, 0, 1]
    assert not found.more


def test_an_overlap_of_exactly_the_limit_is_kept() -> None:
    boxes = np.array([[0, 0, 4, 4], [0, 0, 4, 2]], np.float32)
    logits = np.array([[2.0], [1.0]], np.float32)
    assert suppress(boxes, logits, (0.5,), DetectionRules(0.5, 9, 9)).box.tolist() == [0, 1]
    assert suppress(boxes, logits, (0.5,), DetectionRules(0.49, 9, 9)).box.tolist() == [0]


def test_a_score_of_exactly_the_threshold_counts() -> None:
    assert at_least(np.array([[0.0]], np.float32), (0.5,)).tolist() == [[True]]
    assert at_least(np.array([[-1e-3]], np.float32), (0.5,)).tolist() == [[False]]
    assert probability(np.array([-1e4, 1e4], np.float32)).tolist() == [0.0, 1.0]


def test_what_cannot_be_answered_hides_nothing() -> None:
    boxes = np.array([[0, 0, 4, 4], [0, 0, 4, 4]], np.float32)
    logits = np.array([[5.0], [1.0]], np.float32)
    found = suppress(boxes, logits, (0.5,), DetectionRules(0.5, 9, 9), np.array([False, True]))
    assert found.box.tolist() == [1]


@pytest.mark.parametrize("alike", [True, False])
def test_thousands_of_candidates_are_bounded(alike: bool) -> None:
    draw = np.random.default_rng(5)
    corner = draw.uniform(0, 600, (8400, 2)).astype(np.float32)
    boxes = np.concatenate([corner, corner + (40 if alike else 1)], axis=1)
    logits = draw.uniform(1, 2, (8400, 1)).astype(np.float32)
    found = suppress(boxes, logits, (0.5,), DetectionRules(0.5, 1000, 100))
    assert len(found.box) == 100
    assert found.more
    assert (np.diff(logits[found.box, 0]) <= 0).all()
