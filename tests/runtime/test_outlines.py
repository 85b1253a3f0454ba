"""Outlines of masks: what they enclose is the mask, whatever it is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from clinicedge.runtime.outlines import (
    STAIRS,
    Polygon,
    outline,
    region_outlines,
    signed_area,
    simplify,
    trace,
)
from clinicedge.runtime.regions import label_regions, region_boxes

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12)
MASKS = SHAPES.flatmap(lambda shape: hnp.arrays(np.bool_, shape))


def filled(polygons: tuple[Polygon, ...], shape: tuple[int, int]) -> np.ndarray:
    """Pixels whose centre is inside, by counting the crossings of a ray to the left."""
    inside = np.zeros(shape, bool)
    rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
    for polygon in polygons:
        for (x0, y0), (x1, y1) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
            if y0 != y1:
                crosses = (rows > min(y0, y1)) & (rows < max(y0, y1))
                at = x0 + (rows - y0) * (x1 - x0) / (y1 - y0)
                inside ^= crosses & (at < columns)
    return inside


@given(MASKS)
@settings(deadline=None)
def test_what_the_polygons_enclose_is_the_mask(mask: np.ndarray) -> None:
    polygons = trace(mask)
    assert sum(map(signed_area, polygons)) == mask.sum()
    np.testing.assert_array_equal(filled(polygons, mask.shape), mask)


@given(MASKS)
@settings(deadline=None)
def test_a_region_has_one_outer_polygon_first_and_then_holes(mask: np.ndarray) -> None:
    labels, areas = label_regions(mask)
    for number, (x0, y0, x1, y1) in enumerate(region_boxes(labels, len(areas)), start=1):
        polygons = trace(labels[y0:y1, x0:x1] == number)
        signs = [signed_area(p) > 0 for p in polygons]
        assert signs == [True] + [False] * (len(polygons) - 1)
        assert sum(map(signed_area, polygons)) == areas[number - 1]
        x, y = np.asarray(polygons[0]).T
        assert (x.min(), y.min(), x.max(), y.max()) == (0, 0, x1 - x0, y1 - y0)


@given(MASKS)
@settings(deadline=None)
def test_only_corners_are_kept(mask: np.ndarray) -> None:
    for polygon in trace(mask):
        points = np.asarray(polygon)
        steps = np.roll(points, -1, axis=0) - points
        assert ((steps != 0).sum(axis=1) == 1).all()
        turned = np.roll(steps, -1, axis=0)
        assert (steps[:, 0] * turned[:, 1] - steps[:, 1] * turned[:, 0] != 0).all()


@given(MASKS, st.integers(0, 3), st.integers(0, 3))
@settings(deadline=None)
def test_a_shifted_mask_has_shifted_polygons(mask: np.ndarray, right: int, down: int) -> None:
    moved = np.pad(mask, ((down, 0), (right, 0)))
    wanted = {frozenset((x + right, y + down) for x, y in p) for p in trace(mask)}
    assert {frozenset(p) for p in trace(moved)} == wanted


@given(MASKS)
@settings(deadline=None)
def test_a_transposed_mask_has_the_same_areas(mask: np.ndarray) -> None:
    areas = sorted(signed_area(p) for p in trace(mask))
    assert sorted(signed_area(p) for p in trace(mask.T)) == areas


def test_empty_and_full_masks() -> None:
    assert trace(np.zeros((5, 7), bool)) == ()
    assert region_outlines(np.zeros((5, 7), bool), 3) == ()
    (only,) = trace(np.ones((5, 7), bool))
    assert set(only) == {(0, 0), (7, 0), (7, 5), (0, 5)}


def test_pixels_that_touch_at_a_corner_are_one_outline_and_a_ring_of_them_has_a_hole() -> None:
    ring = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], bool)
    outer, hole = trace(ring)
    assert (signed_area(outer), signed_area(hole)) == (5.0, -1.0)


@given(MASKS, st.sampled_from([0.0, 0.5, STAIRS, 2.0]))
@settings(deadline=None, max_examples=40)
def test_no_point_left_out_is_farther_away_than_the_tolerance(
    mask: np.ndarray, tolerance: float
) -> None:
    for polygon in trace(mask):
        fewer = simplify(polygon, tolerance)
        assert len(fewer) >= 3
        assert set(fewer) <= set(polygon)
        for point in polygon:
            assert _away(point, fewer) <= tolerance + 1e-9


def _away(point: tuple[float, float], polygon: Polygon) -> float:
    place = np.asarray(point)
    best = np.inf
    for start, end in zip(np.asarray(polygon), np.roll(polygon, -1, axis=0), strict=True):
        along = end - start
        share = np.clip((place - start) @ along / max(along @ along, 1e-12), 0, 1)
        best = min(best, float(np.hypot(*(place - start - share * along))))
    return best


@pytest.mark.parametrize("radius", [20, 60])
def test_a_disc_keeps_its_area_with_few_points(radius: int) -> None:
    y, x = np.mgrid[: 3 * radius, : 3 * radius] - 1.5 * radius + 0.5
    disc = x**2 + y**2 <= radius**2
    ((polygon,),) = region_outlines(disc, 1)
    assert abs(signed_area(polygon) / disc.sum() - 1) < 0.02
    assert len(polygon) < len(trace(disc)[0]) / 2


def test_a_corner_moves_the_outline() -> None:
    (polygon,) = outline(np.ones((2, 3), bool), (10, 20), 0.0)
    assert set(polygon) == {(10, 20), (13, 20), (13, 22), (10, 22)}
