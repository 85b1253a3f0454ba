"""Masks of boxes: a part of the film must be marked as the whole film would be."""

from dataclasses import replace

import numpy as np
import pytest
import tiny_bundles as tiny
from hypothesis import given
from hypothesis import strategies as st

from clinicedge.runtime.box_masks import Drawing, Prompt, draw, lesion
from clinicedge.runtime.masks import enlarge
from clinicedge.runtime.recorded_values import logit
from clinicedge.runtime.regions import label_regions
from clinicedge.runtime.segmenter import NO_RULES
from clinicedge.runtime.spec import DicomRules, InputSpec, MaskRules, Scaling

SPEC = InputSpec(
    "film", 64, 64, 3, "stretch", "bilinear", None, Scaling((0.0,) * 3, (1.0,) * 3),
    DicomRules("file"),
)  # fmt: skip
SIZES = st.tuples(st.integers(4, 90), st.integers(4, 90))


def drawing(rules: MaskRules = NO_RULES, threshold: float = 0.5) -> Drawing:
    return Drawing(SPEC, rules, threshold)


def on_film(patch_of: np.ndarray, size: tuple[int, int], how: Drawing) -> tuple[np.ndarray, ...]:
    raw, mask = np.zeros(size, bool), np.zeros(size, bool)
    draw(patch_of, size, how).put(raw, mask)
    return raw, mask


@given(SIZES, st.integers(0, 2**32 - 1), st.sampled_from((0.5, 0.9)), st.integers(2, 33))
def test_a_part_is_marked_as_the_whole(
    size: tuple[int, int], seed: int, threshold: float, side: int
) -> None:
    grid = np.random.default_rng(seed).normal(-3.0, 2.5, (side, side)).astype(np.float32)
    raw, mask = on_film(grid, size, drawing(threshold=threshold))
    whole = enlarge(grid, size)
    level = logit(threshold)
    sure = np.abs(whole - level) > 1e-4
    assert ((whole >= level) == raw)[sure].all()
    assert (mask == raw).all()


def test_only_the_largest_pieces_that_are_large_enough_are_kept() -> None:
    grid = np.full((16, 16), -4.0, np.float32)
    grid[2:8, 2:8], grid[12:14, 12:14] = 4.0, 4.0
    raw, mask = on_film(grid, (64, 64), drawing(MaskRules(0.0, 1, 0.0)))
    labels, areas = label_regions(raw)
    assert len(areas) == 2
    assert (mask == (labels == 1)).all()
    few = on_film(grid, (64, 64), drawing(MaskRules(0.05, 0, 0.0)))[1]
    assert (few == mask).all()


def test_a_letterboxed_grid_is_laid_where_the_film_lies() -> None:
    how = replace(drawing(), spec=replace(SPEC, resize="letterbox", pad_value=0))
    grid = np.full((16, 16), -4.0, np.float32)
    grid[4:8, :8] = 4.0
    # 32 x 64 pixels lie in the rows 4 to 12 of the grid.
    mask = on_film(grid, (32, 64), how)[1]
    rows, columns = np.nonzero(mask)
    assert (rows.min(), columns.min()) == (0, 0)
    assert (rows.max(), columns.max()) == (15, 31)
    # Its one corner inside the film is rounded.
    assert 16 * 32 - 4 <= mask.sum() <= 16 * 32


def test_a_lesion_tells_its_box_area_and_place() -> None:
    grid = np.full((16, 16), -9.0, np.float32)
    grid[8:12, 2:6] = 9.0
    film = tiny.film(np.zeros((64, 64), np.uint8), (0.5, 0.2))
    prompt = Prompt((6.5, 30.0, 26.0, 49.0), "TUMOUR", 0.75)
    found = lesion(draw(grid, (64, 64), drawing()), film, prompt, 0.9)
    assert found.box == (8, 32, 24, 48)
    # Its four corners are rounded.
    assert 16 * 16 - 4 <= found.area_px <= 16 * 16
    assert found.area_mm2 == pytest.approx(found.area_px * 0.1)
    assert found.location == ("middle", "left")
    assert found.score > 0.9
    assert (found.label, found.confidence, found.quality) == ("TUMOUR", 0.75, 0.9)
    assert found.prompt == (6.5, 30.0, 26.0, 49.0)
    assert len(found.outline) == 1


def test_nothing_drawn_is_the_box_itself_with_no_area() -> None:
    grid = np.full((16, 16), -9.0, np.float32)
    film = tiny.film(np.zeros((64, 64), np.uint8))
    found = lesion(draw(grid, (64, 64), drawing()), film, Prompt((6.5, 0.0, 26.2, 9.0), "T"), None)
    assert found.box == (6, 0, 27, 9)
    assert (found.area_px, found.area_mm2, found.score, found.outline) == (0, None, 0.0, ())
    assert found.location == ("upper", "left")
