"""Boxes between film and network, their overlap, and what may be asked about."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinicedge.runtime.boxes import area, check_prompts, clip, iou, to_film, to_input
from clinicedge.runtime.errors import TensorError
from clinicedge.runtime.images import resize
from clinicedge.runtime.spec import DicomRules, InputSpec, Resize, Scaling

SPEC = InputSpec(
    "film", 640, 640, 3, "letterbox", "bilinear", 114, Scaling((0.0,) * 3, (1.0,) * 3),
    DicomRules("file"),
)  # fmt: skip
SIZES = st.tuples(st.integers(32, 4000), st.integers(32, 4000))
SHARE = st.floats(0.0, 1.0, width=32)


def spec(resize: Resize, side: int = 640) -> InputSpec:
    return replace(SPEC, resize=resize, height=side, width=side)


def one(*box: float) -> np.ndarray:
    return np.array([box], np.float64)


@given(SIZES, st.tuples(SHARE, SHARE, SHARE, SHARE), st.sampled_from(("letterbox", "stretch")))
def test_to_the_input_and_back_is_where_it_was(
    size: tuple[int, int], shares: tuple[float, float, float, float], way: Resize
) -> None:
    height, width = size
    x, y = sorted((shares[0], shares[2])), sorted((shares[1], shares[3]))
    box = one(x[0] * width, y[0] * height, x[1] * width, y[1] * height)
    there = to_input(box, size, spec(way))
    assert there.dtype == np.float32
    # A float32 of some hundreds of pixels is exact to 3e-5 of them.
    step = max(size) / 640 * 1e-4
    assert np.allclose(to_film(there, size, spec(way)), box, atol=max(step, 1e-6))


@given(SIZES)
def test_a_film_fills_the_frame_that_it_is_laid_in(size: tuple[int, int]) -> None:
    whole = one(0, 0, size[1], size[0])
    assert to_input(whole, size, spec("stretch")).tolist() == [[0.0, 0.0, 640.0, 640.0]]
    x0, y0, x1, y1 = to_input(whole, size, SPEC)[0].tolist()
    assert min(x0, y0) >= 0
    assert max(x1, y1) <= 640
    assert max(x1 - x0, y1 - y0) == 640
    # Whole pixels, as much above as below but for an odd one.
    assert [v % 1 for v in (x0, y0, x1, y1)] == [0.0] * 4
    assert 0 <= (640 - x1) - x0 <= 1
    assert 0 <= (640 - y1) - y0 <= 1


def test_a_box_lies_over_what_the_resize_put_there() -> None:
    pixels = np.zeros((300, 500), np.uint8)
    pixels[60:120, 100:300] = 255
    seen = resize(pixels, SPEC)
    x0, y0, x1, y1 = to_input(one(100, 60, 300, 120), pixels.shape, SPEC)[0]
    rows, columns = np.nonzero(seen == 255)
    assert abs(columns.min() - x0) <= 1
    assert abs(columns.max() + 1 - x1) <= 1
    assert abs(rows.min() - y0) <= 1
    assert abs(rows.max() + 1 - y1) <= 1
    assert seen[0, 0] == 114


SIDES = st.integers(-5, 9)
BOX = st.tuples(SIDES, SIDES, SIDES, SIDES)


@given(st.lists(BOX, min_size=1, max_size=6), st.lists(BOX, min_size=1, max_size=6))
def test_overlap_is_that_of_counted_cells(
    first: list[tuple[int, ...]], second: list[tuple[int, ...]]
) -> None:
    def cells(box: tuple[int, ...]) -> set[tuple[int, int]]:
        return {(x, y) for x in range(box[0], box[2]) for y in range(box[1], box[3])}

    found = iou(np.array(first, np.float32), np.array(second, np.float32))
    for i, a in enumerate(first):
        assert area(np.array([a]))[0] == len(cells(a))
        for j, b in enumerate(second):
            either = len(cells(a) | cells(b))
            wanted = len(cells(a) & cells(b)) / either if either else 0.0
            assert found[i, j] == pytest.approx(wanted)


def test_what_lies_beside_the_film_is_cut_off() -> None:
    cut = clip(np.array([[-5, 2, 8, 30], [12, 2, 20, 5], [1, 1, 2, 2]]), (20, 10))
    assert cut.tolist() == [[0, 2, 8, 20], [10, 2, 10, 5], [1, 1, 2, 2]]
    assert area(cut).tolist() == [144, 0, 1]


def test_questions_are_boxes_on_the_film() -> None:
    asked = check_prompts(((0, 0, 10, 20), (1.5, 2.5, 3.0, 4.0)), (20, 10), "m")
    assert asked.dtype == np.float64
    assert asked.tolist() == [[0, 0, 10, 20], [1.5, 2.5, 3.0, 4.0]]
    assert len(check_prompts([(0, 0, 1, 1)] * 100, (20, 10), "m")) == 100


@pytest.mark.parametrize(
    ("boxes", "words"),
    [
        ((), "found 0, expected 1 to 100"),
        (((0, 0, 1, 1),) * 101, "found 101, expected 1 to 100"),
        (((0, 0, 1, 1), (3, 3, 3, 8)), "box 2, .* has no area; expected 0 <= x0 < x1 <= 10"),
        (((5, 3, 2, 8),), "has no area"),
        (((-0.1, 0, 4, 4),), "is not on the film"),
        (((0, 0, 10.01, 4),), "is not on the film"),
        (((11, 0, 14, 4),), "is not on the film"),
        (((0, 0, float("nan"), 4),), "is no box of numbers"),
        (((0, 0, float("inf"), 4),), "is no box of numbers"),
        (((0, 0, 4),), "has 3 numbers"),
    ],
)
def test_other_questions_are_refused(boxes: tuple[tuple[float, ...], ...], words: str) -> None:
    with pytest.raises(TensorError, match=words):
        check_prompts(boxes, (20, 10), "m")
