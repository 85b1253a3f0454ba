"""The methods on arrays: what they are in the literature, and what must not change them."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from clinicedge.runtime.explanations.components import first_component
from clinicedge.runtime.explanations.eigen_cam import eigen_cam
from clinicedge.runtime.explanations.eigen_grad_cam import eigen_grad_cam
from clinicedge.runtime.explanations.evidence import class_evidence
from clinicedge.runtime.explanations.grad_cam import grad_cam
from clinicedge.runtime.explanations.grad_cam_plus_plus import grad_cam_plus_plus
from clinicedge.runtime.explanations.growing import grow
from clinicedge.runtime.explanations.heat import FLAT, NOTHING_FOR_IT, heat
from clinicedge.runtime.explanations.hirescam import hirescam
from clinicedge.runtime.explanations.occlusion import grid, occlusion, squares_a_side
from clinicedge.runtime.explanations.rise import masks, rise
from clinicedge.runtime.explanations.score_cam import asked_channels, score_cam
from clinicedge.runtime.explanations.seg_eigen_cam import seg_eigen_cam

FEATURES = hnp.arrays(np.float32, (5, 3, 4), elements=st.floats(0, 6, width=32))
ROWS = hnp.arrays(np.float32, 5, elements=st.floats(-2, 2, width=32))


def made(channels: int = 12, height: int = 5, width: int = 4, seed: int = 3) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.maximum(random.normal(size=(channels, height, width)), 0).astype(np.float32)


def row(channels: int = 12, seed: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=channels).astype(np.float32)


def by_svd(features: np.ndarray) -> np.ndarray:
    rows = features.reshape(len(features), -1).T.astype(np.float64)
    rows = rows - rows.mean(axis=0)
    _, _, right = np.linalg.svd(rows, full_matrices=False)
    return np.asarray((rows @ right[0]).reshape(features.shape[1:]))


@pytest.mark.parametrize("shape", [(16, 5, 5), (3, 4, 6), (512, 7, 7), (1, 3, 3), (4, 1, 1)])
def test_eigen_cam_is_the_first_principal_component(shape: tuple[int, int, int]) -> None:
    features = made(*shape)
    found, wanted = first_component(features), by_svd(features)
    gap = min(np.abs(found - wanted).max(), np.abs(found + wanted).max())
    assert gap < 1e-9 * max(1.0, np.abs(wanted).max())


def test_its_sign_follows_the_class_and_turns_with_it() -> None:
    features = np.zeros((2, 4, 4), np.float32)
    features[0, 1, 2] = 5.0
    weights = np.array([1.0, 0.0], np.float32)
    towards = eigen_cam(features, class_evidence(features, weights))
    against = eigen_cam(features, class_evidence(features, -weights))
    assert int(towards.argmax()) == 1 * 4 + 2
    assert (against == -towards).all()
    assert heat(against).map[1, 2] == 0.0


@pytest.mark.parametrize("seed", range(8))
def test_its_sign_agrees_with_the_evidence_of_any_class(seed: int) -> None:
    features, weights = made(seed=seed), row(seed=seed + 100)
    evidence = class_evidence(features, weights)
    found = eigen_cam(features, evidence)
    assert np.corrcoef(found.ravel(), evidence.ravel())[0, 1] >= 0


def test_grad_cam_is_the_class_activation_map_and_hirescam() -> None:
    features, weights = made(), row()
    wanted = np.einsum("c,chw->hw", weights.astype(np.float64), features.astype(np.float64))
    assert np.allclose(grad_cam(features, weights), wanted, rtol=1e-12)
    assert (hirescam(features, weights) == grad_cam(features, weights)).all()
    # Its mean is the logit less the bias.
    assert math.isclose(wanted.mean(), weights @ features.mean((1, 2)), rel_tol=1e-5)


def test_grad_cam_plus_plus_leaves_channels_against_the_class_out() -> None:
    features, weights = made(), row()
    without = features.copy()
    without[weights <= 0] = 0
    assert np.allclose(grad_cam_plus_plus(features, weights), grad_cam_plus_plus(without, weights))


def test_seg_eigen_cam_lights_up_what_is_outlined() -> None:
    features = made(seed=9) * 0.01
    features[3, 1:3, 1:3] += 4.0
    mask = np.zeros((20, 16), np.float32)
    mask[4:12, 4:12] = 1.0
    for sign in (1.0, -1.0):
        found = seg_eigen_cam((sign * features).astype(np.float32), mask)
        assert found[1:3, 1:3].min() > np.delete(found.ravel(), [5, 6, 9, 10]).max()


@given(FEATURES, ROWS)
@settings(deadline=None, max_examples=60)
def test_any_features_give_a_map_in_range(features: np.ndarray, weights: np.ndarray) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for values in (
            eigen_cam(features, None),
            eigen_cam(features, class_evidence(features, weights)),
            grad_cam(features, weights),
            grad_cam_plus_plus(features, weights),
            eigen_grad_cam(features, weights),
            seg_eigen_cam(features, features[0]),
        ):
            found = heat(values)
            assert found.map.dtype == np.float32
            assert found.map.shape == (3, 4)
            assert found.map.min() == 0.0
            assert found.map.max() == (1.0 if found.sign else 0.0)
            assert bool(found.note) == (found.sign == 0)


@given(FEATURES, ROWS, st.floats(0.25, 4), st.permutations(range(5)))
@settings(deadline=None, max_examples=40)
def test_scale_and_order_of_channels_do_not_matter(
    features: np.ndarray, weights: np.ndarray, scale: float, order: list[int]
) -> None:
    once = grad_cam(features, weights)
    again = grad_cam(features[order], weights[order]) * scale
    assert np.allclose(once * scale, again, atol=1e-9)
    if heat(once).sign and heat(again).sign:
        assert np.allclose(heat(once).map, heat(again).map, atol=1e-4)


@pytest.mark.parametrize("method", [grad_cam, grad_cam_plus_plus, eigen_grad_cam])
def test_a_mirrored_feature_map_gives_the_mirrored_heat_map(method: object) -> None:
    assert callable(method)
    features, weights = made(), row()
    once, again = method(features, weights), method(features[..., ::-1], weights)
    assert np.allclose(heat(once).map[:, ::-1], heat(again).map, atol=1e-6)


def test_a_constant_added_to_a_channel_does_not_move_eigen_cam() -> None:
    features = made()
    moved = features + np.arange(12, dtype=np.float32)[:, None, None]
    evidence = class_evidence(features, row())
    assert np.allclose(eigen_cam(features, evidence), eigen_cam(moved, evidence), atol=1e-5)


@pytest.mark.parametrize("level", [0.0, 2.0, 1e-30, 1e30])
def test_flat_features_give_a_flat_map_that_says_so(level: float) -> None:
    features = np.full((8, 5, 5), level, np.float32)
    weights = row(8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for values in (
            eigen_cam(features, None),
            grad_cam(features, weights),
            grad_cam_plus_plus(features, weights),
            eigen_grad_cam(features, weights),
        ):
            found = heat(values)
            assert (found.sign, found.note) == (0, FLAT)
            assert not found.map.any()


def test_a_map_of_nothing_for_the_class_says_so() -> None:
    found = heat(-1.0 - made(1)[0].astype(np.float64))
    assert (found.sign, found.note, float(found.map.max())) == (0, NOTHING_FOR_IT, 0.0)


def test_rounding_of_equal_features_is_flat() -> None:
    noise = np.random.default_rng(0).normal(size=(64, 5, 5)) * 1e-8
    features = (3.0 + noise).astype(np.float32)
    assert heat(eigen_cam(features, None)).sign == 0


def test_growing_keeps_corners_and_is_linear_between() -> None:
    grown = grow(np.array([[0, 2], [4, 6]], np.float32), 3, 5)
    assert np.allclose(grown[0], [0, 0.5, 1, 1.5, 2])
    assert np.allclose(grown[:, 0], [0, 2, 4])
    assert np.allclose(grow(np.array([[3.0]], np.float32), 4, 6), 3.0)
    assert grow(made(1, 7, 7)[0], 1, 1).shape == (1, 1)


def brightness(place: tuple[int, int]) -> object:
    """A score that hangs on one pixel alone."""
    return lambda tensor: float(tensor[0, 0, place[0], place[1]]) * 4 - 2


def test_rise_finds_the_pixel_that_the_score_hangs_on() -> None:
    tensor = np.ones((1, 3, 35, 42), np.float32)
    calls: list[tuple[int, int]] = []
    score = brightness((8, 30))
    assert callable(score)
    values = rise(tensor, score, 300, lambda done, total: calls.append((done, total)))
    top, left = np.unravel_index(int(values.argmax()), values.shape)
    assert abs(int(top) - 8) <= 4
    assert abs(int(left) - 30) <= 4
    assert calls == [(n, 300) for n in range(1, 301)]
    assert values.min() >= 0
    assert values.max() <= 1


def test_rise_shows_the_same_views_every_time() -> None:
    once, again = list(masks(20, 33, 5)), list(masks(20, 33, 5))
    assert all((a == b).all() for a, b in zip(once, again, strict=True))
    assert all(m.shape == (20, 33) and m.min() >= 0 and m.max() <= 1 for m in once)
    assert abs(np.mean(list(masks(32, 32, 400))) - 0.5) < 0.02


def test_rise_of_a_score_that_never_moves_is_flat() -> None:
    values = rise(np.ones((1, 1, 16, 16), np.float32), lambda _: 0.3, 20)
    assert heat(values, size=1.0).sign == 0


def test_score_cam_trusts_the_channel_that_keeps_the_score() -> None:
    features = np.zeros((3, 4, 4), np.float32)
    features[0, 0, 0], features[1, 3, 3] = 1.0, 1.0
    tensor = np.ones((1, 1, 16, 16), np.float32)
    values = score_cam(features, tensor, lambda view: float(view[0, 0, 15, 15]) * 6)
    assert int(values.argmax()) == 15
    assert values[0, 0] < 0.01


def test_score_cam_asks_no_more_channels_than_it_may() -> None:
    features = made()
    features[5] = 0.0
    asked: list[float] = []
    tensor = np.ones((1, 1, 10, 8), np.float32)

    def score(view: np.ndarray) -> float:
        asked.append(float(view.sum()))
        return 0.0

    score_cam(features, tensor, score, 4)
    assert len(asked) == 4
    deviations = features.reshape(12, -1).std(axis=1)
    assert set(asked_channels(features, 4)) == set(np.argsort(-deviations)[:4])
    assert len(asked_channels(features, 99)) == 11
    assert not score_cam(np.ones((2, 3, 3), np.float32), tensor, score).any()


def test_occlusion_finds_the_square_that_the_score_hangs_on() -> None:
    tensor = np.zeros((1, 1, 30, 40), np.float32)
    tensor[0, 0, 8, 30] = 1.0
    calls: list[tuple[int, int]] = []
    score = brightness((8, 30))
    assert callable(score)
    values = occlusion(tensor, score, 101, lambda done, total: calls.append((done, total)))
    assert calls == [(n, 100) for n in range(1, 101)]
    assert values.shape == (10, 10)
    top, left = np.unravel_index(int(values.argmax()), values.shape)
    assert (int(top) in (2, 3), int(left) in (7, 8)) == (True, True)
    assert values[:, :5].max() == 0


@pytest.mark.parametrize("passes", [1, 2, 10, 145])
@pytest.mark.parametrize("size", [(7, 50), (32, 32)])
def test_squares_cover_the_whole_film(passes: int, size: tuple[int, int]) -> None:
    cover = np.zeros(size)
    count = squares_a_side(passes)
    for rows, columns in grid(*size, count):
        cover[rows, columns] += 1
    assert cover.min() >= 1
    assert count * count <= max(1, passes - 1)
