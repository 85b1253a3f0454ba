"""Lesions through slices: boxes carried forth and back, bounds, and what is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_boxes as boxes
import tiny_bundles as tiny

from clinicedge.runtime.errors import ArtifactError, OutsideUseError, TensorError
from clinicedge.runtime.film import Film
from clinicedge.runtime.lesions import Lesions
from clinicedge.runtime.promptable import PromptableSegmenter
from clinicedge.runtime.slices import MOST_CARRIED, StackAnswer, outline_stack

WHITE, GREY = 255, 180
SPOT = (8, 8, 24, 24)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Lesions:
    return boxes.opened_lesions(boxes.lesions(tmp_path_factory.mktemp("slices") / "p"))


@pytest.fixture(scope="module")
def prompted(pipeline: Lesions) -> PromptableSegmenter:
    found = pipeline.parts[1].predictor
    assert isinstance(found, PromptableSegmenter)
    return found


def stack(*levels: int, spot: tuple[int, int, int, int] = SPOT) -> list[Film]:
    """A slice each, with a square of that brightness. The detector finds it where it is white."""
    films = []
    for level in levels:
        pixels = np.zeros((64, 64), np.uint8)
        pixels[spot[1] : spot[3], spot[0] : spot[2]] = level
        films.append(tiny.film(pixels, (0.5, 0.25)))
    return films


def origins(answer: StackAnswer) -> list[list[tuple[int, str]]]:
    return [[(one.lesion, one.origin) for one in row.lesions] for row in answer.slices]


def test_a_found_box_is_carried_forth_and_back_until_nothing_is_there(pipeline: Lesions) -> None:
    answer = outline_stack(pipeline, stack(0, GREY, WHITE, GREY, 0, GREY))
    assert origins(answer) == [[], [(1, "carried")], [(1, "found")], [(1, "carried")], [], []]
    (lesion,) = answer.lesions
    assert (lesion.first, lesion.last, lesion.found) == (2, 4, 1)
    assert (lesion.label, lesion.number) == ("TUMOUR", 1)
    assert lesion.area_px == max(one.seen.area_px for s in answer.slices for one in s.lesions) > 0
    assert (answer.positive, answer.label, answer.note) == (True, "TUMOUR", "")
    assert answer.score is not None
    assert answer.score > 0.9
    assert "memory of earlier slices is not exported" in answer.how
    confidences = [one.seen.confidence for s in answer.slices for one in s.lesions]
    assert [c is None for c in confidences] == [True, False, True]


def test_it_is_not_carried_for_ever(pipeline: Lesions) -> None:
    after = MOST_CARRIED + 2
    answer = outline_stack(pipeline, stack(*[GREY] * after, WHITE, *[GREY] * after))
    (lesion,) = answer.lesions
    assert (lesion.first, lesion.last) == (after + 1 - MOST_CARRIED, after + 1 + MOST_CARRIED)


def test_what_is_found_again_is_the_same_lesion_and_another_place_another(
    pipeline: Lesions,
) -> None:
    answer = outline_stack(
        pipeline, [*stack(WHITE, GREY, WHITE), *stack(WHITE, spot=(40, 40, 56, 56))]
    )
    assert [lesion.found for lesion in answer.lesions] == [2, 1]
    assert [(one.first, one.last) for one in answer.lesions] == [(1, 3), (4, 4)]


def test_no_box_on_any_slice_is_explained(pipeline: Lesions) -> None:
    answer = outline_stack(pipeline, stack(0, 120, 0))
    assert not answer.positive
    assert (answer.lesions, [s.lesions for s in answer.slices]) == ((), [(), (), ()])
    assert answer.note.startswith("No box reached its threshold on any of 3 slices: the surest, of")
    assert "TUMOUR on slice 2, has 0.0" in answer.note


def test_a_box_by_hand_is_followed_as_far_as_anything_is_drawn(
    prompted: PromptableSegmenter,
) -> None:
    films = stack(0, *[GREY] * 6, 0)
    answer = outline_stack(prompted, films, {3: ((8.0, 8.0, 24.0, 24.0),)})
    (lesion,) = answer.lesions
    assert (lesion.first, lesion.last, lesion.found) == (2, 7, 1)
    assert (answer.score, answer.threshold, answer.label) == (None, None, "OBJECT")
    assert origins(answer)[3] == [(1, "by hand")]
    nothing = outline_stack(prompted, films, {3: ((40.0, 40.0, 60.0, 60.0),)})
    assert not nothing.positive
    assert nothing.note == "Nothing was outlined in the boxes that were given."


@pytest.mark.parametrize(
    ("by_hand", "words"),
    [
        ({}, "found no boxes"),
        ({2: ((1.0, 1.0, 9.0, 9.0),)}, "found slice 3"),
        ({0: ((1.0, 1.0, 1.0, 9.0),)}, "has no area"),
        ({0: ((1.0, 1.0, 90.0, 9.0),)}, "is not on the film"),
        ({0: ((1.0, 1.0, 9.0, 9.0),) * 101}, "found 101"),
    ],
)
def test_boxes_by_hand_are_checked(
    prompted: PromptableSegmenter, by_hand: dict[int, tuple[tuple[float, ...], ...]], words: str
) -> None:
    with pytest.raises(TensorError, match=words):
        outline_stack(prompted, stack(GREY, GREY), by_hand)


def test_others_are_refused(pipeline: Lesions, tmp_path: Path) -> None:
    films = stack(GREY)
    with pytest.raises(TensorError, match="finds its boxes itself"):
        outline_stack(pipeline, films, {0: ((1.0, 1.0, 9.0, 9.0),)})
    with pytest.raises(ArtifactError, match="slices need a lesion pipeline"):
        outline_stack(pipeline.parts[0].predictor, films)
    foreign = replace(films[0], source=replace(films[0].source, modality="MR"))
    with pytest.raises(OutsideUseError, match="modality MR"):
        outline_stack(pipeline, [*films, foreign])
