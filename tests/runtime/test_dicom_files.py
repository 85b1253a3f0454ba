"""DICOM files: transfer syntaxes, what is no film, what is damaged."""

import io
import threading
import warnings

import numpy as np
import pytest
from dicom_twins import RAMP, dataset, decoded, lut, written
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)

from clinicedge.runtime.decoders import decode
from clinicedge.runtime.dicom import codestream_size
from clinicedge.runtime.errors import (
    DamagedFilmError,
    FilmColourError,
    FilmError,
    FilmSizeError,
    NotAFilmError,
)


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian]
)
def test_plain_transfer_syntaxes_agree(syntax: UID) -> None:
    ds = dataset(RAMP, 12)
    ds.file_meta.TransferSyntaxUID = syntax
    np.testing.assert_array_equal(decoded(ds), decoded(dataset(RAMP, 12)))


def test_big_endian() -> None:
    ds = dataset(RAMP, 12)
    ds.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    ds.PixelData = RAMP.astype(">u2").tobytes()
    np.testing.assert_array_equal(decoded(ds), decoded(dataset(RAMP, 12)))


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_lossless_compression_keeps_the_pixels(syntax: UID) -> None:
    ds = dataset(RAMP, 12)
    ds.compress(syntax, generate_instance_uid=False)
    np.testing.assert_array_equal(decoded(ds), decoded(dataset(RAMP, 12)))


def jpeg_dataset(chest: NDArray[np.uint8], inside: NDArray[np.uint8]) -> Dataset:
    stream = io.BytesIO()
    Image.fromarray(inside).save(stream, "JPEG", quality=95)
    ds = dataset(chest)
    ds.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    ds.PixelData = encapsulate([stream.getvalue()])
    ds["PixelData"].is_undefined_length = True
    return ds


def test_jpeg_baseline(chest: NDArray[np.uint8]) -> None:
    found = decoded(jpeg_dataset(chest, chest)).astype(int)
    assert np.abs(found - decoded(dataset(chest))).mean() < 3


def test_a_codestream_of_another_size_is_refused_unread(chest: NDArray[np.uint8]) -> None:
    large = np.zeros((2000, 2000), np.uint8)
    with pytest.raises(DamagedFilmError, match="inside is 2000 x 2000 pixels, the header says"):
        decoded(jpeg_dataset(chest, large))


def test_codestream_sizes() -> None:
    image = Image.new("L", (70, 50))
    for form, options in (("JPEG", {}), ("JPEG", {"progressive": True}), ("JPEG2000", {})):
        stream = io.BytesIO()
        image.save(stream, form, **options)
        assert codestream_size(stream.getvalue()) == (50, 70)
    assert codestream_size(b"\1\0\0\0") is None


def test_without_preamble_or_meta() -> None:
    ds = dataset(RAMP, 12)
    stream = io.BytesIO()
    del ds.file_meta
    ds.save_as(stream, implicit_vr=True, little_endian=True)
    film = decode(stream.getvalue(), "bare")
    np.testing.assert_array_equal(film.pixels, decoded(dataset(RAMP, 12)))


def test_no_pixels() -> None:
    ds = dataset(RAMP)
    for name in ("PixelData", "Rows", "Columns"):
        delattr(ds, name)
    ds.Modality = "SR"
    with pytest.raises(NotAFilmError, match=r"without pixels \(modality SR\)"):
        decoded(ds)


def test_announced_pixels_that_never_come() -> None:
    ds = dataset(RAMP)
    del ds.PixelData
    with pytest.raises(DamagedFilmError, match="announces 64 x 64 pixels and has none"):
        decoded(ds)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.999])
def test_cut_short(share: float) -> None:
    data = written(dataset(RAMP))
    with pytest.raises(FilmError):
        decode(data[: int(len(data) * share)], "x")


def test_cut_short_inside_the_pixels() -> None:
    with pytest.raises(DamagedFilmError, match=r"cut short.*Send it again"):
        decode(written(dataset(RAMP))[:-100], "x")


def test_colour_is_refused_and_grey_in_colour_is_not(chest: NDArray[np.uint8]) -> None:
    grey = dataset(np.stack([chest] * 3, axis=-1))
    np.testing.assert_array_equal(decoded(grey), chest)
    loud = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    with pytest.raises(FilmColourError):
        decoded(dataset(loud.repeat(8, axis=0).repeat(8, axis=1)))


def test_several_frames() -> None:
    ds = dataset(RAMP, NumberOfFrames=3)
    ds.PixelData = RAMP.tobytes() * 3
    with pytest.raises(NotAFilmError, match="has 3 frames; a film has one"):
        decoded(ds)


def test_a_header_of_a_bomb() -> None:
    with pytest.raises(FilmSizeError, match="declares 20000 x 20000"):
        decoded(dataset(RAMP, Rows=20000, Columns=20000))


def test_a_deflated_bomb(monkeypatch: pytest.MonkeyPatch) -> None:
    ds = dataset(np.zeros((1024, 1024), np.uint16))
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    data = written(ds)
    assert len(data) < 20_000
    monkeypatch.setattr("clinicedge.runtime.dicom.MAX_BYTES", 1024 * 1024)
    with pytest.raises(FilmSizeError, match="inflates to more than 1 MB"):
        decode(data, "x")


def test_too_small() -> None:
    with pytest.raises(FilmSizeError, match="16 x 16"):
        decoded(dataset(RAMP[:16, :16]))


def test_other_pixels_are_refused() -> None:
    with pytest.raises(NotAFilmError, match="32 bits a pixel"):
        decoded(dataset(RAMP.astype(np.uint32)))
    video = dataset(RAMP)
    video.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.4.102")
    video.PixelData = encapsulate([bytes(100)])
    video["PixelData"].is_undefined_length = True
    with pytest.raises(NotAFilmError, match="no still picture"):
        decoded(video)


def test_a_missing_plugin_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    ds = dataset(RAMP, 12)
    ds.compress(JPEG2000Lossless, generate_instance_uid=False)
    data = written(ds)
    kind = type(__import__("pydicom.pixels.decoders.base", fromlist=["x"]).JPEG2000LosslessDecoder)
    monkeypatch.setattr(kind, "is_available", property(lambda _: False))
    with pytest.raises(FilmError, match=r"JPEG 2000.*pip install 'clinicedge\[dicom\]'"):
        decode(data, "x")


def test_threads_see_no_warnings_and_the_same_pixels() -> None:
    ds = dataset(RAMP, 12)
    # More bytes than the picture needs is what pydicom warns about.
    ds.PixelData = RAMP.tobytes() + bytes(100)
    data = written(ds)
    with pytest.warns(UserWarning, match="excess padding"):
        assert dcmread(io.BytesIO(data)).pixel_array.shape == RAMP.shape
    expected = decode(data, "x").pixels
    seen: list[bool] = []

    def work() -> None:
        for _ in range(20):
            seen.append(bool((decode(data, "x").pixels == expected).all()))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [True] * 80


def _mutable() -> tuple[bytes, ...]:
    packed = dataset(RAMP, 12)
    packed.compress(RLELossless, generate_instance_uid=False)
    wavelet = dataset(RAMP, 12)
    wavelet.compress(JPEG2000Lossless, generate_instance_uid=False)
    lutted = dataset(RAMP, 12, VOILUTSequence=Sequence([lut(0, 12, list(range(4096)))]))
    return tuple(
        written(ds)
        for ds in (dataset(RAMP, 12, WindowCenter=9, WindowWidth=99), packed, wavelet, lutted)
    )


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(_mutable()), st.data())
def test_mutated_files_give_a_film_or_a_refusal(seed: bytes, data: st.DataObject) -> None:
    changed = bytearray(seed)
    header = st.integers(128, min(len(changed), 900) - 1)
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(header | st.integers(0, len(changed) - 1))
        changed[place] = data.draw(st.integers(0, 255))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            film = decode(bytes(changed), "x")
        except FilmError:
            return
    assert film.pixels.dtype == np.uint8
    assert film.pixels.ndim == 2


@given(st.binary(max_size=600))
def test_any_bytes_behind_the_prefix(tail: bytes) -> None:
    with pytest.raises(FilmError):
        decode(bytes(128) + b"DICM" + tail, "x")
