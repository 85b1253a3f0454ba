"""Connected regions against a flood fill."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from clinicedge.runtime.regions import label_regions, region_boxes

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12)
MASKS = SHAPES.flatmap(lambda shape: hnp.arrays(np.bool_, shape))


def flood(mask: np.ndarray) -> list[set[tuple[int, int]]]:
    left = set(zip(*map(list, np.nonzero(mask)), strict=True))
    regions = []
    while left:
        todo, region = [left.pop()], set()
        while todo:
            row, column = todo.pop()
            region.add((row, column))
            near = {(row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & left
            left -= near
            todo += near
        regions.append(region)
    return regions


@given(MASKS)
@settings(deadline=None)
def test_regions_are_those_of_a_flood_fill(mask: np.ndarray) -> None:
    labels, areas = label_regions(mask)
    wanted = {frozenset((int(r), int(c)) for r, c in region) for region in flood(mask)}
    found = {
        frozenset(zip(*(v.tolist() for v in np.nonzero(labels == number)), strict=True))
        for number in range(1, len(areas) + 1)
    }
    assert found == wanted
    assert (labels > 0).tolist() == mask.tolist()
    assert areas.tolist() == sorted((len(region) for region in wanted), reverse=True)
    assert [int((labels == n + 1).sum()) for n in range(len(areas))] == areas.tolist()


@given(MASKS, st.integers(0, 5))
@settings(deadline=None)
def test_boxes_hold_their_regions_and_nothing_more(mask: np.ndarray, limit: int) -> None:
    labels, areas = label_regions(mask)
    count = min(limit, len(areas))
    boxes = region_boxes(labels, count)
    assert len(boxes) == count
    for number, (x0, y0, x1, y1) in enumerate(boxes, start=1):
        inside = labels[y0:y1, x0:x1] == number
        assert inside.sum() == areas[number - 1]
        assert inside[0].any()
        assert inside[-1].any()
        assert inside[:, 0].any()
        assert inside[:, -1].any()
