"""The model that everything else is compared with: the network and where it comes from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import ConversionError
from ..runtime.manifest import DataHygiene, LinearHead, TensorSpec
from ..runtime.spec import DetectionRules, ModelSpec, OutputSpec

if TYPE_CHECKING:
    from torch import Tensor, nn

_HEAD_TOLERANCE = 1e-4


@dataclass(frozen=True)
class OnnxFile:
    """A network that came as ONNX: batch of one, its tensors already named as the spec names
    them (`onnx_source.py` sees to that)."""

    data: bytes


@dataclass(frozen=True, eq=False)
class Source:
    """A trained network with its papers.

    Attributes:
        weights_file: name of the file, no folder.
        weights_date: ISO 8601, when the weights were trained.
        training_data: one sentence.
        thresholds: by label, set on data when the model was trained; {} where unknown.
        hygiene: the patients that training used and for what, None where unknown.
        code_sha256: of the user's own file that builds the network, "" for the zoo's.
    """

    spec: ModelSpec
    network: "nn.Module | OnnxFile"
    weights_file: str
    weights_sha256: str
    weights_date: str
    training_data: str
    thresholds: Mapping[str, float] = field(default_factory=dict)
    hygiene: DataHygiene | None = None
    code_sha256: str = ""

    @property
    def module(self) -> "nn.Module":
        """The torch network.

        Raises:
            ConversionError: it came as ONNX.
        """
        if isinstance(self.network, OnnxFile):
            raise ConversionError(
                f"'{self.spec.name}' came as an ONNX file and this format is exported from torch; "
                "nothing turns ONNX back into torch without loss. Give the torch network: "
                "clinicedge convert path/to/module.py:build --spec SPEC --weights FILE."
            )
        return self.network

    @property
    def identity(self) -> tuple[str, str]:
        """What a finished step must have been made of to be reused."""
        return self.weights_sha256, self.code_sha256


@dataclass(frozen=True)
class Border:
    """What goes into a graph and comes out, in order; batch axis included."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


def scores_output(spec: ModelSpec) -> OutputSpec:
    """The output that decides: a mask's, or the one of the scores."""
    return spec.output("mask" if draws(spec) else "logits")


def boxes_output(spec: ModelSpec) -> OutputSpec:
    """Where a detector's boxes are."""
    return spec.output("boxes")


def box_rules(spec: ModelSpec) -> DetectionRules:
    """How a detector's raw boxes become answers.

    Raises:
        ConversionError: its spec does not say.
    """
    if spec.detection is None:
        raise ConversionError(f"'{spec.name}' is a detector; its spec has no rules of detection.")
    return spec.detection


def draws(spec: ModelSpec) -> bool:
    """Whether it answers with masks, of a film or of what lies in boxes."""
    return spec.task in ("segmentation", "promptable-segmentation")


def tensor_specs(spec: ModelSpec) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """The graph's inputs and outputs, batch of one."""
    inputs = (TensorSpec(spec.input.name, (1, *spec.input.shape)),)
    return inputs, tuple(TensorSpec(o.name, (1, *o.shape)) for o in spec.outputs)


def features_name(spec: ModelSpec) -> str | None:
    """The output that holds the feature map for explanations."""
    return spec.explanation.output if spec.explanation else None


def pooled_features(spec: ModelSpec) -> str | None:
    """The feature map where the head after it is global pooling and one linear layer."""
    found = spec.explanation
    return found.output if found is not None and found.pooling_linear_head else None


def export_form(module: "nn.Module", spec: ModelSpec) -> "nn.Module":
    """The network in evaluation mode, giving the outputs of `spec` in their order."""
    from torch import nn

    if spec.task == "detection" and hasattr(module, "deployed"):
        fused: nn.Module = module.deployed(spec.input.height, spec.input.width)  # type: ignore[operator]
        return fused.eval()
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


def linear_head(source: Source) -> LinearHead | None:
    """The classifier's weights, where the spec says global pooling and one linear layer.

    Raises:
        ConversionError: the network does not compute that; class maps would be wrong.
    """
    spec = source.spec
    if pooled_features(spec) is None:
        return None
    import torch
    from torch import nn

    module = source.module
    linear = [m for m in module.modules() if isinstance(m, nn.Linear)]
    if not linear:
        raise ConversionError(f"'{spec.name}' has no linear layer, its spec says it ends in one.")
    weight, bias = linear[-1].weight.detach(), linear[-1].bias.detach()
    probe = torch.linspace(-1, 1, int(np.prod(spec.input.shape))).reshape(1, *spec.input.shape)
    with torch.inference_mode():
        logits, maps = module.eval().forward_with_features(probe)  # type: ignore[operator]
        again = maps.mean((2, 3)) @ weight.T + bias
    difference = float((logits - again).abs().max())
    if not difference <= _HEAD_TOLERANCE * max(1.0, float(logits.abs().max())):
        raise ConversionError(
            f"'{spec.name}': pooling and the last linear layer give logits that differ by "
            f"{difference:.3g} from the network's, at most {_HEAD_TOLERANCE} expected. "
            "Set `pooling_linear_head` to false in its spec."
        )
    return LinearHead(tuple(map(tuple, weight.tolist())), tuple(bias.tolist()))


@dataclass(frozen=True, eq=False)
class Outputs:
    """Raw outputs on a film set: scores float32 (N, ...), features (N, C, h, w) or None."""

    scores: NDArray[np.float32]
    features: NDArray[np.float32] | None
