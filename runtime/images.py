"""From bytes to a film, from a film to the network's tensor: the one path for everybody.

Training, calibration, evaluation and the device call the same functions, so they see the
same bits. Resizing happens once, in uint8, by Pillow; scaling is two float32 operations.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .errors import NotAFilmError
from .film import Film
from .spec import InputSpec, Voi


def read_film(path: Path, voi: Voi = "file") -> Film:
    """Read a PNG, JPEG or DICOM file.

    Raises:
        FilmError: what `decode_film` raises, or the file cannot be read.
    """
    return decode_film(read_bytes(path), path.name, voi)


def read_bytes(path: Path) -> bytes:
    """A film's bytes as they lie on the disk; too large a file is refused unread.

    Raises:
        NotAFilmError: the file cannot be read.
        FilmSizeError: longer than a film.
    """
    from .limits import check_bytes

    try:
        check_bytes(path.stat().st_size, path.name)
        return path.read_bytes()
    except OSError as err:
        raise NotAFilmError(
            f"cannot read {path}: {err.strerror}. Give a PNG, JPEG or DICOM file."
        ) from err


def decode_film(data: bytes, name: str, voi: Voi = "file") -> Film:
    """Decode the bytes of a PNG, JPEG or DICOM file into a film.

    `voi` is the grey range that the model's DICOM rules name; other formats have one.

    Raises:
        NotAFilmError: empty, another format, several pictures, or no pixels.
        DamagedFilmError: cut short or corrupt.
        FilmColourError: a colour photograph.
        FilmSizeError: too small or too large.
    """
    from .decoders import decode

    return decode(data, name, voi)


def resize(pixels: NDArray[np.uint8], spec: InputSpec) -> NDArray[np.uint8]:
    """Bring uint8 (H, W) to the size of `spec` with its filter, in uint8.

    "stretch" ignores the aspect ratio; "letterbox" keeps it, centres the film and fills the
    rest with `pad_value`.
    """
    from PIL import Image

    method = Image.Resampling[spec.filter.upper()]
    height, width = pixels.shape
    if spec.resize == "stretch":
        if (height, width) == (spec.height, spec.width):
            return pixels
        image = Image.fromarray(pixels).resize((spec.width, spec.height), method)
        return np.asarray(image)
    inner_h, inner_w, top, left = letterbox_frame(height, width, spec)
    image = Image.fromarray(pixels).resize((inner_w, inner_h), method)
    canvas = np.full((spec.height, spec.width), spec.pad_value or 0, np.uint8)
    canvas[top : top + inner_h, left : left + inner_w] = np.asarray(image)
    return canvas


def letterbox_frame(height: int, width: int, spec: InputSpec) -> tuple[int, int, int, int]:
    """Where a letterboxed film lies in the input: (height, width, top, left) in pixels."""
    ratio = min(spec.height / height, spec.width / width)
    inner_h = max(1, min(spec.height, round(height * ratio)))
    inner_w = max(1, min(spec.width, round(width * ratio)))
    return inner_h, inner_w, (spec.height - inner_h) // 2, (spec.width - inner_w) // 2


def scale(
    pixels: NDArray[np.uint8], spec: InputSpec, out: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """uint8 (H, W) to float32 (1, C, H, W): y = pixel * a + b with a and b rounded to float32.

    Two separate float32 operations give the same bits on every processor (no fused
    multiply-add). a = 1 / (255 std), b = -mean / std.

    Args:
        out: written to and returned, where the caller keeps one from film to film.
    """
    if out is None:
        out = np.empty((1, spec.channels, *pixels.shape), np.float32)
    scaling = spec.scaling
    seen: dict[tuple[float, float], int] = {}
    for channel, key in enumerate(zip(scaling.mean, scaling.std, strict=True)):
        plane = out[0, channel]
        if key in seen:
            plane[...] = out[0, seen[key]]
            continue
        seen[key] = channel
        mean, std = key
        np.multiply(pixels, np.float32(1.0 / (255.0 * std)), out=plane)
        if mean != 0.0:
            np.add(plane, np.float32(-mean / std), out=plane)
    return out


def prepare(film: Film, spec: InputSpec) -> NDArray[np.float32]:
    """The network's input float32 (1, C, H, W) for a film."""
    return scale(resize(film.pixels, spec), spec)
