"""PNG and JPEG: what is a film, and what is refused with which words."""

import io
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from clinicedge.runtime import limits, phantom
from clinicedge.runtime.decoders import decode
from clinicedge.runtime.errors import (
    DamagedFilmError,
    FilmColourError,
    FilmError,
    FilmSizeError,
    NotAFilmError,
)
from clinicedge.runtime.film import Film
from clinicedge.runtime.images import decode_film, read_film

Pixels = NDArray[np.uint8]


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def png(pixels: Pixels, **options: object) -> bytes:
    return encoded(Image.fromarray(pixels), "PNG", **options)


def jpeg(pixels: Pixels, **options: object) -> bytes:
    return encoded(Image.fromarray(pixels), "JPEG", **options)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_header(width: int, height: int) -> bytes:
    """A PNG that announces a size and brings a few bytes."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + head + body + chunk(b"IEND", b"")


def colourful(side: int = 128) -> Pixels:
    """Hues side by side at one brightness, as no film has them."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC))


@pytest.fixture(scope="module")
def pixels(phantom_film: Film) -> Pixels:
    return phantom_film.pixels


def test_grey_png_is_kept_to_the_bit(pixels: Pixels) -> None:
    film = decode(png(pixels), "film.png")
    np.testing.assert_array_equal(film.pixels, pixels)
    assert film.source.format == "png"
    assert film.source.name == "film.png"
    assert film.spacing_mm is None
    assert film.pixels.flags.c_contiguous


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P"])
def test_grey_in_the_clothes_of_colour_keeps_its_bits(pixels: Pixels, mode: str) -> None:
    image = Image.fromarray(pixels).convert(mode)
    np.testing.assert_array_equal(decode(encoded(image, "PNG"), "x").pixels, pixels)


def test_one_bit_png(pixels: Pixels) -> None:
    image = Image.fromarray(pixels).convert("1")
    assert set(np.unique(decode(encoded(image, "PNG"), "x").pixels)) == {0, 255}


def test_transparent_parts_are_black(pixels: Pixels) -> None:
    image = Image.fromarray(pixels).convert("LA")
    image.putalpha(Image.fromarray(np.where(np.arange(384) < 100, 0, 255).astype(np.uint8)[None]
                                   .repeat(288, axis=0)))  # fmt: skip
    film = decode(encoded(image, "PNG"), "x")
    assert film.pixels[:, :100].max() == 0
    np.testing.assert_array_equal(film.pixels[:, 100:], pixels[:, 100:])
    assert "transparent" in film.source.notes[0]


def test_sixteen_bit_png_maps_its_whole_range(pixels: Pixels) -> None:
    wide = pixels.astype(np.uint16) * 257
    film = decode(encoded(Image.fromarray(wide), "PNG"), "x")
    np.testing.assert_array_equal(film.pixels, pixels)
    assert "16 bit" in film.source.notes[0]


def test_twelve_bits_in_sixteen_are_refused(pixels: Pixels) -> None:
    data = encoded(Image.fromarray(pixels.astype(np.uint16) * 16), "PNG")
    with pytest.raises(NotAFilmError, match=r"end at 40[0-9]* of 65535.*Send the DICOM"):
        decode(data, "x")


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"optimize": True}])
def test_jpeg(pixels: Pixels, options: dict[str, bool]) -> None:
    film = decode(jpeg(pixels, quality=95, **options), "x.jpg")
    assert film.source.format == "jpeg"
    assert np.abs(film.pixels.astype(int) - pixels).mean() < 2


def test_grey_and_rgb_jpeg_of_the_same_film_agree(pixels: Pixels) -> None:
    grey = decode(jpeg(pixels), "x").pixels
    rgb = decode(encoded(Image.fromarray(pixels).convert("RGB"), "JPEG"), "x").pixels
    assert np.abs(grey.astype(int) - rgb).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(pixels: Pixels, orientation: int) -> None:
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    data = jpeg(pixels, exif=exif)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    film = decode(data, "x")
    np.testing.assert_array_equal(film.pixels, upright)
    assert bool(film.source.notes) == (orientation != 1)


def test_a_tinted_photograph_of_a_film_passes(pixels: Pixels) -> None:
    tinted = (pixels[..., None] * np.array([0.75, 0.88, 1.0])).astype(np.uint8)
    assert decode(encoded(Image.fromarray(tinted), "JPEG"), "x").pixels.shape == pixels.shape


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_a_colour_photograph_is_refused(form: str) -> None:
    with pytest.raises(FilmColourError, match=r"'holiday' is a colour picture: mean saturation"):
        decode(encoded(Image.fromarray(colourful()), form), "holiday")


def test_one_strong_colour_is_refused() -> None:
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 0] = np.arange(64, dtype=np.uint8) * 4
    red[..., 0] = np.maximum(red[..., 0], 100)
    with pytest.raises(FilmColourError):
        decode(encoded(Image.fromarray(red), "PNG"), "x")


def test_a_print_jpeg_is_refused(pixels: Pixels) -> None:
    with pytest.raises(NotAFilmError, match="CMYK"):
        decode(encoded(Image.fromarray(pixels).convert("CMYK"), "JPEG"), "x")


@pytest.mark.parametrize(
    ("form", "words"),
    [("GIF", "GIF"), ("BMP", "BMP"), ("TIFF", "TIFF"), ("WEBP", "WebP"), ("PDF", "PDF"),
     ("JPEG2000", "JPEG 2000")],
)  # fmt: skip
def test_other_formats_are_named(pixels: Pixels, form: str, words: str) -> None:
    with pytest.raises(NotAFilmError, match=f"is an? {words} .*Give a PNG, JPEG or DICOM"):
        decode(encoded(Image.fromarray(pixels), form), "x")


@pytest.mark.parametrize("data", [b"hello", b"\0" * 500, b"<html>", b"\x1f\x8b\x08", b"PK\x03\x04"])
def test_what_is_no_image(data: bytes) -> None:
    with pytest.raises(NotAFilmError, match="Give a PNG, JPEG or DICOM file of one radiograph"):
        decode(data, "x")


def test_empty() -> None:
    with pytest.raises(NotAFilmError, match="'x' is empty"):
        decode(b"", "x")


def test_animated_png(pixels: Pixels) -> None:
    more = [Image.fromarray(255 - pixels)]
    with pytest.raises(NotAFilmError, match="animated PNG of 2 pictures"):
        decode(png(pixels, save_all=True, append_images=more), "x")


@pytest.mark.parametrize("make", [png, jpeg])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.8, 0.99])
def test_cut_short(pixels: Pixels, make: Callable[[Pixels], bytes], share: float) -> None:
    data = make(pixels)
    with pytest.raises(DamagedFilmError, match="cut short or changed"):
        decode(data[: int(len(data) * share)], "x")


@pytest.mark.parametrize("make", [png, jpeg])
def test_every_proper_beginning_is_refused(make: Callable[[Pixels], bytes]) -> None:
    data = make(phantom.draw(phantom.Phantom(height=40, width=48)).pixels)
    assert decode(data, "x")
    for end in range(1, len(data)):
        with pytest.raises(FilmError):
            decode(data[:end], "x")


def test_changed_png_bytes_are_seen(pixels: Pixels) -> None:
    data = bytearray(png(pixels))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(DamagedFilmError):
        decode(bytes(data), "x")


@pytest.mark.parametrize("shape", [(1, 1), (31, 500), (500, 31)])
@pytest.mark.parametrize("make", [png, jpeg])
def test_too_small(make: Callable[[Pixels], bytes], shape: tuple[int, int]) -> None:
    with pytest.raises(FilmSizeError, match="at least 32 a side"):
        decode(make(np.zeros(shape, np.uint8)), "x")


@pytest.mark.parametrize(("width", "height"), [(20_000, 20_000), (8193, 8193), (16385, 32)])
def test_a_bomb_is_refused_by_its_header(width: int, height: int) -> None:
    with pytest.raises(FilmSizeError, match=f"declares {width} x {height} pixels"):
        decode(png_header(width, height), "x")


def test_a_real_bomb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    data = encoded(Image.new("L", (20_000, 20_000)), "PNG")
    monkeypatch.undo()
    with pytest.raises(FilmSizeError, match="20000 x 20000"):
        decode(data, "x")


def test_too_many_bytes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(limits, "MAX_BYTES", 1000)
    path = tmp_path / "large.png"
    path.write_bytes(bytes(1001))
    with pytest.raises(FilmSizeError, match=r"'large.png' has"):
        read_film(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotAFilmError, match=r"cannot read .*nothing\.png"):
        read_film(tmp_path / "nothing.png")


def test_pydicom_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.delitem(sys.modules, "clinicedge.runtime.dicom", raising=False)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(FilmError, match=r"pip install 'clinicedge\[dicom\]'"):
        decode(bytes(128) + b"DICM" + bytes(100), "x.dcm")


def film_or_refusal(data: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            film = decode_film(data, "x")
        except FilmError:
            return
    assert film.pixels.dtype == np.uint8
    assert film.pixels.ndim == 2


@given(st.binary(max_size=400), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"]))
def test_any_bytes_give_a_film_or_a_refusal(tail: bytes, magic: bytes) -> None:
    film_or_refusal(magic + tail)


_SMALL = phantom.draw(phantom.Phantom(height=40, width=48)).pixels
_SEEDS = (
    png(_SMALL),
    jpeg(_SMALL),
    jpeg(_SMALL, progressive=True),
    encoded(Image.fromarray(_SMALL).convert("RGBA"), "PNG"),
    encoded(Image.fromarray(_SMALL).convert("P"), "PNG"),
    encoded(Image.fromarray(_SMALL.astype(np.uint16) * 257), "PNG"),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(_SEEDS), st.data())
def test_mutated_files_give_a_film_or_a_refusal(seed: bytes, data: st.DataObject) -> None:
    changed = bytearray(seed)
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(changed) - 1))
        changed[place] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del changed[data.draw(st.integers(1, len(changed))) :]
    film_or_refusal(bytes(changed))


@pytest.mark.reference_data
@pytest.mark.parametrize("folder", ["kermany224/train", "kermany512/train", "nih", "btxrd256"])
def test_real_films_pass(data_root: Path, folder: str) -> None:
    paths = sorted((data_root / folder).rglob("*.jp*g"))[::200]
    assert paths
    for path in paths:
        with Image.open(path) as image:
            expected = np.asarray(image.convert("L"))
        np.testing.assert_array_equal(read_film(path).pixels, expected)
