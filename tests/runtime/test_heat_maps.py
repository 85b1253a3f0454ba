"""A map drawn over its film."""

import numpy as np

from clinicedge.runtime import Bundle, Film
from clinicedge.runtime.heat_maps import heat_rgba, on_film, overlay


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
