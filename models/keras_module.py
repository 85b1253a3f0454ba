"""Any Keras model as a torch module, channels first, for conversion.

Where all its layers have a torch module of their own (`keras_steps.py`) the result is plain torch,
which exports to clean graphs. Else the Keras model itself runs inside a wrapper that turns the
axes. Either is compared with Keras before it is handed out.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..runtime.errors import CheckpointError
from . import keras_steps as steps
from .keras_files import KerasModel
from .keras_graph import Call, UnfoldError, unfold
from .keras_steps import Function, UnknownStepError
from .keras_twins import TOLERANCE, probe


@dataclass(frozen=True, eq=False)
class Ported:
    """A Keras model in torch.

    Attributes:
        module: float32 (N, C, H, W) -> logits (N, K) or maps (N, K, H, W), evaluation mode.
        native: whether it is plain torch.
        why: where it is not, which layer was in the way.
        difference: the largest between its answers and Keras' on probing films.
    """

    module: nn.Module
    native: bool
    why: str
    difference: float


def as_module(found: KerasModel, n_labels: int | None = None) -> Ported:
    """Bring a Keras model to torch.

    Args:
        n_labels: of the spec, None where it does not matter. A model with one sigmoid unit z and
            two labels gets the logits (0, z), whose softmax is sigmoid(z).

    Raises:
        CheckpointError: outputs and labels differ in number, or torch does not answer as Keras.
    """
    pairs = n_labels == 2 and found.output_shape == (1,) and found.activation == "sigmoid"
    outputs = found.output_shape[-1]
    if n_labels is not None and not pairs and outputs != n_labels:
        raise CheckpointError(
            f"{found.what} has {outputs} outputs and the spec {n_labels} labels; expected one "
            "label an output, or two labels for one sigmoid unit."
        )
    ported = _native(found)
    if isinstance(ported, str):
        _refuse_border_means(found)
        inside = KerasInside(found.model)
        ported = Ported(inside, False, ported, _difference(inside, found))
    if not ported.difference <= TOLERANCE:
        raise CheckpointError(
            f"torch does not answer as Keras does for {found.what} (difference "
            f"{ported.difference:.2g}). Export the model as ONNX and convert that."
        )
    if pairs:
        two = nn.Sequential(ported.module, Function(lambda z: functional.pad(z, (1, 0))))
        ported = replace(ported, module=two)
    ported.module.eval()
    return ported


def _refuse_border_means(found: KerasModel) -> None:
    """Keras on torch repeats the border where TensorFlow, for which the weights were made, leaves
    the padding out of the mean: nobody here could say what is right."""
    if _has_border_mean(found.config):
        raise CheckpointError(
            f"{found.what} has AveragePooling2D with padding 'same', which Keras computes "
            "otherwise on torch than on TensorFlow. Export the model as ONNX and convert that."
        )


def _has_border_mean(value: Any) -> bool:
    if isinstance(value, list):
        return any(_has_border_mean(item) for item in value)
    if not isinstance(value, dict):
        return False
    inner = value.get("config")
    if value.get("class_name") == "AveragePooling2D" and isinstance(inner, dict):
        return inner.get("padding") == "same"
    return any(_has_border_mean(item) for item in value.values())


def _native(found: KerasModel) -> Ported | str:
    """Plain torch, or why not."""
    try:
        module = KerasGraph(unfold(found))
        difference = _difference(module, found)
    except UnfoldError as err:
        return str(err)
    except (RuntimeError, IndexError) as err:
        return f"shapes do not fit channels first: {err}"
    if not difference <= TOLERANCE:
        return f"the answers differ by {difference:.2g}"
    return Ported(module, True, "", difference)


def _difference(module: nn.Module, found: KerasModel) -> float:
    """Largest difference, share of the largest logit but at least of 1."""
    films = probe(found.input_shape)
    with torch.inference_mode():
        ours = module.eval()(films.permute(0, 3, 1, 2))
        keras = found.model(films, training=False)
    keras = keras.permute(0, 3, 1, 2) if keras.ndim == 4 else keras
    if ours.shape != keras.shape:
        return float("inf")
    return float((ours - keras).abs().max() / keras.abs().max().clamp_min(1.0))


class KerasInside(nn.Module):
    """The Keras model itself, with the axes turned around it."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """float32 (N, C, H, W) -> (N, K) or (N, K, H, W)."""
        y: Tensor = self.model(x.permute(0, 2, 3, 1), training=False)
        return y.permute(0, 3, 1, 2) if y.ndim == 4 else y


class KerasGraph(nn.Module):
    """The layers as torch modules, run in order.

    Args:
        calls: of `unfold`, the input first.

    Raises:
        UnfoldError: a layer or its arguments have no torch module here.
    """

    def __init__(self, calls: Sequence[Call]) -> None:
        super().__init__()
        self.steps = nn.ModuleList(_step(call) for call in calls[1:])
        self._inputs = tuple(call.inputs for call in calls[1:])

    def forward(self, x: Tensor) -> Tensor:
        """float32 (N, C, H, W) -> (N, K) or (N, K, H, W)."""
        values = [x]
        for step, inputs in zip(self.steps, self._inputs, strict=True):
            values.append(step(*(values[i] for i in inputs)))
        return values[-1]


def _step(call: Call) -> nn.Module:
    try:
        if call.config.get("data_format", "channels_last") != "channels_last":
            raise UnknownStepError
        return _BUILDERS[call.kind](call)
    except (KeyError, UnknownStepError):
        arguments = call.config.get("activation") if call.kind == "Activation" else ""
        raise UnfoldError(
            f"the layer '{call.name}' ({call.kind}{' ' + str(arguments) if arguments else ''})"
        ) from None


def _activation(call: Call) -> nn.Module:
    return Function(steps.ACTIVATIONS[str(call.config["activation"])])


def _relu(call: Call) -> nn.Module:
    limit, slope = call.config.get("max_value"), call.config.get("negative_slope") or 0.0
    if (call.config.get("threshold") or 0.0) != 0.0 or slope != 0.0 or limit not in (None, 6, 6.0):
        raise UnknownStepError
    return Function(functional.relu if limit is None else functional.relu6)


def _leaky(call: Call) -> nn.Module:
    return nn.LeakyReLU(float(call.config["negative_slope"]))


def _softmax(call: Call) -> nn.Module:
    if call.config.get("axis", -1) != -1:
        raise UnknownStepError
    return nn.Softmax(dim=1)


def _joined(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Call], nn.Module]:
    return lambda call: Function(lambda *maps: functools.reduce(function, maps))


def _mean(call: Call) -> nn.Module:
    count = len(call.inputs)
    return Function(lambda *maps: functools.reduce(torch.add, maps) / count)


def _concatenate(call: Call) -> nn.Module:
    if call.config.get("axis", -1) not in (-1, 3):
        raise UnknownStepError
    return Function(lambda *maps: torch.cat(maps, dim=1))


def _flatten(call: Call) -> nn.Module:
    def flat(x: Tensor) -> Tensor:
        return torch.flatten(x.permute(0, 2, 3, 1) if x.ndim == 4 else x, 1)

    return Function(flat)


def _global_mean(call: Call) -> nn.Module:
    keep = bool(call.config.get("keepdims", False))
    return Function(lambda x: torch.mean(x, dim=(2, 3), keepdim=keep))


def _global_max(call: Call) -> nn.Module:
    keep = bool(call.config.get("keepdims", False))
    return Function(lambda x: torch.amax(x, dim=(2, 3), keepdim=keep))


def _zeros(call: Call) -> nn.Module:
    (top, bottom), (left, right) = (steps.pair(p) for p in call.config["padding"])
    return nn.ZeroPad2d((left, right, top, bottom))


def _bigger(call: Call) -> nn.Module:
    how, (high, wide) = call.config.get("interpolation", "nearest"), steps.pair(call.config["size"])
    if how not in ("nearest", "bilinear"):
        raise UnknownStepError
    return nn.Upsample(scale_factor=(float(high), float(wide)), mode=how)


def _reshape(call: Call) -> nn.Module:
    """Scores to maps of one place, as squeeze-and-excitation has it."""
    shape = call.config["target_shape"]
    if len(shape) != 3 or list(shape[:2]) != [1, 1]:
        raise UnknownStepError
    return Function(lambda x: torch.reshape(x, (x.shape[0], -1, 1, 1)))


def _rescaling(call: Call) -> nn.Module:
    scale, offset = call.config["scale"], call.config.get("offset", 0.0)
    if not all(isinstance(v, (int, float)) for v in (scale, offset)):
        raise UnknownStepError
    return Function(lambda x: x * scale + offset)


_BUILDERS: Mapping[str, Callable[[Call], nn.Module]] = {
    "Conv2D": steps.convolution,
    "DepthwiseConv2D": steps.depthwise,
    "SeparableConv2D": steps.separable,
    "Conv2DTranspose": steps.Raise,
    "Dense": steps.Dense,
    "BatchNormalization": steps.Norm,
    "MaxPooling2D": lambda call: steps.Pool(call, average=False),
    "AveragePooling2D": lambda call: steps.Pool(call, average=True),
    "GlobalAveragePooling2D": _global_mean,
    "GlobalMaxPooling2D": _global_max,
    "Activation": _activation,
    "ReLU": _relu,
    "LeakyReLU": _leaky,
    "Softmax": _softmax,
    "Add": _joined(torch.add),
    "Subtract": _joined(torch.sub),
    "Multiply": _joined(torch.mul),
    "Maximum": _joined(torch.maximum),
    "Minimum": _joined(torch.minimum),
    "Average": _mean,
    "Concatenate": _concatenate,
    "Flatten": _flatten,
    "ZeroPadding2D": _zeros,
    "UpSampling2D": _bigger,
    "Reshape": _reshape,
    "Rescaling": _rescaling,
}
