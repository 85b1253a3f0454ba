"""Curves, likeness and regions against what one can work out by hand."""

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinicedge.profiles.explanation_quality.curves import (
    area,
    curves,
    ends,
    importance,
    probability,
)
from clinicedge.profiles.explanation_quality.regions import Boxes, against
from clinicedge.profiles.explanation_quality.similarity import rank_correlation, ssim
from clinicedge.runtime.errors import DataManifestError


def spotted() -> tuple[np.ndarray, np.ndarray]:
    """A dark input with a bright spot, and a map that names the spot."""
    tensor = np.full((1, 1, 20, 20), -1.0, np.float32)
    tensor[0, 0, 4:8, 4:8] = 1.0
    heat = np.zeros((20, 20), np.float32)
    heat[4:8, 4:8] = 1.0
    return tensor, heat


def brightness(tensor: np.ndarray) -> float:
    """A class that hangs on the spot alone."""
    return float(20.0 * (tensor[0, 0, 4:8, 4:8].mean() - 0.9))


def test_a_map_of_what_counts_deletes_fast_and_inserts_fast() -> None:
    tensor, heat = spotted()
    shown = ends(tensor, brightness)
    right = curves(heat, shown, brightness, 10)
    wrong = curves(np.float32(1.0) - heat, shown, brightness, 10)
    assert right.deletion_area < 0.1 < 0.8 < wrong.deletion_area
    assert right.insertion_area > 0.8 > 0.5 > wrong.insertion_area
    for one in (right, wrong):
        assert len(one.deletion) == len(one.insertion) == 11
        assert one.deletion[0] == one.insertion[-1] == probability(brightness(tensor))
        assert one.deletion[-1] == shown.scores[1]
        assert one.insertion[0] == shown.scores[2]


def test_runs_of_the_network_are_bounded() -> None:
    tensor, heat = spotted()
    asked = []

    def score(view: np.ndarray) -> float:
        asked.append(view.shape)
        return 0.0

    shown = ends(tensor, score)
    assert len(asked) == 3
    found = curves(heat, shown, score, 7)
    assert len(asked) == 3 + 2 * 6
    assert found.deletion_area == found.insertion_area == 0.5


@given(st.integers(2, 9), st.integers(2, 9), st.integers(0, 99))
def test_every_pixel_has_one_place_in_the_order(height: int, width: int, seed: int) -> None:
    heat = np.random.default_rng(seed).integers(0, 3, (height, width)).astype(np.float32)
    order = importance(heat, (height, width))
    assert sorted(order.tolist()) == list(range(height * width))
    assert (np.diff(heat.ravel()[order]) <= 0).all()


def test_areas_by_trapezoids() -> None:
    assert area((1.0, 0.0)) == 0.5
    assert area((1.0, 1.0, 0.0)) == 0.75
    assert probability(-800.0) == 0.0
    assert probability(800.0) == 1.0


@given(st.integers(0, 99))
def test_rank_correlation_is_that_of_the_ranks(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one = rng.permutation(30).reshape(5, 6).astype(np.float32)
    other = rng.permutation(30).reshape(5, 6).astype(np.float32)
    expected = 1 - 6 * float(((one - other) ** 2).sum()) / (30 * (30**2 - 1))
    assert rank_correlation(one, other) == pytest.approx(expected)
    assert rank_correlation(one, np.exp(one / 9)) == pytest.approx(1.0)
    assert rank_correlation(one, -one) == pytest.approx(-1.0)


def test_ties_share_their_rank_and_flat_maps_are_alike() -> None:
    one = np.array([[1, 1, 2, 3]], np.float32)
    other = np.array([[1, 2, 2, 4]], np.float32)
    # Ranks 1.5 1.5 3 4 and 1 2.5 2.5 4, Pearson's of these.
    assert rank_correlation(one, other) == pytest.approx(3.75 / 4.5)
    flat = np.zeros((3, 3), np.float32)
    assert rank_correlation(flat, flat) == 1.0
    assert rank_correlation(flat, np.eye(3, dtype=np.float32)) == 0.0


def slow_ssim(one: np.ndarray, other: np.ndarray) -> float:
    """Equation 13 of the publication, a window at a time."""
    steps = np.arange(-5, 6)
    weights = np.exp(-(steps[:, None] ** 2 + steps**2) / (2 * 1.5**2))
    weights /= weights.sum()
    found = []
    for row in range(one.shape[0] - 10):
        for column in range(one.shape[1] - 10):
            x = one[row : row + 11, column : column + 11].astype(np.float64)
            y = other[row : row + 11, column : column + 11].astype(np.float64)
            mx, my = (weights * x).sum(), (weights * y).sum()
            vx, vy = (weights * (x - mx) ** 2).sum(), (weights * (y - my) ** 2).sum()
            both = (weights * (x - mx) * (y - my)).sum()
            top = (2 * mx * my + 1e-4) * (2 * both + 9e-4)
            found.append(top / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4)))
    return float(np.mean(found))


def test_ssim_agrees_with_the_publications_formula() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.random((2, 17, 14)).astype(np.float32)
    assert ssim(one, one, (17, 14)) == pytest.approx(1.0)
    assert ssim(one, other, (17, 14)) == pytest.approx(slow_ssim(one, other), abs=1e-9)
    light, dark = np.full((20, 20), 0.6, np.float32), np.full((20, 20), 0.2, np.float32)
    expected = (2 * 0.6 * 0.2 + 1e-4) / (0.6**2 + 0.2**2 + 1e-4)
    assert ssim(light, dark, (20, 20)) == pytest.approx(expected, abs=1e-6)
    assert ssim(one, 1 - one, (17, 14)) < 0 < ssim(dark, dark, (4, 4))


@given(st.integers(0, 99), st.floats(0.1, 0.9))
def test_mass_and_pointing(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    values = rng.random((12, 15)).astype(np.float32)
    region = rng.random((12, 15)) < share
    everything = np.ones_like(region)
    found = against(values, region, everything)
    if found is None:
        assert not region.any()
        return
    assert found.mass == pytest.approx(values[region].sum() / values.sum(), rel=1e-5)
    assert found.hit == (values[region].max() == values.max())
    even = against(np.ones_like(values), region, everything)
    assert even is not None
    assert even.mass == pytest.approx(even.area)


def test_an_empty_map_and_an_empty_region_tell_nothing() -> None:
    there = np.ones((4, 4), bool)
    assert against(np.zeros((4, 4), np.float32), there, there) is None
    assert against(np.ones((4, 4), np.float32), ~there, there) is None


def boxes(folder: Path, *rows: tuple[object, ...]) -> Path:
    with (folder / "boxes.csv").open("w", newline="") as stream:
        lines = csv.writer(stream)
        lines.writerow(("file", "label", "x1", "y1", "x2", "y2", "width", "height"))
        lines.writerows(rows)
    return folder


def test_boxes_grow_with_the_film_and_go_by_label(tmp_path: Path) -> None:
    known = Boxes(
        boxes(
            tmp_path,
            ("images/a.png", "Pneumonia", 10, 20, 30, 40, 100, 80),
            ("images/a.png", "Mass", 0, 0, 5, 5, 100, 80),
            ("images/a.png", "pneumonia", 90, 70, 100, 80, 100, 80),
        )
    )
    path = tmp_path / "images" / "a.png"
    found = known.region(path, "PNEUMONIA", (160, 200))
    assert found is not None
    expected = np.zeros((160, 200), bool)
    expected[40:80, 20:60] = expected[140:160, 180:200] = True
    assert (found == expected).all()
    assert known.region(path, "Effusion", (160, 200)) is None
    assert known.region(tmp_path / "images" / "b.png", "PNEUMONIA", (160, 200)) is None


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (("a.png", "Mass", 5, 5, 5, 9, 10, 10), "does not lie on a film"),
        (("a.png", "Mass", 5, 5, 11, 9, 10, 10), "does not lie on a film"),
        (("a.png", "Mass", "x", 5, 9, 9, 10, 10), "expected six numbers"),
    ],
)
def test_bad_boxes_are_refused(tmp_path: Path, row: tuple[object, ...], words: str) -> None:
    with pytest.raises(DataManifestError, match=words):
        Boxes(boxes(tmp_path, row))


def test_a_folder_without_boxes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataManifestError, match="cannot read"):
        Boxes(tmp_path)
    (tmp_path / "boxes.csv").write_text("file,label\na,b\n")
    with pytest.raises(DataManifestError, match="has no x1"):
        Boxes(tmp_path)
