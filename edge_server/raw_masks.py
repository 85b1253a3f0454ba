"""Masks before cleaning, kept small: their outlines are drawn when somebody asks for them.

On a large film these outlines take as long as the rest of the answer, and few people look at them.
The mask itself is kept with the answer, so that they need neither the model nor the film.
"""

import base64
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..runtime.predictions import Segmentation
from ..runtime.predictions_json import RAW_OUTLINE, raw_outline, segmentation_json

RAW_MASK = "raw_mask"


def kept(seen: Segmentation) -> dict[str, Any]:
    """The answer as a case keeps it: `raw_mask` in place of the raw outlines."""
    return {**segmentation_json(seen), RAW_MASK: pack(seen.raw)}


def told(answer: Mapping[str, Any]) -> dict[str, Any]:
    """A kept answer with its raw outlines; cases of earlier versions hold them already."""
    if RAW_MASK not in answer:
        return dict(answer)
    rest = {key: value for key, value in answer.items() if key != RAW_MASK}
    raw = unpack(answer[RAW_MASK], (answer["height"], answer["width"]))
    return {**rest, RAW_OUTLINE: raw_outline(raw)}


def pack(mask: NDArray[np.bool_]) -> str:
    """bool (H, W) as base64 of its compressed bits, row by row."""
    return base64.b64encode(zlib.compress(np.packbits(mask).tobytes(), 1)).decode("ascii")


def unpack(packed: str, size: tuple[int, int]) -> NDArray[np.bool_]:
    """The bool (H, W) that was packed."""
    height, width = size
    bits = np.frombuffer(zlib.decompress(base64.b64decode(packed)), np.uint8)
    return np.unpackbits(bits, count=height * width).reshape(size).astype(bool)
