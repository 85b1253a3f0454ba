"""Matching of boxes, average precision, thresholds, and data folders with boxes."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from clinicedge.profiles.box_metrics import (
    FilmMatch,
    average_precision,
    box_figures,
    match,
    pick_box_threshold,
)
from clinicedge.profiles.boxes import BoxDataset, boxes_on, read_box_dataset
from clinicedge.runtime.errors import DataError, DataManifestError

SQUARE = (0.0, 0.0, 10.0, 10.0)


def rows(*boxes: tuple[float, ...]) -> np.ndarray:
    return np.array(boxes, np.float64).reshape(-1, 4)


def film(hits: str, scores: list[float], n_true: int) -> FilmMatch:
    hit = np.array([h == "+" for h in hits], bool)
    return FilmMatch(np.array(scores, np.float64), hit, hit * 0.75, n_true)


def test_each_true_box_is_hit_once_by_the_surest() -> None:
    truth = rows(SQUARE, (20, 20, 30, 30))
    found = rows((0, 0, 10, 9), (0, 0, 10, 10), (20, 20, 30, 26), (50, 50, 60, 60))
    matched = match(found, np.array([0.8, 0.9, 0.7, 0.6]), truth)
    assert matched.scores.tolist() == [0.9, 0.8, 0.7, 0.6]
    assert matched.hit.tolist() == [True, False, True, False]
    assert matched.overlaps.tolist() == pytest.approx([1.0, 0.0, 0.6, 0.0])


def test_half_an_overlap_is_a_hit_and_less_is_none() -> None:
    for right, hits in ((20.0, True), (20.1, False)):
        matched = match(rows((0, 0, right, 10)), np.ones(1), rows(SQUARE))
        assert matched.hit.tolist() == [hits]


def test_nothing_found_and_nothing_there() -> None:
    assert match(rows(), np.zeros(0), rows(SQUARE)).n_true == 1
    assert match(rows(SQUARE), np.ones(1), rows()).hit.tolist() == [False]


def test_average_precision_by_hand() -> None:
    """Sorted: + - + +; precision 1, .5, .667, .75 made monotonous 1, .75, .75, .75; 5 true."""
    films = [film("+-", [0.9, 0.8], 3), film("++", [0.7, 0.6], 2)]
    assert average_precision(films, ["a", "b"]).value == pytest.approx((1 + 0.75 + 0.75) / 5)


@settings(max_examples=8)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.lists(st.tuples(st.floats(0, 1), st.booleans()))),
        min_size=1,
        max_size=6,
    )
)
def test_figures_stay_in_bounds_and_more_true_boxes_lower_them(
    drawn: list[tuple[int, list[tuple[float, bool]]]],
) -> None:
    films = []
    for n_true, found in drawn:
        ranked = sorted(found, reverse=True)
        hits, left = "", n_true
        for _, wished in ranked:
            hits += "+" if wished and left else "-"
            left -= wished and left > 0
        films.append(film(hits, [s for s, _ in ranked], n_true))
    if not any(one.n_true for one in films):
        films.append(film("", [], 1))
    names = [f"p{i // 2}" for i in range(len(films))]
    figures = box_figures(films, names, 0.5)
    ap = figures.ap50
    assert 0 <= ap.low <= ap.value <= ap.high <= 1
    assert 0 <= figures.recall.value <= 1
    more = [*films, film("", [], 2)]
    assert average_precision(more, [*names, "new"]).value <= ap.value + 1e-12


def test_figures_at_a_threshold() -> None:
    films = [film("+-", [0.9, 0.4], 2), film("-", [0.8], 0), film("", [], 0), film("+", [0.3], 1)]
    figures = box_figures(films, ["a", "b", "c", "d"], 0.35)
    assert figures.recall.value == pytest.approx(1 / 3)
    assert figures.precision is not None
    assert figures.precision.value == pytest.approx(1 / 3)
    assert figures.false_alarms is not None
    assert figures.false_alarms.value == 0.5
    assert figures.overlap is not None
    assert figures.overlap.value == 0.75
    silent = box_figures(films, ["a", "b", "c", "d"], 0.95)
    assert (silent.recall.value, silent.precision, silent.overlap) == (0.0, None, None)
    assert silent.ap50 == figures.ap50


def test_films_without_any_true_box_make_no_figures() -> None:
    with pytest.raises(DataError, match="at least one box"):
        box_figures([film("-", [0.5], 0)], ["a"], 0.5)


def test_the_threshold_of_the_best_f1() -> None:
    films = [film("+", [0.9], 1), film("+", [0.5], 1), film("--", [0.2, 0.1], 0)]
    assert pick_box_threshold(films) == pytest.approx(0.35)
    assert pick_box_threshold([film("-", [0.5], 1)]) is None


def folder(root: Path, lines: list[str], mask: bool = False) -> Path:
    root.mkdir()
    Image.fromarray(np.zeros((40, 60), np.uint8)).save(root / "a.png")
    if mask:
        drawn = np.zeros((40, 60), np.uint8)
        drawn[5:15, 10:30] = 255
        drawn[20:39, 40:50] = 255
        drawn[0, 0] = 127
        Image.fromarray(drawn).save(root / "m.png")
    (root / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


def test_boxes_of_a_manifest_are_in_pixels_of_its_size(tmp_path: Path) -> None:
    lines = ["file,patient,width,height,boxes_xyxy", "a.png,1,120,80,20 10 60 30; 100 60 140 90"]
    data = read_box_dataset(folder(tmp_path / "d", lines), ("TUMOUR",))
    assert len(data.films) == 1
    on = boxes_on(data.films[0], (40, 60), ("TUMOUR",))
    assert on.tolist() == [[0, 10, 5, 30, 15], [0, 50, 30, 60, 40]]


def test_several_labels_stand_before_the_numbers(tmp_path: Path) -> None:
    lines = ["file,patient,boxes_xyxy", "a.png,1,CYST 1 2 3 4;OPEN BREAK 2 2 9 9"]
    labels = ("OPEN BREAK", "CYST")
    data = read_box_dataset(folder(tmp_path / "d", lines), labels)
    assert boxes_on(data.films[0], (40, 60), labels)[:, 0].tolist() == [1, 0]
    with pytest.raises(DataManifestError, match="after a label of"):
        read_box_dataset(data.root, ("CYST", "OTHER"))


def test_pieces_of_a_mask_are_boxes(tmp_path: Path) -> None:
    lines = ["file,mask,patient", "a.png,m.png,1"]
    data = read_box_dataset(folder(tmp_path / "d", lines, mask=True), ("TUMOUR",))
    found = [box.xyxy for box in data.films[0].boxes]
    assert found == [(10, 5, 30, 15), (40, 20, 50, 39)]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a.png,1,5 5 5 9", "x0 < x1"),
        ("a.png,1,5 5 9", "x0 y0 x1 y1"),
        ("a.png,1,1 2 nan 4", "x0 y0 x1 y1"),
        ("a.png,1,OTHER 1 2 3 4", "label"),
        ("b.png,1,1 2 3 4", "missing"),
        ("../../b.png,1,1 2 3 4", "inside"),
        ("a.png,,1 2 3 4", "no patient"),
    ],
)
def test_what_is_no_box_is_refused(line: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(DataManifestError, match=words):
        read_box_dataset(folder(tmp_path / "d", ["file,patient,boxes_xyxy", line]), ("TUMOUR",))


def test_a_folder_without_boxes_and_masks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataManifestError, match="neither a column"):
        read_box_dataset(folder(tmp_path / "d", ["file,patient", "a.png,1"]), ("TUMOUR",))


@pytest.mark.reference_data
def test_the_real_boxes_lie_around_their_masks(data_root: Path) -> None:
    tumours = read_box_dataset(data_root / "btxrd256", ("TUMOUR",))
    lungs = read_box_dataset(data_root / "lungmasks", ("LUNG",))
    assert isinstance(tumours, BoxDataset)
    assert sum(bool(film.boxes) for film in tumours.films) == 1687
    assert {len(film.boxes) for film in lungs.films} == {2}
