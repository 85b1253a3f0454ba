"""DICOM to film: modality LUT, VOI window and inversion (PS3.3 C.11.1, C.11.2, C.7.6.3.1.2)."""

import io
import re
import struct
import zlib
from dataclasses import dataclass

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import generate_frames
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_windowing
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from . import colour
from .dicom_regions import body_part, text_of
from .errors import DamagedFilmError, FilmError, FilmSizeError, NotAFilmError
from .files import sha256_bytes
from .film import Film, FilmSource
from .limits import BROKEN, MAX_BYTES, check_size
from .quiet import ignore_warnings_of
from .spec import Voi

_COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT")
_GREYS = ("MONOCHROME1", "MONOCHROME2")
# Start of frame of a JPEG (any process but DHT, JPG, DAC) or JPEG-LS; size segment of a JPEG 2000.
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
_J2K_SIZE = re.compile(rb"\xff\x4f\xff\x51.{4}(.{16})", re.DOTALL)


@dataclass(frozen=True)
class _Levels:
    """Which film brightness 0..255 each stored value becomes; `table[value - first]`."""

    first: int
    table: NDArray[np.uint8]
    notes: tuple[str, ...]


def decode_dicom(data: bytes, name: str, voi: Voi = "file") -> Film:
    """Decode a DICOM file of one frame.

    `voi` "file" takes the file's VOI LUT, else its first window, else its full range;
    "full-range" always the last. Pixel padding lies outside the range and is drawn black.

    Raises:
        NotAFilmError: no pixels, several frames, or pixels of no radiograph.
        DamagedFilmError: cut short or corrupt.
        FilmColourError: a colour photograph.
        FilmSizeError: too small or too large.
        FilmError: compressed in a way that this installation cannot read.
    """
    ignore_warnings_of("pydicom")
    ignore_warnings_of("PIL")
    try:
        dataset = read_dataset(data, name)
        return film_of(dataset, name, voi, sha256_bytes(data))
    except (*BROKEN, BytesLengthException, InvalidDicomError) as err:
        raise damaged(name, str(err) or type(err).__name__) from err


def film_of(dataset: FileDataset, name: str, voi: Voi, sha256: str) -> Film:
    """The film of a data set of one frame; raises as `decode_dicom`, and what pydicom raises."""
    check_header(dataset, name)
    pixels, notes = _pixels(dataset, name, voi)
    spacing, more = _spacing(dataset)
    source = FilmSource(
        "dicom",
        name,
        sha256,
        body_part(dataset),
        text_of(dataset, "Modality"),
        notes + more,
    )
    return Film(np.ascontiguousarray(pixels), spacing, source)


def damaged(name: str, reason: str) -> DamagedFilmError:
    """The refusal of a file that cannot be decoded."""
    return DamagedFilmError(
        f"'{name}' is a DICOM file that cannot be decoded ({' '.join(reason.split())[:200]}): it "
        "was cut short, changed on the way, or written wrongly. Send it again from the machine."
    )


def number_of(dataset: Dataset, keyword: str) -> int:
    """A whole number of the image description; 0 where it is absent or empty."""
    value = dataset.get(keyword)
    return int(value) if value is not None and value != "" else 0


def read_dataset(data: bytes, name: str) -> FileDataset:
    """Parse the data set.

    Raises:
        FilmSizeError: it inflates to more than MAX_BYTES.
    """
    _check_deflated(data, name)
    dataset = pydicom.dcmread(io.BytesIO(data), force=True)
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        plain = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta = FileMetaDataset(dataset.file_meta)
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else plain
    return dataset


def _check_deflated(data: bytes, name: str) -> None:
    """Inflate a deflated data set up to the limit, before pydicom does so without one."""
    uid = DeflatedExplicitVRLittleEndian.encode("ascii")
    if data[128:132] != b"DICM" or uid not in data[:4096]:
        return
    # The file meta group starts with its length: (0002,0000) UL 4.
    start = 144 + int.from_bytes(data[140:144], "little")
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflater.decompress(data[start:], MAX_BYTES)
    if inflater.unconsumed_tail:
        raise FilmSizeError(
            f"'{name}' inflates to more than {MAX_BYTES // 2**20} MB; a film has at most that. "
            "Export it uncompressed at the detector's own resolution."
        )


def check_header(dataset: FileDataset, name: str) -> None:
    """Refuse by the header what is no single radiograph.

    Raises:
        FilmError: as `decode_dicom`.
    """
    rows, columns = number_of(dataset, "Rows"), number_of(dataset, "Columns")
    if "PixelData" not in dataset:
        modality = text_of(dataset, "Modality") or "unknown"
        if rows and columns and "FloatPixelData" not in dataset:
            raise damaged(name, f"it announces {columns} x {rows} pixels and has none")
        raise NotAFilmError(
            f"'{name}' is a DICOM file without pixels (modality {modality}). "
            "Send the image of the study: CR, DX, or DR."
        )
    if not (rows and columns):
        raise damaged(name, "it has pixels but not their rows and columns")
    check_size(rows, columns, name)
    frames = number_of(dataset, "NumberOfFrames")
    if frames > 1:
        raise NotAFilmError(
            f"'{name}' has {frames} frames; a film has one. Send a single radiograph, or ask about "
            "its frames as slices."
        )
    bits, kind = number_of(dataset, "BitsAllocated"), text_of(dataset, "PhotometricInterpretation")
    if bits not in (8, 16) or kind not in (*_GREYS, *_COLOURS, "PALETTE COLOR"):
        raise NotAFilmError(
            f"'{name}' has {bits} bits a pixel and the colours {kind}; a film has 8 or 16 and is "
            "MONOCHROME1 or MONOCHROME2. Send the radiograph itself."
        )


def _stored(dataset: FileDataset, name: str) -> NDArray[np.integer]:
    """The decoded pixel data: stored values (H, W), or RGB (H, W, 3).

    Raises:
        FilmError: no plug-in for the transfer syntax is installed.
        DamagedFilmError: the compressed picture has another size than the header says.
    """
    syntax = dataset.file_meta.TransferSyntaxUID
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as err:
        raise NotAFilmError(
            f"'{name}' is stored as {syntax.name}, which is no still picture. "
            "Export it uncompressed, as JPEG or as JPEG 2000."
        ) from err
    if not decoder.is_available:
        raise FilmError(
            f"'{name}' is compressed as {syntax.name}, and no plug-in that reads it is installed. "
            "Run: pip install 'clinicedge[dicom]'"
        )
    if syntax.is_encapsulated:
        _check_codestream(dataset, name)
    # The RLE plug-in of pylibjpeg panics on damaged data, which no `except Exception` catches.
    plugin = "pydicom" if syntax == RLELossless else ""
    values: NDArray[np.integer]
    values, _ = decoder.as_array(dataset, index=0, decoding_plugin=plugin)
    return values


def _check_codestream(dataset: FileDataset, name: str) -> None:
    """A codestream of another size than the header's would be decoded in full: look first."""
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    found = codestream_size(frame)
    expected = (number_of(dataset, "Rows"), number_of(dataset, "Columns"))
    if found is not None and found != expected:
        raise damaged(
            name,
            f"the picture inside is {found[1]} x {found[0]} pixels, the header says "
            f"{expected[1]} x {expected[0]}",
        )


def codestream_size(frame: bytes) -> tuple[int, int] | None:
    """(height, width) that a JPEG, JPEG-LS or JPEG 2000 frame declares; None for others (RLE)."""
    if frame.startswith(b"\xff\xd8"):
        at = 2
        while at + 9 <= len(frame) and frame[at] == 0xFF:
            if frame[at + 1] in _SOF:
                height, width = struct.unpack(">HH", frame[at + 5 : at + 9])
                return height, width
            if frame[at + 1] == 0xFF:
                at += 1
            else:
                at += 2 + int.from_bytes(frame[at + 2 : at + 4], "big")
        raise ValueError("the JPEG inside declares no size")
    if match := _J2K_SIZE.search(frame[:4096]):
        right, bottom, left, top = struct.unpack(">IIII", match.group(1))
        return bottom - top, right - left
    return None


def _pixels(dataset: FileDataset, name: str, voi: Voi) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """uint8 (H, W), 0 = black, and what was done."""
    stored = _stored(dataset, name)
    if stored.ndim == 3 or dataset.PhotometricInterpretation == "PALETTE COLOR":
        return _from_colour(dataset, stored, name)
    grey = stored.astype(np.int32)
    padding = _padding(dataset, grey)
    seen = grey if padding is None else grey[~padding]
    if seen.size == 0:
        raise NotAFilmError(
            f"'{name}' holds padding alone and no picture. Send the radiograph itself."
        )
    levels = _levels(dataset, seen, voi)
    if padding is None:
        return levels.table[grey - levels.first], levels.notes
    pixels = np.zeros(grey.shape, np.uint8)
    pixels[~padding] = levels.table[seen - levels.first]
    return pixels, (*levels.notes, "padding drawn black")


def _from_colour(
    dataset: FileDataset, stored: NDArray[np.integer], name: str
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Grey in colour's clothes, by the same rule as PNG and JPEG."""
    from PIL import Image

    rgb = stored
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        rgb = apply_color_lut(stored, dataset)
    if rgb.dtype.itemsize == 2:
        rgb = (rgb.astype(np.int32) + 128) // 257
    image = Image.fromarray(np.ascontiguousarray(rgb[..., :3].astype(np.uint8)))
    return np.asarray(colour.grey(image, name)), ("grey from colour",)


def _padding(dataset: FileDataset, stored: NDArray[np.int32]) -> NDArray[np.bool_] | None:
    """Where the stored values are padding (PS3.3 C.7.5.1.1.2); None where there is none."""
    if dataset.get("PixelPaddingValue") is None:
        return None
    ends = [number_of(dataset, "PixelPaddingValue")]
    if dataset.get("PixelPaddingRangeLimit") is not None:
        ends.append(number_of(dataset, "PixelPaddingRangeLimit"))
    mask: NDArray[np.bool_] = (stored >= min(ends)) & (stored <= max(ends))
    return mask if mask.any() else None


def _levels(dataset: FileDataset, seen: NDArray[np.int32], voi: Voi) -> _Levels:
    """The grey pipeline, run once for each stored value instead of each pixel."""
    first, last = int(seen.min()), int(seen.max())
    values = np.arange(first, last + 1, dtype=np.int32)
    notes: tuple[str, ...]
    shades: NDArray[np.float64]
    # Rescale values of nonsense overflow here and are refused below.
    with np.errstate(all="ignore"):
        if lut := dataset.get("ModalityLUTSequence"):
            real, _ = _apply_lut(values, lut[0], dataset)
            notes = ("modality LUT",)
        else:
            real = np.asarray(apply_modality_lut(values, dataset), np.float64)
            notes = ()
        if voi == "file" and (lut := dataset.get("VOILUTSequence")):
            shades, top = _apply_lut(real, lut[0], dataset)
            shades, words = shades / top, "VOI LUT"
        elif voi == "file" and _has_window(dataset):
            shades, words = _window(real, dataset)
        else:
            present = np.bincount((seen - first).ravel(), minlength=values.size) > 0
            low, high = float(real[present].min()), float(real[present].max())
            shades, words = (real - low) / ((high - low) or 1.0), f"full range {low:g}..{high:g}"
    if not np.isfinite(shades).all():
        raise ValueError(f"rescale or window ({words}) gives no finite grey")
    kind, shape = dataset.PhotometricInterpretation, text_of(dataset, "PresentationLUTShape")
    notes = (*notes, words)
    if kind == "MONOCHROME1":
        shades, notes = 1 - shades, (*notes, "inverted: MONOCHROME1")
    elif shape == "INVERSE":
        shades, notes = 1 - shades, (*notes, "inverted: presentation LUT shape")
    # Halves go up in both directions of grey: the 9 decimals take out what 1 - x leaves.
    grey = np.floor(np.round(np.clip(shades, 0.0, 1.0) * 255, 9) + 0.5)
    return _Levels(first, grey.astype(np.uint8), notes)


def _has_window(dataset: FileDataset) -> bool:
    return dataset.get("WindowCenter") not in (None, "") and (
        dataset.get("WindowWidth") not in (None, "")
    )


def _window(real: NDArray[np.float64], dataset: FileDataset) -> tuple[NDArray[np.float64], str]:
    """The first window; 0 = its black, 1 = its white."""
    # pydicom maps onto the range of the stored bits: two far values show which that is.
    ends = np.array([-1e12, 1e12])
    mapped = apply_windowing(np.concatenate((real, ends)), dataset)
    low, high = mapped[-2:]
    shades = (mapped[:-2] - low) / (high - low)
    center, width = (_first(dataset[k].value) for k in ("WindowCenter", "WindowWidth"))
    function = text_of(dataset, "VOILUTFunction") or "LINEAR"
    return shades, f"window {center:g}/{width:g} {function}"


def _first(value: object) -> float:
    """A DICOM decimal string holds one value or a list of them."""
    if isinstance(value, (str, float, int)):
        return float(value)
    return float(value[0])  # type: ignore[index]


def _apply_lut(
    values: NDArray[np.int32] | NDArray[np.float64], item: Dataset, dataset: FileDataset
) -> tuple[NDArray[np.float64], int]:
    """A LUT of PS3.3 C.11.1.1 or C.11.2.1.1: its entries for `values`, and its largest output.

    pydicom's own knows no 12-bit modality LUT and wraps the index of an 8-bit VOI LUT.
    """
    count, first, bits = (int(v) for v in item.LUTDescriptor)
    count = count or 65536
    raw = item.LUTData
    if isinstance(raw, bytes):
        little = dataset.original_encoding[1]
        wide = np.dtype("<u2" if little else ">u2")
        entries = np.frombuffer(raw, wide if len(raw) >= 2 * count else np.uint8)
    else:
        entries = np.atleast_1d(np.asarray(raw, np.int64))
    if entries.size < count:
        raise ValueError(f"a LUT announces {count} entries and has {entries.size}")
    index = np.clip(np.rint(values) - first, 0, count - 1).astype(np.intp)
    return entries[index].astype(np.float64), 2**bits - 1


def _spacing(dataset: FileDataset) -> tuple[tuple[float, float] | None, tuple[str, ...]]:
    """(row, column) spacing in millimetres: in the patient where known, else at the detector."""
    for keyword in ("PixelSpacing", "ImagerPixelSpacing"):
        value = dataset.get(keyword)
        if not value or isinstance(value, (str, float)) or len(value) != 2:
            continue
        row, column = float(value[0]), float(value[1])
        if not (0 < row < 100 and 0 < column < 100):
            continue
        if keyword == "PixelSpacing":
            return (row, column), ()
        magnified = dataset.get("EstimatedRadiographicMagnificationFactor")
        factor = float(magnified) if magnified else 0.0
        if factor >= 1.0:
            return (row / factor, column / factor), (
                f"spacing divided by magnification {factor:g}",
            )
        return (row, column), ("spacing at the detector",)
    return None, ()
