"""Bytes to film: the format by its first bytes, PNG and JPEG by Pillow, DICOM by `dicom.py`."""

import io
import re
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from . import colour
from .errors import DamagedFilmError, FilmError, NotAFilmError
from .files import sha256_bytes
from .film import Film, FilmFormat, FilmSource
from .limits import BROKEN, check_bytes, check_size
from .quiet import ignore_warnings_of
from .spec import Voi

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

_EXPECTED = "Give a PNG, JPEG or DICOM file of one radiograph."
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"IEND\xaeB`\x82"
_JPEG = b"\xff\xd8\xff"
_OTHERS = (
    (re.compile(rb"GIF8"), "a GIF image"),
    (re.compile(rb"BM.{4}\0\0\0\0", re.DOTALL), "a BMP image"),
    (re.compile(rb"II\*\0|MM\0\*|II\+\0|MM\0\+"), "a TIFF image"),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), "a WebP image"),
    (re.compile(rb".{4}ftyp(heic|heix|mif1|msf1|hevc)", re.DOTALL), "a HEIC image"),
    (re.compile(rb".{4}ftypavi[fs]", re.DOTALL), "an AVIF image"),
    (re.compile(rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51"), "a JPEG 2000 image"),
    (re.compile(rb"%PDF"), "a PDF document"),
    (re.compile(rb"PK\x03\x04"), "a ZIP archive"),
    (re.compile(rb"\x1f\x8b"), "a gzip archive"),
    (re.compile(rb"\s*<(svg|\?xml|!doctype|html)", re.IGNORECASE), "an XML or HTML text"),
)
# A data set without preamble starts with its file meta or identifying group, in any byte order.
_BARE_DICOM = re.compile(
    rb"(\x02\0|\x08\0)[\0-\xff]\0([A-Z]{2}|[\0-\xff]{2}\0\0)|\0\x08\0[\0-\xff][A-Z]{2}", re.DOTALL
)
# EXIF orientation 2..8 as Pillow's Transpose member.
_TURNS = (
    "FLIP_LEFT_RIGHT",
    "ROTATE_180",
    "FLIP_TOP_BOTTOM",
    "TRANSPOSE",
    "ROTATE_270",
    "TRANSVERSE",
    "ROTATE_90",
)
_ORIENTATION = 0x0112


def decode(data: bytes, name: str, voi: Voi = "file") -> Film:
    """Decode the bytes of a PNG, JPEG or DICOM file.

    Args:
        name: the file's name, for messages and the film's source.
        voi: which grey range of a DICOM file to take; other formats have one.

    Raises:
        NotAFilmError: empty, another format, several pictures, or no pixels.
        DamagedFilmError: cut short or corrupt.
        FilmColourError: a colour photograph.
        FilmSizeError: too small or too large, in bytes or in pixels.
    """
    if not data:
        raise NotAFilmError(f"'{name}' is empty (0 bytes). {_EXPECTED}")
    check_bytes(len(data), name)
    if data.startswith(_PNG):
        return _decode_png(data, name)
    if data.startswith(_JPEG):
        return _decode_jpeg(data, name)
    if data[128:132] == b"DICM" or _BARE_DICOM.match(data):
        return _decode_dicom(data, name, voi)
    raise NotAFilmError(f"'{name}' is {_kind(data)}. {_EXPECTED}")


def _kind(data: bytes) -> str:
    for pattern, words in _OTHERS:
        if pattern.match(data):
            return words
    return "in no format known here"


def _damaged(name: str, kind: str, err: BaseException) -> DamagedFilmError:
    reason = " ".join(str(err).split())[:200] or type(err).__name__
    return DamagedFilmError(
        f"'{name}' is a {kind} file that cannot be decoded ({reason}): it was cut short or "
        "changed on the way. Copy or export it again."
    )


def _decode_png(data: bytes, name: str) -> Film:
    from PIL.PngImagePlugin import PngImageFile

    ignore_warnings_of("PIL")
    try:
        image = PngImageFile(io.BytesIO(data))
        check_size(image.height, image.width, name)
        if getattr(image, "n_frames", 1) > 1:
            raise NotAFilmError(
                f"'{name}' is an animated PNG of {image.n_frames} pictures; a film is one. "
                f"{_EXPECTED}"
            )
        image.load()
        pixels, notes = _grey_png(image, name)
    except BROKEN as err:
        raise _damaged(name, "PNG", err) from err
    if _PNG_END not in data:
        raise _damaged(name, "PNG", EOFError("its end is missing"))
    return _film(pixels, "png", name, data, notes)


def _decode_jpeg(data: bytes, name: str) -> Film:
    from PIL.Image import Transpose
    from PIL.JpegImagePlugin import JpegImageFile

    ignore_warnings_of("PIL")
    try:
        image = JpegImageFile(io.BytesIO(data))
        check_size(image.height, image.width, name)
        if image.mode not in ("L", "RGB"):
            raise NotAFilmError(f"'{name}' is a JPEG in {image.mode}, made for print. {_EXPECTED}")
        turn = _orientation(image)
        image.load()
        plain = image if image.mode == "L" else colour.grey(image, name)
    except BROKEN as err:
        raise _damaged(name, "JPEG", err) from err
    if not 2 <= turn <= 8:
        return _film(np.asarray(plain), "jpeg", name, data, ())
    turned = plain.transpose(Transpose[_TURNS[turn - 2]])
    return _film(np.asarray(turned), "jpeg", name, data, (f"turned: EXIF orientation {turn}",))


def _orientation(image: "ImageFile") -> int:
    """EXIF orientation 1..8; 1 where there is none or the EXIF block is damaged."""
    if "exif" not in image.info:
        return 1
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except BROKEN:
        return 1
    return value if isinstance(value, int) else 1


def _grey_png(image: "ImageFile", name: str) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """uint8 (H, W) and notes of a loaded PNG of any colour type."""
    if image.mode in ("I;16", "I;16B", "I"):
        return _from_16_bit(np.asarray(image).astype(np.int32), name)
    if image.mode == "L":
        return np.asarray(image), ()
    if image.mode == "1":
        return np.asarray(image.convert("L")), ()
    rgba = np.asarray(image.convert("RGBA"))
    plain = np.asarray(colour.grey(image.convert("RGB"), name))
    alpha = rgba[:, :, 3]
    if "A" in image.mode and int(alpha.min()) < 255:
        blended = (plain.astype(np.uint16) * alpha + 127) // 255
        return blended.astype(np.uint8), ("transparent parts drawn black",)
    return plain, ()


def _from_16_bit(values: NDArray[np.int32], name: str) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """0..65535 to 0..255, rounded.

    Raises:
        NotAFilmError: only the lower 12 bits or less are used, so white is not known.
    """
    top = int(values.max())
    if top < 4096:
        raise NotAFilmError(
            f"'{name}' is a 16-bit PNG whose values end at {top} of 65535: which value is white "
            "is not written in it. Send the DICOM file, or save it stretched to 8 bit."
        )
    return ((values + 128) // 257).astype(np.uint8), ("16 bit, 0..65535 mapped to 0..255",)


def _film(
    pixels: NDArray[np.uint8], form: FilmFormat, name: str, data: bytes, notes: tuple[str, ...]
) -> Film:
    source = FilmSource(form, name, sha256_bytes(data), notes=notes)
    return Film(np.ascontiguousarray(pixels), None, source)


def _decode_dicom(data: bytes, name: str, voi: Voi) -> Film:
    try:
        from .dicom import decode_dicom
    except ModuleNotFoundError as err:
        if err.name != "pydicom":
            raise
        raise no_pydicom(name) from err
    return decode_dicom(data, name, voi)


def no_pydicom(name: str) -> FilmError:
    """The refusal of a DICOM file where nothing reads it."""
    return FilmError(
        f"'{name}' is a DICOM file, and pydicom, which reads them, is not installed. "
        "Run: pip install 'clinicedge[dicom]'"
    )
