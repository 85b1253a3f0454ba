"""What acceptance records of scores and masks, and which answers decide alike."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_bundles as tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from clinicedge.runtime import Bundle
from clinicedge.runtime.acceptance import check_acceptance
from clinicedge.runtime.errors import AcceptanceError, SchemaError
from clinicedge.runtime.manifest import Expected
from clinicedge.runtime.recorded_values import (
    acceptance_values,
    largest_difference,
    logit,
    same_decision,
)
from clinicedge.runtime.spec import OutputSpec

SCORES = OutputSpec("logits", "logits", (3,), "sigmoid", ("A", "B", "C"), None)
BINARY = OutputSpec("logits", "logits", (2,), "softmax", ("N", "P"), "P")


def mask(side: int) -> OutputSpec:
    return OutputSpec("mask", "mask", (1, side, side), "sigmoid", ("T",), "T")


def recorded(output: OutputSpec, raw: np.ndarray, tolerance: float) -> Expected:
    values = acceptance_values(output, raw, 0.5)
    return Expected("onnx/fp32", "f32", output.name, values, tolerance)


def test_scores_are_recorded_as_they_are() -> None:
    raw = np.array([[1.5, -2.0, 0.25]], np.float32)
    assert acceptance_values(SCORES, raw, 0.9) == (1.5, -2.0, 0.25)
    assert largest_difference(SCORES, (1.5, -2.0, 0.25), (1.5, -1.0, 0.0)) == 1.0


def test_a_mask_is_recorded_as_64_block_means_and_its_drawn_share() -> None:
    raw = np.arange(32 * 32, dtype=np.float32).reshape(1, 1, 32, 32)
    values = acceptance_values(mask(32), raw, 0.5)
    assert len(values) == 65
    blocks = raw[0, 0].reshape(8, 4, 8, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(values[:64], blocks.reshape(-1))
    assert values[64] == 1.0
    half = np.where(raw > 511.5, 1.0, -1.0).astype(np.float32)
    assert acceptance_values(mask(32), half, 0.5)[64] == 0.5
    assert acceptance_values(mask(32), half, 0.9)[64] == 0.0


@pytest.mark.parametrize("side", [1, 5, 9, 31])
def test_blocks_of_any_side_cover_the_mask(side: int) -> None:
    values = acceptance_values(mask(side), np.full((1, 1, side, side), 2.5, np.float32), 0.5)
    assert len(values) == min(8, side) ** 2 + 1
    assert values[:-1] == (2.5,) * (len(values) - 1)


def test_the_share_is_not_in_the_difference_of_logits() -> None:
    far = (*(0.0,) * 64, 0.0)
    assert largest_difference(mask(32), far, (*(0.0,) * 64, 1.0)) == 0.0
    with pytest.raises(SchemaError, match="have 64 values, expected 65"):
        largest_difference(mask(32), far[:64], far)
    assert math.isnan(largest_difference(mask(32), far, (math.nan, *far[1:])))


def test_every_finding_must_decide_alike_unless_it_is_near() -> None:
    thresholds = {"A": 0.5, "B": 0.5, "C": 0.5}
    raw = np.array([[0.3, -0.3, 2.0]], np.float32)
    expected = recorded(SCORES, raw, 0.1)
    assert same_decision(SCORES, expected, raw, thresholds)
    for index, turned in ((0, -0.3), (1, 0.3)):
        other = raw.copy()
        other[0, index] = turned
        assert not same_decision(SCORES, expected, other, thresholds)
        assert same_decision(SCORES, replace(expected, tolerance=0.35), other, thresholds)


def test_two_logits_of_a_softmax_move_its_score_twice() -> None:
    raw = np.array([[0.0, 0.15]], np.float32)
    other = np.array([[0.1, 0.05]], np.float32)
    assert same_decision(BINARY, recorded(BINARY, raw, 0.1), other, {"P": 0.5})
    assert not same_decision(BINARY, recorded(BINARY, raw, 0.05), other, {"P": 0.5})


@given(
    hnp.arrays(np.float32, (1, 1, 16, 16), elements=st.floats(-8, 8, width=32)),
    hnp.arrays(np.float32, (1, 1, 16, 16), elements=st.floats(-1, 1, width=32)),
    st.floats(0.0, 0.5),
)
@settings(deadline=None)
def test_what_moves_within_the_tolerance_is_the_same_mask(
    raw: np.ndarray, noise: np.ndarray, tolerance: float
) -> None:
    moved = (raw + np.float32(tolerance) * noise).astype(np.float32)
    expected = recorded(mask(16), raw, tolerance)
    values = acceptance_values(mask(16), moved, 0.5)
    assert largest_difference(mask(16), expected.values, values) <= tolerance + 1e-5
    assert same_decision(mask(16), expected, moved, {"T": 0.5})


def test_a_mask_of_another_size_is_noticed() -> None:
    raw = np.full((1, 1, 32, 32), -5.0, np.float32)
    raw[..., :16, :] = 5.0
    expected = recorded(mask(32), raw, 0.01)
    grown = raw.copy()
    grown[..., 16, :] = 5.0
    assert not same_decision(mask(32), expected, grown, {"T": 0.5})
    speck = raw.copy()
    speck[..., 20, :5] = 5.0
    assert same_decision(mask(32), expected, speck, {"T": 0.5})


@pytest.mark.parametrize(("share", "wanted"), [(0.5, 0.0), (0.0, -27.6), (1.0, 27.6)])
def test_logits_of_the_ends_are_finite(share: float, wanted: float) -> None:
    assert logit(share) == pytest.approx(wanted, abs=0.1)


@pytest.mark.parametrize("kind", ["binary", "findings", "masks"])
def test_acceptance_passes_for_each_task_and_fails_for_other_answers(
    kind: str, tmp_path: Path
) -> None:
    bundle: Bundle = getattr(tiny, kind)(tmp_path)
    assert check_acceptance(bundle, "onnx/fp32").passed
    acceptance = bundle.manifest.acceptance
    assert acceptance is not None
    film = acceptance.films[1]
    values = (film.expected[0].values[0] + 0.01, *film.expected[0].values[1:])
    wrong = replace(film, expected=(replace(film.expected[0], values=values),))
    other = replace(acceptance, films=(acceptance.films[0], wrong))
    changed = tiny.write(bundle.folder, replace(bundle.manifest, acceptance=other))
    result = check_acceptance(changed, "onnx/fp32")
    assert not result.passed
    assert "scores differ by 0.01, tolerance 0.001" in result.explain()
    with pytest.raises(AcceptanceError):
        changed.predictor()


def test_a_mask_that_draws_another_area_is_not_accepted(tmp_path: Path) -> None:
    bundle = tiny.masks(tmp_path)
    acceptance = bundle.manifest.acceptance
    assert acceptance is not None
    films = tuple(
        replace(
            film,
            expected=(
                replace(
                    film.expected[0],
                    values=(*film.expected[0].values[:-1], film.expected[0].values[-1] + 0.05),
                ),
            ),
        )
        for film in acceptance.films
    )
    manifest = replace(bundle.manifest, acceptance=replace(acceptance, films=films))
    result = check_acceptance(tiny.write(bundle.folder, manifest), "onnx/fp32")
    assert not result.passed
    assert "the decision differs" in result.explain()


def test_acceptance_of_an_output_that_is_not_there(tmp_path: Path) -> None:
    bundle = tiny.masks(tmp_path)
    output = replace(bundle.manifest.outputs[0], name="other")
    changed = tiny.write(tmp_path, replace(bundle.manifest, outputs=(output,)))
    with pytest.raises(SchemaError, match="answers of an output 'mask'; it has none"):
        check_acceptance(changed, "onnx/fp32")
