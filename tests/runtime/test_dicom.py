"""The grey values of DICOM films: twins made with pydicom, and the real ones where they are."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dicom_twins import RAMP, dataset, decoded, lut, written
from numpy.typing import NDArray
from pydicom.sequence import Sequence

from clinicedge.runtime.decoders import decode
from clinicedge.runtime.errors import (
    DamagedFilmError,
    FilmColourError,
    FilmError,
    FilmSizeError,
    NotAFilmError,
)


def grey(shades: NDArray[Any]) -> NDArray[np.uint8]:
    """0..1 to 0..255, halves up."""
    return np.asarray(np.floor(np.round(shades * 255, 9) + 0.5), np.uint8)


def window(values: NDArray[Any], center: float, width: float) -> NDArray[np.uint8]:
    """PS3.3 C.11.2.1.2.1, to 0..255."""
    return grey(((values - (center - 0.5)) / (width - 1) + 0.5).clip(0, 1))


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
