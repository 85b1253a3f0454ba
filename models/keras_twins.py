"""Keras weights into the zoo's torch twins, by the layers' kinds, order and places; never by name.

That twin and file agree is not believed but computed: both answer the same random film.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..runtime.errors import CheckpointError
from .keras_axes import Array
from .keras_files import KerasModel, read_keras
from .keras_graph import unfold
from .keras_readers import AttentionReader, read_separable

if TYPE_CHECKING:
    from torch import Tensor, nn

# Largest difference of the two answers: share of the largest logit (but at least of 1), and of
# how far the logits of the probing films lie apart, since a dull answer proves little.
TOLERANCE = 1e-4
OF_SPREAD = 0.05
_ROUNDING = 2e-6
_LARGE = 256**2
_SHOWN = 8


@dataclass(frozen=True)
class Twin:
    """What was done.

    Attributes:
        activation: what stood at the end of the file's model: "sigmoid" or "linear".
        difference: the largest between the two answers to the same films, logits.
        spread: the standard deviation of Keras' answers over these films, the largest of all
            outputs.
    """

    activation: str
    difference: float
    spread: float


def load_keras(name: str, path: Path, weights: Path | None = None) -> tuple["nn.Module", Twin]:
    """A zoo's network with a Keras file's values, in evaluation mode.

    Args:
        name: `separable-cnn-180`, its lung-crop form, or a segunet.
        path, weights: as `read_keras` takes them.

    Raises:
        UnknownModelError: the zoo has no such name.
        CheckpointError: the network has no Keras twin; the file cannot be read, is of another
            architecture or input size, or the twin does not answer as Keras does.
        ModelError: keras is not installed.
    """
    from . import zoo

    spec, module = zoo.spec(name), zoo.build(name)
    found = read_keras(path, weights)
    expected = (spec.input.height, spec.input.width, spec.input.channels)
    pairs = zip(found.input_shape, expected, strict=True)
    if any(n is not None and n != side for n, side in pairs):
        raise CheckpointError(
            f"{found.what} takes films as {found.input_shape} (height, width, channels); '{name}' "
            f"takes {expected}. Choose the model of that size, or describe yours with a spec."
        )
    return module, put_into(module, found)


def put_into(module: "nn.Module", found: KerasModel) -> Twin:
    """Put a Keras model's values into a twin, `SeparableCNN` or `AttentionUNet`.

    Raises:
        CheckpointError: it is of another architecture, or the twin does not answer as Keras
            does; the module may be changed then.
    """
    import torch

    tensors = _tensors(module, found)
    own = {k: v for k, v in module.state_dict().items() if v.is_floating_point()}
    wrong = [
        f"{key} is {tensors[key].shape}, expected {tuple(value.shape)}"
        for key, value in own.items()
        if tensors[key].shape != tuple(value.shape)
    ]
    if wrong:
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise CheckpointError(
            f"{found.what} has other shapes: {'; '.join(wrong[:_SHOWN])}{more}. It was made with "
            "other channel counts or for another input size."
        )
    with torch.no_grad():
        for key, value in own.items():
            value.copy_(torch.from_numpy(np.ascontiguousarray(tensors[key])))
    module.eval()
    difference, spread = _compare(module, found)
    return Twin(found.activation, difference, spread)


def _tensors(module: "nn.Module", found: KerasModel) -> Mapping[str, Array]:
    from .attention_unet import AttentionUNet
    from .separable_cnn import SeparableCNN

    if found.activation not in ("sigmoid", "linear"):
        raise CheckpointError(
            f"{found.what} ends in {found.activation}; this network ends in a sigmoid."
        )
    if isinstance(module, AttentionUNet):
        return AttentionReader(unfold(found), found.what).tensors(len(module.gates))
    if isinstance(module, SeparableCNN):
        return read_separable(unfold(found), found.what)
    raise CheckpointError(
        f"{found.what} is a Keras file; a {type(module).__name__} takes .pth, .safetensors or "
        ".onnx."
    )


def _compare(module: "nn.Module", found: KerasModel) -> tuple[float, float]:
    """Difference of the two answers, and how far Keras' own lie apart."""
    import torch

    films = probe(found.input_shape)
    with torch.inference_mode():
        twin = module(films.permute(0, 3, 1, 2))
        keras = found.model(films, training=False)
    keras = keras.permute(0, 3, 1, 2) if keras.ndim == 4 else keras
    # The separable twin has two logits, (0, z).
    twin = twin[:, 1:] if twin.ndim == 2 else twin
    difference = float((twin - keras).abs().max()) if twin.shape == keras.shape else np.inf
    spread, largest = float(keras.std(dim=0).max()), max(1.0, float(keras.abs().max()))
    allowed = min(TOLERANCE * largest, OF_SPREAD * spread)
    if not difference <= max(allowed, _ROUNDING * largest):
        raise CheckpointError(
            f"{found.what} has the layers of this network, but answers otherwise (difference "
            f"{difference:.2g}): another activation, padding or stride. It is of another network."
        )
    return difference, spread


def probe(input_shape: tuple[int | None, ...]) -> "Tensor":
    """Unlike films of [0, 1] pixels, float32 (N, H, W, C): noise, blobs, ramps, a bright one.

    Two where they are large, for time's sake. A free side is 64 pixels.
    """
    import torch
    from torch.nn import functional

    height, width, channels = (64 if n is None else n for n in input_shape)
    seed = torch.Generator().manual_seed(1)
    noise = torch.rand((height, width), generator=seed)
    ramps = torch.linspace(0, 1, height)[:, None] * torch.linspace(1, 0.2, width)[None, :]
    coarse = torch.rand((1, 1, 6, 6), generator=seed)
    blobs = functional.interpolate(coarse, (height, width), mode="bilinear")[0, 0]
    films = torch.stack([noise, blobs, ramps, 0.7 + 0.3 * noise * blobs])
    if height * width > _LARGE:
        films = films[:2]
    return films[..., None].repeat(1, 1, 1, channels)
