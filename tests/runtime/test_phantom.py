"""Phantom films: the same bits everywhere, and anatomy that a parameter moves."""

import hashlib
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from clinicedge.runtime.decoders import decode
from clinicedge.runtime.phantom import Phantom, Side, draw, encode_png, gallery, sample

BASE = Phantom(seed=5, noise=0.0)


def zone(pixels: NDArray[np.uint8], side: str) -> float:
    """Mean brightness of the lower zone of the patient's right (image left) or left lung."""
    height, width = pixels.shape
    columns = slice(int(width * 0.22), int(width * 0.36))
    if side == "left":
        columns = slice(int(width * 0.72), int(width * 0.80))
    return float(pixels[int(height * 0.58) : int(height * 0.68), columns].mean())


def test_a_phantom_has_the_same_bits_everywhere() -> None:
    digest = hashlib.sha256(draw(Phantom(seed=1, opacity=0.8)).pixels.tobytes()).hexdigest()
    assert digest == "36f58d401be1f92d9b267fa03dc10ecfe731a8e71964934752dc9cac1c24f8fa"


def test_size_format_and_bytes() -> None:
    film = draw(Phantom(seed=2, height=320, width=384))
    assert film.pixels.shape == (320, 384)
    assert film.pixels.dtype == np.uint8
    assert film.source.format == "phantom"
    data = encode_png(film)
    assert len(data) <= 100_000
    assert data == encode_png(film)
    np.testing.assert_array_equal(decode(data, "x").pixels, film.pixels)


def test_lungs_are_dark_and_what_surrounds_them_is_not() -> None:
    pixels = draw(BASE).pixels
    middle = float(pixels[180:220, 180:200].mean())
    belly = float(pixels[260:280, 100:280].mean())
    for side in ("right", "left"):
        assert zone(pixels, side) < 110
    assert middle > 160
    assert belly > 160
    assert pixels[200:, :10].max() < 20


@pytest.mark.parametrize("side", ["right", "left"])
def test_opacity_brightens_its_own_side(side: Side) -> None:
    shades = [
        zone(draw(replace(BASE, opacity=o, side=side)).pixels, side) for o in (0, 0.3, 0.6, 1)
    ]
    assert all(a + 5 < b for a, b in pairwise(shades))
    other = "left" if side == "right" else "right"
    shaded, clear = draw(replace(BASE, opacity=1.0, side=side)).pixels, draw(BASE).pixels
    gain = {s: zone(shaded, s) - zone(clear, s) for s in (side, other)}
    assert gain[side] > gain[other] + 15


def test_haze_brightens_both_sides() -> None:
    clear, hazy = draw(BASE).pixels, draw(replace(BASE, haze=1.0)).pixels
    for side in ("right", "left"):
        assert zone(hazy, side) > zone(clear, side) + 5


def test_small_steps_make_small_changes() -> None:
    one, two = (draw(replace(BASE, opacity=o)).pixels.astype(int) for o in (0.5, 0.505))
    assert 0 < np.abs(one - two).max() <= 3


@pytest.mark.parametrize(
    ("name", "value"),
    [("exposure", 0.7), ("contrast", 0.8), ("rotation_deg", 5.0), ("lung_size", 0.9),
     ("heart_size", 1.2), ("tissue", 1.3), ("ribs", 0.5), ("collimation", 0.2),
     ("marker", False), ("pattern", True), ("seed", 6)],
)  # fmt: skip
def test_every_parameter_counts(name: str, value: float) -> None:
    changed = draw(replace(BASE, **{name: value})).pixels  # type: ignore[arg-type]
    assert np.abs(changed.astype(int) - draw(BASE).pixels).max() > 10


def test_noise_has_the_deviation_it_says() -> None:
    pixels = draw(replace(BASE, noise=4.0)).pixels.astype(int) - draw(BASE).pixels
    assert 3.6 < pixels[230:280, 100:280].std() < 4.4


def test_the_marker_lies_at_the_patients_right() -> None:
    pixels = draw(BASE).pixels
    assert pixels[80:110, :60].max() > 230
    assert pixels[80:110, -60:].max() < 200


def test_samples_vary_and_repeat() -> None:
    drawn = [sample(i) for i in range(200)]
    assert drawn == [sample(i) for i in range(200)]
    ill = sum(p.opacity > 0 for p in drawn)
    assert 70 < ill < 130
    assert {p.zone for p in drawn} == {"upper", "middle", "lower"}
    assert len({p.exposure for p in drawn}) > 100


def test_gallery_has_six_films_of_different_looks() -> None:
    films = dict(gallery())
    assert len(films) == 6
    assert {"normal", "quality-pattern"} <= set(films)
    assert len({draw(p).pixels.tobytes() for p in films.values()}) == 6


def test_the_pattern_has_sixteen_steps() -> None:
    pixels = draw(replace(BASE, pattern=True)).pixels
    steps = pixels[-10, 12::24]
    np.testing.assert_allclose(steps, np.arange(16) * 17, atol=1)
