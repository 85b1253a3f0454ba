"""Zones by the patient's side, and the share of a map in each."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from clinicedge.runtime.explanations.zones import LEVELS, SIDES, ZONES, locate, lung_zones

Bools = NDArray[np.bool_]


@st.composite
def pairs(draw: st.DrawFn) -> Bools:
    """Two upright lungs beside each other, each of its own height."""
    height, width = draw(st.integers(30, 60)), draw(st.integers(40, 80))
    lungs = np.zeros((height, width), bool)
    middle = draw(st.integers(width * 2 // 5, width * 3 // 5))
    for low, high in ((0, middle - 1), (middle + 1, width)):
        left = draw(st.integers(low, low + (high - low) // 3))
        right = draw(st.integers(high - (high - low) // 3, high))
        top, deep = draw(st.integers(0, height // 3)), draw(st.integers(15, height * 2 // 3))
        lungs[top : top + deep, left:right] = True
    return lungs


@given(pairs())
def test_every_pixel_of_the_lungs_has_one_zone(lungs: Bools) -> None:
    zones = lung_zones(lungs)
    assert ((zones > 0) == lungs).all()
    assert set(np.unique(zones)) - {0} == set(range(1, 7))


@given(pairs())
def test_a_mirrored_film_swaps_the_sides(lungs: Bools) -> None:
    there, back = lung_zones(lungs), lung_zones(lungs[:, ::-1])[:, ::-1]
    swapped = np.where(there > 3, there - 3, np.where(there > 0, there + 3, 0))
    assert (back == swapped).all()


@given(pairs())
def test_the_patients_right_is_at_the_films_left_and_up_is_up(lungs: Bools) -> None:
    zones = lung_zones(lungs)
    columns = [np.nonzero(zones == n)[1] for n in range(1, 7)]
    rows = [np.nonzero(zones == n)[0] for n in range(1, 7)]
    assert max(c.max() for c in columns[:3]) < min(c.min() for c in columns[3:])
    for upper, middle, lower in (rows[:3], rows[3:]):
        assert upper.max() < middle.min() <= middle.max() < lower.min()
        sizes = [r.max() - r.min() + 1 for r in (upper, middle, lower)]
        assert max(sizes) - min(sizes) <= 1


@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.floats(0, 1),
    st.integers(0, 99),
)
def test_any_mask_is_divided_without_rest(height: int, width: int, share: float, seed: int) -> None:
    lungs = np.random.default_rng(seed).random((height, width)) < share
    assert ((lung_zones(lungs) > 0) == lungs).all()


@given(pairs(), st.integers(0, 99), st.sampled_from([1.0, 0.5, 1e-3]))
def test_shares_add_up_whatever_the_scale(lungs: Bools, seed: int, scale: float) -> None:
    values = np.random.default_rng(seed).random(lungs.shape).astype(np.float32) * np.float32(scale)
    found = locate(values, lungs)
    assert found is not None
    assert found.inside is not None
    assert found.inside == pytest.approx(values[lungs].sum() / values.sum(), rel=1e-4)
    assert sum(z.share for z in found.zones) == pytest.approx(found.inside)
    assert [z.share for z in found.zones] == sorted((z.share for z in found.zones), reverse=True)


@given(pairs(), st.integers(0, 5), st.integers(0, 99))
def test_a_spot_lies_in_its_zone_alone(lungs: Bools, number: int, seed: int) -> None:
    spots = np.argwhere(lung_zones(lungs) == number + 1)
    row, column = spots[seed % len(spots)]
    values = np.zeros(lungs.shape, np.float32)
    values[row, column] = 1.0
    found = locate(values, lungs)
    assert found is not None
    assert found.inside == 1.0
    assert [(z.side, z.level, z.share) for z in found.zones] == [(*ZONES[number], 1.0)]


def test_touching_lungs_are_parted_where_they_are_thinnest() -> None:
    lungs = np.zeros((30, 50), bool)
    lungs[:, 2:20] = lungs[:, 26:48] = True
    lungs[14:16, 20:26] = True
    zones = lung_zones(lungs)
    assert set(np.unique(zones[:, 2:20])) == {1, 2, 3}
    assert set(np.unique(zones[:, 26:48])) == {4, 5, 6}


def test_one_lung_alone_belongs_to_its_half_of_the_film() -> None:
    lungs = np.zeros((30, 60), bool)
    lungs[3:27, 36:52] = True
    assert set(np.unique(lung_zones(lungs))) == {0, 4, 5, 6}
    assert set(np.unique(lung_zones(lungs[:, ::-1]))) == {0, 1, 2, 3}


def test_no_lungs_no_zones_and_an_empty_map_is_nowhere() -> None:
    values = np.zeros((30, 60), np.float32)
    nothing = np.zeros((30, 60), bool)
    assert locate(values, nothing) is None
    values[29, 0] = 0.2
    for lungs in (None, nothing):
        found = locate(values, lungs)
        assert found is not None
        assert (found.inside, found.zones, found.peak) == (None, (), ("lower", "left"))
    assert (SIDES, LEVELS) == (("right", "left"), ("upper", "middle", "lower"))
