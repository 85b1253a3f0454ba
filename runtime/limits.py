"""What is too large or too small to be a film, and what decoders raise on damaged bytes."""

import struct
import zlib

from .errors import FilmSizeError

MAX_BYTES = 128 * 1024 * 1024
MAX_PIXELS = 8192 * 8192
MAX_SIDE = 16384
MIN_SIDE = 32
# Of slices that are outlined together: they are kept in memory.
MAX_SLICES = 512
MAX_STACK_PIXELS = 256 * 1024 * 1024

# What a parser raises on bytes that are not what they should be.
BROKEN = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


def check_bytes(count: int, name: str) -> None:
    """Refuse a file by its length.

    Raises:
        FilmSizeError: longer than MAX_BYTES.
    """
    if count > MAX_BYTES:
        raise FilmSizeError(
            f"'{name}' has {count / 2**20:.0f} MB; a film has at most {MAX_BYTES // 2**20} MB. "
            "Export the film alone, at the detector's own resolution or less."
        )


def check_size(height: int, width: int, name: str) -> None:
    """Refuse a film by the size that its header declares, before any pixel is decoded.

    Raises:
        FilmSizeError: a side below MIN_SIDE or above MAX_SIDE, or more than MAX_PIXELS.
    """
    if min(height, width) < MIN_SIDE:
        raise FilmSizeError(
            f"'{name}' is {width} x {height} pixels; a film has at least {MIN_SIDE} a side. "
            "Send the full picture, not a thumbnail."
        )
    if max(height, width) > MAX_SIDE or height * width > MAX_PIXELS:
        raise FilmSizeError(
            f"'{name}' declares {width} x {height} pixels; a film has at most {MAX_SIDE} a side "
            f"and {MAX_PIXELS // 10**6} million in all. Export it at a lower resolution."
        )


def check_stack(count: int, size: tuple[int, ...], name: str) -> None:
    """Refuse slices (H, W) that would not fit into memory together.

    Raises:
        FilmSizeError: more than MAX_SLICES of them, or than MAX_STACK_PIXELS pixels in all.
    """
    if count > MAX_SLICES or count * size[0] * size[1] > MAX_STACK_PIXELS:
        raise FilmSizeError(
            f"'{name}' has {count} slices of {size[1]} x {size[0]} pixels; at most {MAX_SLICES} "
            f"slices and {MAX_STACK_PIXELS // 10**6} million pixels in all are outlined at once. "
            "Give a part of them."
        )
