"""Bytes to film. PNG and JPEG by Pillow, DICOM by `dicom.py`."""

import io

import numpy as np

from .film import Film, FilmSource
from .files import sha256_bytes


def decode(data: bytes, name: str) -> Film:
    """Decode PNG or JPEG bytes."""
    from PIL import Image

    image = Image.open(io.BytesIO(data))
    pixels = np.ascontiguousarray(np.asarray(image.convert("L")))
    kind = "png" if image.format == "PNG" else "jpeg"
    return Film(pixels, None, FilmSource(kind, name, sha256_bytes(data)))
