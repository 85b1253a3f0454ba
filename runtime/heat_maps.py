"""Drawing an explanation: its map over the film, in colours, as a layer."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from .film import Film
from .images import letterbox_frame
from .predictions import Explanation
from .spec import InputSpec

# Anchors of a perceptual map from black over purple and orange to light yellow.
_ANCHORS = np.array(
    [[0, 0, 4], [66, 10, 104], [147, 38, 103], [221, 81, 58], [252, 165, 10], [252, 255, 164]],
    np.float32,
)


def on_film(explanation: Explanation, film: Film, spec: InputSpec) -> NDArray[np.float32]:
    """The map at the film's own size, float32 (H, W) 0..1, bicubic; 0 outside a crop.

    Args:
        spec: of the network that looked; of a pipeline `predictor.input`.
    """
    height, width = film.pixels.shape
    box = explanation.crop
    if box is None:
        return _laid(explanation.map, (height, width), spec)
    values = np.zeros((height, width), np.float32)
    size = (box.y1 - box.y0, box.x1 - box.x0)
    values[box.y0 : box.y1, box.x0 : box.x1] = _laid(explanation.map, size, spec)
    return values


def _laid(
    values: NDArray[np.float32], size: tuple[int, int], spec: InputSpec
) -> NDArray[np.float32]:
    """The map over what the network was shown, float32 of that size."""
    from PIL import Image

    image = Image.fromarray(values)
    if spec.resize == "letterbox":
        inner_h, inner_w, top, left = letterbox_frame(size[0], size[1], spec)
        whole = image.resize((spec.width, spec.height), Image.Resampling.BICUBIC)
        image = whole.crop((left, top, left + inner_w, top + inner_h))
    grown = image.resize((size[1], size[0]), Image.Resampling.BICUBIC)
    return np.clip(np.asarray(grown, np.float32), 0.0, 1.0)


def heat_index(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """0..1 to rows of `heat_table`: float32 (H, W) to uint8 (H, W)."""
    index: NDArray[np.uint8] = np.rint(np.sqrt(values) * np.float32(255)).astype(np.uint8)
    return index


@cache
def heat_table() -> NDArray[np.uint8]:
    """uint8 (256, 4) RGBA: a row's alpha is its number, its colour that of (number / 255)^2."""
    alpha = np.arange(256)
    steps = np.linspace(0.0, 1.0, len(_ANCHORS))
    rgb = [np.interp((alpha / 255.0) ** 2, steps, _ANCHORS[:, c]) for c in range(3)]
    table: NDArray[np.uint8] = np.rint(np.stack([*rgb, alpha], 1)).astype(np.uint8)
    return table


def heat_rgba(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A layer to lay over the film, uint8 (H, W, 4): the stronger, the more opaque."""
    layer: NDArray[np.uint8] = heat_table()[heat_index(values)]
    return layer


def overlay(film: Film, values: NDArray[np.float32], opacity: float = 0.5) -> NDArray[np.uint8]:
    """The film with the map laid over it, uint8 (H, W, 3); `opacity` 0..1."""
    layer = heat_rgba(values).astype(np.float32)
    alpha = layer[..., 3:] / 255.0 * opacity
    grey = film.pixels.astype(np.float32)[..., None]
    mixed: NDArray[np.uint8] = np.rint(grey * (1.0 - alpha) + layer[..., :3] * alpha).astype(
        np.uint8
    )
    return mixed
