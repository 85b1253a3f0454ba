"""The model that everything else is compared with: the torch network and where it comes from."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import ConversionError
from ..runtime.manifest import DataHygiene, LinearHead, TensorSpec
from ..runtime.spec import ModelSpec
from .films import FilmSet

if TYPE_CHECKING:
    from torch import Tensor, nn

_BATCH = 16
_HEAD_TOLERANCE = 1e-4


@dataclass(frozen=True, eq=False)
class Source:
    """A trained network with its papers.

    Attributes:
        weights_file: name of the file, no folder.
        weights_date: ISO 8601, when the weights were trained.
        training_data: one sentence.
        threshold: set on data when the model was trained, None where unknown.
        hygiene: the patients that training used and for what, None where unknown.
    """

    spec: ModelSpec
    module: "nn.Module"
    weights_file: str
    weights_sha256: str
    weights_date: str
    training_data: str
    threshold: float | None = None
    hygiene: DataHygiene | None = None


@dataclass(frozen=True, eq=False)
class Outputs:
    """Raw outputs on a film set: logits float32 (N, K), features float32 (N, C, h, w) or None."""

    logits: NDArray[np.float32]
    features: NDArray[np.float32] | None


def tensor_specs(spec: ModelSpec) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """The graph's inputs and outputs, batch of one."""
    inputs = (TensorSpec(spec.input.name, (1, *spec.input.shape)),)
    return inputs, tuple(TensorSpec(o.name, (1, *o.shape)) for o in spec.outputs)


def features_name(spec: ModelSpec) -> str | None:
    """The output that holds the feature map for explanations."""
    return spec.explanation.output if spec.explanation else None


def export_form(module: "nn.Module", spec: ModelSpec) -> "nn.Module":
    """The network in evaluation mode, giving the outputs of `spec` in their order."""
    from torch import nn

    names = [o.name for o in spec.outputs]
    features = features_name(spec)
    if features not in names:
        return module.eval()

    class Outs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = module

        def forward(self, film: "Tensor") -> "tuple[Tensor, ...]":
            logits, maps = self.network.forward_with_features(film)  # type: ignore[operator]
            return tuple(maps if name == features else logits for name in names)

    return Outs().eval()


def run_source(module: "nn.Module", films: FilmSet, with_features: bool) -> Outputs:
    """The torch network on every film, float32, one thread so that a rerun gives the same bits."""
    import torch

    torch.set_num_threads(1)
    module.eval()
    logits, maps = [], []
    with torch.inference_mode():
        for start in range(0, len(films.pixels), _BATCH):
            batch = torch.from_numpy(films.batch(start, start + _BATCH))
            if with_features:
                scores, features = module.forward_with_features(batch)  # type: ignore[operator]
                maps.append(features.numpy())
            else:
                scores = module(batch)  # type: ignore[operator]
            logits.append(scores.numpy())
    return Outputs(np.concatenate(logits), np.concatenate(maps) if maps else None)


def linear_head(source: Source) -> LinearHead | None:
    """The classifier's weights, where the spec says global pooling and one linear layer.

    Raises:
        ConversionError: the network does not compute that; class maps would be wrong.
    """
    spec = source.spec
    if spec.explanation is None or not spec.explanation.pooling_linear_head:
        return None
    import torch
    from torch import nn

    linear = [m for m in source.module.modules() if isinstance(m, nn.Linear)]
    if not linear:
        raise ConversionError(f"'{spec.name}' has no linear layer, its spec says it ends in one.")
    weight, bias = linear[-1].weight.detach(), linear[-1].bias.detach()
    probe = torch.linspace(-1, 1, int(np.prod(spec.input.shape))).reshape(1, *spec.input.shape)
    with torch.inference_mode():
        logits, maps = source.module.eval().forward_with_features(probe)  # type: ignore[operator]
        again = maps.mean((2, 3)) @ weight.T + bias
    difference = float((logits - again).abs().max())
    if not difference <= _HEAD_TOLERANCE * max(1.0, float(logits.abs().max())):
        raise ConversionError(
            f"'{spec.name}': pooling and the last linear layer give logits that differ by "
            f"{difference:.3g} from the network's, at most {_HEAD_TOLERANCE} expected. "
            "Set `pooling_linear_head` to false in its spec."
        )
    return LinearHead(tuple(map(tuple, weight.tolist())), tuple(bias.tolist()))
