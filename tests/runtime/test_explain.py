"""Eigen-CAM against the SVD that the paper writes, and its drawing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from clinicedge.runtime import Bundle, Film
from clinicedge.runtime.explain import eigen_cam, heat_rgba, on_film, overlay


def by_svd(features: np.ndarray) -> np.ndarray:
    channels, height, width = features.shape
    rows = features.reshape(channels, -1).T.astype(np.float64)
    rows = rows - rows.mean(axis=0)
    _, _, right = np.linalg.svd(rows, full_matrices=False)
    return np.asarray((rows @ right[0]).reshape(height, width))


@pytest.mark.parametrize("shape", [(16, 5, 5), (3, 4, 6), (512, 7, 7)])
def test_it_is_the_first_principal_component(shape: tuple[int, int, int]) -> None:
    features = np.maximum(np.random.default_rng(1).normal(size=shape), 0).astype(np.float32)
    found = eigen_cam(features, None).map
    wanted = by_svd(features)
    maps = [np.maximum(m, 0) / max(m.max(), 1e-12) for m in (wanted, -wanted)]
    assert min(float(np.abs(found - m).max()) for m in maps) < 1e-5


def test_the_sign_follows_the_class_and_turns_with_it() -> None:
    features = np.zeros((2, 4, 4), np.float32)
    features[0, 1, 2] = 5.0
    weights = np.array([1.0, 0.0], np.float32)
    assert int(eigen_cam(features, weights).map.argmax()) == 1 * 4 + 2
    assert eigen_cam(features, -weights).map[1, 2] == 0.0


@given(hnp.arrays(np.float32, (3, 4, 4), elements=st.floats(0, 6, width=32)))
@settings(deadline=None, max_examples=60)
def test_any_features_give_a_map_in_range(features: np.ndarray) -> None:
    result = eigen_cam(features, None)
    assert result.map.dtype == np.float32
    assert np.isfinite(result.map).all()
    assert result.map.min() >= 0.0
    assert result.map.max() in (0.0, 1.0)
    assert (result.sign == 0) == (result.map.max() == 0.0)


def test_a_flat_map_says_so() -> None:
    result = eigen_cam(np.full((8, 5, 5), 2.0, np.float32), None)
    assert result.sign == 0
    assert "flat" in result.note


def test_the_predictors_map_lies_over_the_film(handmade: Bundle, film: Film) -> None:
    predictor = handmade.predictor()
    explanation = predictor.explain(film)
    assert (explanation.method, explanation.label) == ("eigen-cam", "PNEUMONIA")
    assert explanation.report.artifact == "onnx/fp32"
    values = on_film(explanation, film, predictor.input)
    assert values.shape == film.pixels.shape
    assert heat_rgba(values).shape == (*film.pixels.shape, 4)
    drawn = overlay(film, values, opacity=0.5)
    assert drawn.dtype == np.uint8
    assert drawn.shape == (*film.pixels.shape, 3)


def test_no_opacity_shows_the_film_alone(film: Film) -> None:
    values = np.ones(film.pixels.shape, np.float32)
    assert (overlay(film, values, opacity=0.0) == film.pixels[..., None]).all()
