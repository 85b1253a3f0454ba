"""From a film to the network's tensor: geometry, the formula, and the same bits."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from clinicedge.runtime.film import Film
from clinicedge.runtime.images import letterbox_frame, prepare, resize, scale
from clinicedge.runtime.spec import DicomRules, InputSpec, Resize, ResizeFilter, Scaling

FILTERS: tuple[ResizeFilter, ...] = (
    "nearest", "box", "bilinear", "hamming", "bicubic", "lanczos",
)  # fmt: skip


def make_spec(
    height: int = 224,
    width: int = 224,
    method: Resize = "stretch",
    kind: ResizeFilter = "bilinear",
    scaling: Scaling | None = None,
) -> InputSpec:
    scaling = scaling or Scaling((0.5,) * 3, (0.5,) * 3)
    channels = len(scaling.mean)
    pad = 0 if method == "letterbox" else None
    return InputSpec(
        "film", height, width, channels, method, kind, pad, scaling, DicomRules("file")
    )


IMAGENET = Scaling((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
GREY = Scaling((0.0,), (1.0,))


@pytest.mark.parametrize(
    ("spec", "digest"),
    [
        (make_spec(), "c6cc102aba9f57b5c0a8137315a5e89994a1b08e2fd0726a93ce11e1cc1cf183"),
        (make_spec(128, 128), "d93c46f272c4ddedac34f2d8d1c55a2189c2dcc793b6c4c6da85fe5795fbf612"),
        (
            make_spec(160, 160, kind="bicubic", scaling=IMAGENET),
            "56492bd8e218b6c3f3b6af8ac8da9a76836096e06386b7d76e22107048957d24",
        ),
        (
            make_spec(256, 256, "letterbox", "lanczos", GREY),
            "f1539d2177695ef6308432f31dd51e392d3a366435e1ba2de1622236a6470e5e",
        ),
    ],
)
def test_the_tensor_has_the_same_bits_everywhere(
    phantom_film: Film, spec: InputSpec, digest: str
) -> None:
    tensor = prepare(phantom_film, spec)
    assert tensor.shape == (1, *spec.shape)
    assert tensor.dtype == np.float32
    assert tensor.flags.c_contiguous
    assert hashlib.sha256(tensor.astype("<f4").tobytes()).hexdigest() == digest


@pytest.mark.parametrize("kind", FILTERS)
def test_stretch_is_pillows_resize(phantom_film: Film, kind: ResizeFilter) -> None:
    image = Image.fromarray(phantom_film.pixels)
    expected = image.resize((100, 60), Image.Resampling[kind.upper()])
    found = resize(phantom_film.pixels, make_spec(60, 100, kind=kind))
    np.testing.assert_array_equal(found, np.asarray(expected))


def test_a_film_of_the_right_size_is_left_alone(phantom_film: Film) -> None:
    height, width = phantom_film.pixels.shape
    assert resize(phantom_film.pixels, make_spec(height, width)) is phantom_film.pixels


@settings(deadline=None)
@given(*[st.integers(1, 600)] * 2, *[st.integers(8, 320)] * 2)
def test_letterbox_keeps_the_shape_and_the_centre(
    height: int, width: int, to_height: int, to_width: int
) -> None:
    spec = make_spec(to_height, to_width, "letterbox")
    inner_h, inner_w, top, left = letterbox_frame(height, width, spec)
    assert inner_h == to_height or inner_w == to_width
    assert 0 <= top == (to_height - inner_h) // 2
    assert 0 <= left == (to_width - inner_w) // 2
    ratio = min(to_height / height, to_width / width)
    assert abs(inner_h - height * ratio) <= max(0.5, 1 - height * ratio)
    assert abs(inner_w - width * ratio) <= max(0.5, 1 - width * ratio)
    out = resize(np.full((height, width), 200, np.uint8), spec)
    assert out.shape == (to_height, to_width)
    frame = np.zeros_like(out)
    frame[top : top + inner_h, left : left + inner_w] = 200
    np.testing.assert_array_equal(out, frame)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0.05, 2)), min_size=1, max_size=4),
    st.integers(0, 2**32 - 1),
)
def test_scale_is_the_formula(pairs: list[tuple[float, float]], seed: int) -> None:
    means, stds = zip(*pairs, strict=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (9, 7), dtype=np.uint8)
    spec = make_spec(9, 7, scaling=Scaling(means, stds))
    found = scale(pixels, spec)
    for channel, (mean, std) in enumerate(pairs):
        exact = (pixels.astype(np.float64) / 255 - mean) / std
        np.testing.assert_allclose(found[0, channel], exact, rtol=1e-6, atol=1e-6 / std)
    assert found.tobytes() == scale(pixels, spec).tobytes()


def test_scale_takes_any_memory_layout(phantom_film: Film) -> None:
    spec = make_spec(scaling=IMAGENET)
    plain = phantom_film.pixels[:224, :224]
    np.testing.assert_array_equal(scale(plain, spec), scale(plain.copy(), spec))
    turned = np.asfortranarray(plain)
    np.testing.assert_array_equal(scale(turned, spec), scale(plain, spec))
