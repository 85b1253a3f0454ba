"""From a grid of probabilities to regions on the film."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tiny_bundles import film

from clinicedge.runtime.masks import Drawn, FilmMask, blur, enlarge, film_mask, location, on_frame
from clinicedge.runtime.outlines import signed_area
from clinicedge.runtime.spec import DicomRules, InputSpec, MaskRules, Resize, Scaling

ALL = MaskRules(0.0, 0, 0.0)
HALF = Drawn("TUMOUR", 0.5)


def spec(side: int, resize: Resize = "stretch") -> InputSpec:
    pad = 0 if resize == "letterbox" else None
    scaling = Scaling((0.0,), (1.0,))
    return InputSpec(
        "film", side, side, 1, resize, "bilinear", pad, scaling, DicomRules("file"), "film"
    )


def same_size(grid: np.ndarray, rules: MaskRules = ALL, mm: float | None = None) -> FilmMask:
    """A film of the grid's own size, so that nothing is resized."""
    grey = film(np.zeros(grid.shape, np.uint8), None if mm is None else (mm, 2 * mm))
    return film_mask(grid.astype(np.float32), grey, spec(len(grid)), rules, HALF)


GRIDS = hnp.arrays(np.float32, (12, 12), elements=st.floats(0, 1, width=32))


@given(GRIDS)
@settings(deadline=None)
def test_regions_are_consistent_in_every_figure(grid: np.ndarray) -> None:
    found = same_size(grid, mm=0.5)
    np.testing.assert_array_equal(found.raw, grid >= 0.5)
    np.testing.assert_array_equal(found.mask, found.raw)
    assert sum(lesion.area_px for lesion in found.lesions) == found.raw.sum()
    assert found.score == grid.max()
    for lesion in found.lesions:
        x0, y0, x1, y1 = lesion.box
        assert 0 <= x0 < x1 <= 12
        assert 0 <= y0 < y1 <= 12
        assert lesion.area_mm2 == lesion.area_px * 0.5 * 1.0
        assert 0.5 <= lesion.score <= 1.0
        assert signed_area(lesion.outline[0]) > 0
        assert all(x0 <= x <= x1 and y0 <= y <= y1 for x, y in lesion.outline[0])
    areas = [lesion.area_px for lesion in found.lesions]
    assert areas == sorted(areas, reverse=True)


@given(GRIDS, st.floats(0, 0.2), st.integers(0, 3))
@settings(deadline=None)
def test_small_and_surplus_regions_are_dropped(grid: np.ndarray, share: float, most: int) -> None:
    every = same_size(grid)
    found = same_size(grid, MaskRules(share, most, 0.0))
    wanted = [lesion for lesion in every.lesions if lesion.area_px >= share * grid.size]
    wanted = wanted[:most] if most else wanted
    assert found.lesions == tuple(wanted)
    assert found.mask.sum() == sum(lesion.area_px for lesion in wanted)
    np.testing.assert_array_equal(found.raw, every.raw)


@pytest.mark.parametrize(("value", "drawn"), [(0.0, 0), (1.0, 1), (0.5, 1), (0.4999, 0)])
def test_empty_and_full_masks_on_films_of_any_size(value: float, drawn: int) -> None:
    grid = np.full((16, 16), value, np.float32)
    found = film_mask(grid, film(np.zeros((50, 33))), spec(16), MaskRules(0.0, 0, 0.02), HALF)
    assert found.mask.shape == (50, 33)
    assert found.mask.sum() == drawn * 50 * 33
    assert found.raw.sum() == drawn * 50 * 33
    assert len(found.lesions) == drawn
    if drawn:
        assert found.lesions[0].box == (0, 0, 33, 50)
        assert found.lesions[0].location == ("middle", "centre")


def test_a_letterboxed_film_gets_its_own_part_of_the_grid() -> None:
    """A film of 100 x 50 lies in columns 16 to 48 of 64; what the padding says is nothing."""
    grid = np.ones((64, 64), np.float32)
    grid[:, 16:48] = 0.0
    grid[:32, 16:32] = 0.9
    grey = film(np.zeros((100, 50)))
    assert on_frame(grid, (100, 50), spec(64, "letterbox")).shape == (64, 32)
    found = film_mask(grid, grey, spec(64, "letterbox"), ALL, HALF)
    assert found.score == np.float32(0.9)
    assert len(found.lesions) == 1
    wanted = np.zeros((100, 50), bool)
    wanted[:50, :25] = True
    assert (found.mask != wanted).mean() < 0.02
    assert found.lesions[0].location == ("upper", "left")


def test_the_frame_of_a_stretched_film_is_the_whole_grid() -> None:
    grid = np.random.default_rng(1).random((8, 8), np.float32)
    assert on_frame(grid, (100, 20), spec(8)) is grid


@given(hnp.arrays(np.float32, (7, 9), elements=st.floats(0, 1, width=32)), st.floats(0.3, 4))
@settings(deadline=None, max_examples=50)
def test_blurring_keeps_the_range_and_constants(values: np.ndarray, sigma: float) -> None:
    soft = blur(values, sigma)
    assert soft.shape == values.shape
    assert soft.min() >= values.min() - 1e-5
    assert soft.max() <= values.max() + 1e-5
    flat = np.full((7, 9), values[0, 0], np.float32)
    np.testing.assert_allclose(blur(flat, sigma), flat, atol=1e-5)


def test_a_blurred_point_is_a_gaussian() -> None:
    point = np.zeros((41, 41), np.float32)
    point[20, 20] = 1.0
    soft = blur(point, 3.0)
    y, x = np.mgrid[:41, :41] - 20
    wanted = np.exp(-(x**2 + y**2) / 18) / (18 * np.pi)
    np.testing.assert_allclose(soft, wanted, atol=1e-4)


def test_smoothing_rounds_and_removes_specks_but_the_raw_mask_stays() -> None:
    grid = np.zeros((64, 64), np.float32)
    grid[10:40, 10:40] = 1.0
    grid[55, 55] = 1.0
    found = same_size(grid, MaskRules(0.0, 0, 2 / 64))
    assert found.raw[55, 55]
    assert not found.mask[55, 55]
    assert not found.mask[10, 10]
    assert found.mask[25, 10]
    assert len(found.lesions) == 1


def test_enlarging_is_of_probabilities_so_edges_are_smooth() -> None:
    grid = np.array([[0, 0], [0, 1]], np.float32)
    grown = enlarge(grid, (40, 40))
    assert grown.shape == (40, 40)
    assert 0 < grown[20, 20] < 1
    assert ((grown >= 0) & (grown <= 1)).all()


@pytest.mark.parametrize(
    ("centre", "wanted"),
    [
        ((0.0, 0.0), ("upper", "left")),
        ((50.0, 100.0), ("middle", "centre")),
        ((99.9, 199.9), ("lower", "right")),
        ((100.0, 200.0), ("lower", "right")),
    ],
)
def test_locations_are_thirds(centre: tuple[float, float], wanted: tuple[str, str]) -> None:
    assert location(centre, (100, 200)) == wanted


def test_without_spacing_there_is_no_area_in_millimetres() -> None:
    assert same_size(np.ones((12, 12))).lesions[0].area_mm2 is None
