"""Boxes from true masks: a region each, specks left out, jitter that stays on the picture."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from clinicedge.profiles.box_prompts import jittered, true_objects
from clinicedge.profiles.masks import IGNORE


def two_lungs() -> NDArray[np.uint8]:
    mask = np.zeros((100, 80), np.uint8)
    mask[10:90, 5:35] = 255
    mask[20:80, 45:75] = 255
    mask[50, 40] = 255
    mask[0:5, 0:5] = IGNORE
    return mask


def test_each_region_has_its_box_and_specks_none() -> None:
    found = true_objects(two_lungs())
    # Fewer than 4 pixels of 8000 are a speck.
    assert [o.box.tolist() for o in found] == [[5, 10, 35, 90], [45, 20, 75, 80]]
    assert [int((o.mask == 255).sum()) for o in found] == [2400, 1800]
    assert all(int((o.mask == IGNORE).sum()) == 25 for o in found)
    assert true_objects(np.zeros((8, 8), np.uint8)) == ()


@given(
    st.integers(0, 60),
    st.integers(0, 60),
    st.integers(2, 20),
    st.integers(2, 20),
    st.integers(0, 2**32 - 1),
)
def test_jitter_keeps_a_box_a_box(x: int, y: int, wide: int, high: int, seed: int) -> None:
    box = np.array([[x, y, x + wide, y + high]], np.float32)
    moved = jittered(box, (80, 80), np.random.default_rng(seed))
    assert moved.dtype == np.float32
    assert (moved >= 0).all()
    assert (moved <= 80).all()
    sides = moved[:, 2:] - moved[:, :2]
    assert (sides >= 0.5 * np.array([wide, high])).all()
    limit = np.array([wide, high, wide, high])
    assert (np.abs(moved - box) <= 0.2 * limit + 1e-4).all()


def test_the_same_seed_moves_alike() -> None:
    boxes = np.array([[1, 2, 30, 40], [5, 5, 9, 9]], np.float32)
    one, other = (jittered(boxes, (64, 64), np.random.default_rng(3)) for _ in range(2))
    assert (one == other).all()
    assert (one != boxes).any()
    assert len(jittered(np.zeros((0, 4), np.float32), (8, 8), np.random.default_rng(0))) == 0
