"""Eigen-CAM from a feature map, and drawing it, in numpy.

Muhammad and Yeasin 2020, "Eigen-CAM: Class Activation Map using Principal Components".
"""

from dataclasses import dataclass

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
FLAT_NOTE = "The feature map is flat: it points to no place on this film."


@dataclass(frozen=True, eq=False)
class EigenCam:
    """`map` float32 (h, w) 0..1; `sign` +1, or 0 where the map is flat; `note` for the reader."""

    map: NDArray[np.float32]
    sign: int
    note: str


def eigen_cam(features: NDArray[np.float32], class_weights: NDArray[np.float32] | None) -> EigenCam:
    """The first principal component of the feature map over positions.

    The eigenvector comes from the small Gram matrix of the h*w positions, not from the SVD of
    the (h*w, C) matrix; the map is the same. Its arbitrary sign is tied to the class: where the
    scores are global pooling + linear, to the class evidence at each position; else to the mean
    activation.

    Args:
        features: float32 (C, h, w).
        class_weights: float32 (C,), the classifier's row for the class minus the other's.
    """
    channels, height, width = features.shape
    positions = features.reshape(channels, height * width).T.astype(np.float64)
    centred = positions - positions.mean(axis=0)
    values, vectors = np.linalg.eigh(centred @ centred.T)
    if not np.isfinite(values[-1]) or values[-1] <= 1e-12 * max(
        1.0, float(np.abs(positions).max())
    ):
        return EigenCam(np.zeros((height, width), np.float32), 0, FLAT_NOTE)
    component = vectors[:, -1] * np.sqrt(values[-1])
    evidence = positions.mean(axis=1) if class_weights is None else positions @ class_weights
    agreement = float(component @ (evidence - evidence.mean()))
    if agreement < 0 or (agreement == 0 and component[np.argmax(np.abs(component))] < 0):
        component = -component
    positive = np.maximum(component, 0.0)
    scaled = (positive / positive.max()).astype(np.float32).reshape(height, width)
    return EigenCam(scaled, 1, "")


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


def colour(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """0..1 to RGB: float32 (H, W) to uint8 (H, W, 3)."""
    steps = np.linspace(0.0, 1.0, len(_ANCHORS), dtype=np.float32)
    table = np.stack(
        [np.interp(np.arange(256) / 255.0, steps, _ANCHORS[:, c]) for c in range(3)], 1
    )
    rgb: NDArray[np.uint8] = np.rint(table).astype(np.uint8)
    drawn: NDArray[np.uint8] = rgb[np.rint(values * 255).astype(np.uint8)]
    return drawn


def heat_rgba(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A layer to lay over the film, uint8 (H, W, 4): the stronger, the more opaque."""
    alpha = np.rint(np.sqrt(values) * 255).astype(np.uint8)
    return np.dstack([colour(values), alpha])


def overlay(film: Film, values: NDArray[np.float32], opacity: float = 0.5) -> NDArray[np.uint8]:
    """The film with the map laid over it, uint8 (H, W, 3); `opacity` 0..1."""
    layer = heat_rgba(values).astype(np.float32)
    alpha = layer[..., 3:] / 255.0 * opacity
    grey = film.pixels.astype(np.float32)[..., None]
    mixed: NDArray[np.uint8] = np.rint(grey * (1.0 - alpha) + layer[..., :3] * alpha).astype(
        np.uint8
    )
    return mixed
