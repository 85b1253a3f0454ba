"""DICOM films: twins made here with pydicom, and the real ones where they are."""

import io
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
    generate_uid,
)

from clinicedge.runtime import phantom
from clinicedge.runtime.decoders import decode
from clinicedge.runtime.dicom import codestream_size
from clinicedge.runtime.errors import (
    DamagedFilmError,
    FilmColourError,
    FilmError,
    FilmSizeError,
    NotAFilmError,
)

Stored = NDArray[np.integer[Any]]
RAMP = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)


def dataset(stored: Stored, bits: int | None = None, **fields: Any) -> Dataset:
    """A digital chest film with these stored values."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, generate_uid(entropy_srcs=["test"])
    ds.Modality, ds.BodyPartExamined = "DX", "CHEST"
    ds.Rows, ds.Columns = stored.shape[:2]
    ds.SamplesPerPixel = 1 if stored.ndim == 2 else stored.shape[2]
    if stored.ndim == 3:
        ds.PlanarConfiguration = 0
    ds.PhotometricInterpretation = "MONOCHROME2" if stored.ndim == 2 else "RGB"
    ds.BitsAllocated = stored.dtype.itemsize * 8
    ds.BitsStored = bits or ds.BitsAllocated
    ds.HighBit = ds.BitsStored - 1
    ds.PixelRepresentation = int(stored.dtype.kind == "i")
    ds.PixelData = stored.tobytes()
    ds["PixelData"].VR = "OW" if ds.BitsAllocated == 16 else "OB"
    for name, value in fields.items():
        setattr(ds, name, value)
    return ds


def written(ds: Dataset) -> bytes:
    stream = io.BytesIO()
    ds.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def decoded(ds: Dataset, **options: Any) -> NDArray[np.uint8]:
    return decode(written(ds), "x.dcm", **options).pixels


def lut(first: int, bits: int, entries: list[int]) -> Dataset:
    item = Dataset()
    item.LUTDescriptor = [len(entries), first, bits]
    item.LUTData = entries
    item["LUTDescriptor"].VR = item["LUTData"].VR = "US"
    return item


def grey(shades: NDArray[Any]) -> NDArray[np.uint8]:
    """0..1 to 0..255, halves up."""
    return np.asarray(np.floor(np.round(shades * 255, 9) + 0.5), np.uint8)


def window(values: NDArray[Any], center: float, width: float) -> NDArray[np.uint8]:
    """PS3.3 C.11.2.1.2.1, to 0..255."""
    return grey(((values - (center - 0.5)) / (width - 1) + 0.5).clip(0, 1))


@pytest.fixture(scope="module")
def chest() -> NDArray[np.uint8]:
    return phantom.draw(phantom.Phantom(height=96, width=128, opacity=0.5)).pixels


def test_eight_bits_without_window_are_stretched_to_their_range(chest: NDArray[np.uint8]) -> None:
    film = decode(written(dataset(chest)), "x.dcm")
    low, high = int(chest.min()), int(chest.max())
    expected = grey((chest.astype(float) - low) / (high - low))
    np.testing.assert_array_equal(film.pixels, expected)
    assert (film.source.format, film.source.modality, film.source.body_part) == (
        "dicom", "DX", "CHEST",
    )  # fmt: skip
    assert film.source.notes == (f"full range {low}..{high}",)


def test_monochrome1_is_the_inverse_of_monochrome2(chest: NDArray[np.uint8]) -> None:
    one = dataset(255 - chest, PhotometricInterpretation="MONOCHROME1")
    film = decode(written(one), "x")
    np.testing.assert_array_equal(film.pixels, decoded(dataset(chest)))
    assert "inverted: MONOCHROME1" in film.source.notes


def test_presentation_shape_inverse_inverts_once() -> None:
    plain = decoded(dataset(RAMP))
    inverse = decoded(dataset(RAMP, PresentationLUTShape="INVERSE"))
    both = dataset(RAMP, PresentationLUTShape="INVERSE", PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(inverse, 255 - plain)
    np.testing.assert_array_equal(decoded(both), 255 - plain)


def test_first_window_of_several() -> None:
    ds = dataset(RAMP, 12, WindowCenter=[2000, 100], WindowWidth=[1000, 50])
    film = decode(written(ds), "x")
    np.testing.assert_array_equal(film.pixels, window(RAMP.astype(float), 2000, 1000))
    assert film.source.notes == ("window 2000/1000 LINEAR",)


def test_full_range_rule_overrides_the_window() -> None:
    ds = dataset(RAMP, 12, WindowCenter=2000, WindowWidth=1000)
    np.testing.assert_array_equal(decoded(ds, voi="full-range"), decoded(dataset(RAMP, 12)))


def test_signed_values_with_rescale_and_window() -> None:
    stored = (RAMP.astype(np.int32) * 8 - 16000).astype(np.int16)
    ds = dataset(
        stored, RescaleSlope=0.5, RescaleIntercept=-100.0, WindowCenter=0, WindowWidth=4000
    )
    np.testing.assert_array_equal(decoded(ds), window(stored * 0.5 - 100, 0, 4000))


def test_linear_exact_and_sigmoid() -> None:
    values = RAMP.astype(float)
    base = {"WindowCenter": 2000, "WindowWidth": 1000}
    exact = decoded(dataset(RAMP, 12, VOILUTFunction="LINEAR_EXACT", **base))
    np.testing.assert_array_equal(exact, grey(((values - 2000) / 1000 + 0.5).clip(0, 1)))
    sigmoid = decoded(dataset(RAMP, 12, VOILUTFunction="SIGMOID", **base))
    expected = grey(1 / (1 + np.exp(-4 * (values - 2000) / 1000)))
    np.testing.assert_array_equal(sigmoid, expected)


@pytest.mark.parametrize(
    "fields",
    [{"WindowCenter": 5, "WindowWidth": 0}, {"WindowCenter": 5, "WindowWidth": 9,
     "VOILUTFunction": "CUBIC"}, {"RescaleSlope": 0.0, "RescaleIntercept": 1.0,
     "WindowCenter": 5, "WindowWidth": 9}],
)  # fmt: skip
def test_impossible_windows_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(DamagedFilmError, match="cannot be decoded"):
        decoded(dataset(RAMP, **fields))


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_voi_lut(bits: int) -> None:
    top = 2**bits - 1
    entries = [round(top * (i / 1023) ** 2) for i in range(1024)]
    ds = dataset(RAMP, 12, VOILUTSequence=Sequence([lut(100, bits, entries)]),
                 WindowCenter=1, WindowWidth=2)  # fmt: skip
    index = (RAMP.astype(int) - 100).clip(0, 1023)
    expected = grey(np.array(entries)[index] / top)
    np.testing.assert_array_equal(decoded(ds), expected)


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_modality_lut(bits: int) -> None:
    top = 2**bits - 1
    entries = [round(top * (1 - i / 4095)) for i in range(4096)]
    ds = dataset(RAMP, 12, ModalityLUTSequence=Sequence([lut(0, bits, entries)]))
    np.testing.assert_array_equal(decoded(ds), grey(np.array(entries)[RAMP] / top))


def test_a_lut_shorter_than_announced_is_refused() -> None:
    item = lut(0, 12, list(range(100)))
    item.LUTDescriptor = [4096, 0, 12]
    with pytest.raises(DamagedFilmError, match="announces 4096 entries and has 100"):
        decoded(dataset(RAMP, 12, VOILUTSequence=Sequence([item])))


def test_padding_is_black_and_outside_the_range() -> None:
    stored = RAMP.copy()
    stored[:, :10] = 60000
    for kind in ("MONOCHROME1", "MONOCHROME2"):
        ds = dataset(stored, PixelPaddingValue=60000, PhotometricInterpretation=kind)
        film = decode(written(ds), "x")
        assert film.pixels[:, :10].max() == 0
        assert film.pixels[:, 10:].min() == 0
        assert film.pixels[:, 10:].max() == 255
        assert "padding drawn black" in film.source.notes
    ds.PixelPaddingRangeLimit = 0
    with pytest.raises(NotAFilmError, match="padding alone"):
        decoded(ds)


def test_spacing() -> None:
    assert decode(written(dataset(RAMP)), "x").spacing_mm is None
    patient = dataset(RAMP, PixelSpacing=[0.2, 0.3], ImagerPixelSpacing=[9, 9])
    assert decode(written(patient), "x").spacing_mm == (0.2, 0.3)
    detector = dataset(RAMP, ImagerPixelSpacing=[0.3, 0.6])
    film = decode(written(detector), "x")
    assert film.spacing_mm == (0.3, 0.6)
    assert "spacing at the detector" in film.source.notes
    detector.EstimatedRadiographicMagnificationFactor = 1.5
    assert decode(written(detector), "x").spacing_mm == pytest.approx((0.2, 0.4))
    assert decode(written(dataset(RAMP, PixelSpacing=[0, 0])), "x").spacing_mm is None


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


# What becomes of each real file: the error, or (modality, notes).
REAL: dict[str, type[FilmError] | tuple[str, tuple[str, ...]]] = {
    "6154.dcm": FilmSizeError,
    "Fake_MONOHR1.dcm": ("CR", ("full range 0..255", "inverted: MONOCHROME1")),
    "JPEG-LL.dcm": ("NM", ("full range 0..278",)),
    "JPEG2000-embedded-sequence-delimiter.dcm": DamagedFilmError,
    "MR_small.dcm": ("MR", ("window 600/1600 LINEAR",)),
    "MR_small_RLE.dcm": ("MR", ("window 600/1600 LINEAR",)),
    "MR_small_bigendian.dcm": ("MR", ("window 600/1600 LINEAR",)),
    "MR_small_implicit.dcm": ("MR", ("window 600/1600 LINEAR",)),
    "MR_small_jp2klossless.dcm": ("MR", ("window 600/1600 LINEAR",)),
    "MR_small_jpeg_ls_lossless.dcm": ("MR", ("window 600/1600 LINEAR",)),
    "MR_truncated.dcm": DamagedFilmError,
    "RG3_J2KI.dcm": ("CR", ("window 550/1024 LINEAR", "inverted: MONOCHROME1")),
    "SC_rgb_dcmtk_+eb+cy+np.dcm": FilmColourError,
    "chest_cr_rsna_jpegbaseline.dcm": ("CR", ("full range 0..255",)),
    "dx_image.dcm": ("DX", ("window 128/256 LINEAR", "inverted: MONOCHROME1")),
    "emri_small_RLE.dcm": NotAFilmError,
    "image_dfl.dcm": ("OT", ("full range 0..255",)),
    "meta_missing_tsyntax.dcm": DamagedFilmError,
    "rtplan_truncated.dcm": NotAFilmError,
    "test-SR.dcm": NotAFilmError,
}


@pytest.mark.reference_data
@pytest.mark.parametrize("name", REAL)
def test_real_file(data_root: Path, name: str) -> None:
    data = (data_root / "dicom" / name).read_bytes()
    expected = REAL[name]
    if isinstance(expected, tuple):
        source = decode(data, name).source
        assert (source.modality, source.notes) == expected
    else:
        with pytest.raises(expected):
            decode(data, name)


@pytest.mark.reference_data
def test_every_real_file_is_listed(data_root: Path) -> None:
    assert {p.name for p in (data_root / "dicom").glob("*.dcm")} == set(REAL)


@pytest.mark.reference_data
def test_real_pairs_agree(data_root: Path) -> None:
    def pixels(name: str) -> NDArray[np.uint8]:
        return decode((data_root / "dicom" / name).read_bytes(), name).pixels

    film = pixels("chest_cr_rsna_jpegbaseline.dcm")
    np.testing.assert_array_equal(pixels("Fake_MONOHR1.dcm"), 255 - film)
    plain = pixels("MR_small.dcm")
    for kind in ("RLE", "bigendian", "implicit", "jp2klossless", "jpeg_ls_lossless"):
        np.testing.assert_array_equal(pixels(f"MR_small_{kind}.dcm"), plain)
