"""A network that a user's own file builds, in the form that the converters take.

A conversion works in child processes, which know nothing of the user's file: there the network is
built again from the same file and given the same values.
"""

import importlib.util
import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..runtime.errors import CheckpointError, ModelError
from ..runtime.spec import ModelSpec

if TYPE_CHECKING:
    from types import ModuleType

_PROBES = 4
_SUM_TOLERANCE = 1e-4


class Builder(Protocol):
    """Builds the same network in any process; can be pickled."""

    def build(self) -> nn.Module:
        """The network, its weights not needed yet."""
        ...


@dataclass(frozen=True)
class PythonFile:
    """A function without arguments in a Python file. Reading the file runs it."""

    path: Path
    function: str

    def build(self) -> nn.Module:
        """Run the file and call the function.

        Raises:
            ModelError: the file or the function is missing or fails, or gives no torch module.
        """
        make = getattr(self._module(), self.function, None)
        if not callable(make):
            raise ModelError(
                f"{self.path} has no function {self.function!r}; expected one without arguments "
                "that returns the torch network."
            )
        needed = [
            p.name
            for p in inspect.signature(make).parameters.values()
            if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        ]
        if needed:
            raise ModelError(
                f"{self.path}:{self.function} needs {', '.join(needed)}; expected a function "
                "without arguments. Write a small one that calls it."
            )
        try:
            network = make()
        except Exception as err:
            raise ModelError(f"{self.path}:{self.function} failed: {err!r}.") from err
        if not isinstance(network, nn.Module):
            raise ModelError(
                f"{self.path}:{self.function} gave {type(network).__name__}; expected a "
                "torch.nn.Module."
            )
        return network

    def _module(self) -> "ModuleType":
        name = f"clinicedge_user_{self.path.stem}"
        spec = importlib.util.spec_from_file_location(name, self.path)
        if spec is None or spec.loader is None or not self.path.is_file():
            raise ModelError(f"there is no Python file {self.path}.")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        # Files beside it may be imported, as when it is run.
        sys.path.insert(0, str(self.path.parent.resolve()))
        try:
            spec.loader.exec_module(module)
        except Exception as err:
            raise ModelError(f"{self.path} cannot be imported: {err!r}.") from err
        finally:
            sys.path.pop(0)
        return module


@dataclass(frozen=True)
class KerasFile:
    """A Keras model with its weights; `weights` only beside a .json."""

    path: Path
    weights: Path | None
    n_labels: int

    def build(self) -> nn.Module:
        """Read it; raises as `models.keras_files.read_keras`."""
        from ..models.keras_files import read_keras
        from ..models.keras_module import as_module

        return as_module(read_keras(self.path, self.weights), self.n_labels).module


class UserNetwork(nn.Module):
    """The user's network with logits of one shape: (N, K), or (N, 1, H, W) of a mask.

    One score for two labels becomes the logits (0, z), whose softmax is sigmoid(z).
    """

    def __init__(self, network: nn.Module, builder: Builder, one_score: bool) -> None:
        super().__init__()
        self.network = network
        self.builder = builder
        self.one_score = one_score

    def forward(self, film: Tensor) -> Tensor:
        """float32 (N, C, H, W) -> logits."""
        return self._pair(self.network(film))

    def forward_with_features(self, film: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and the feature map (N, C, h, w), where the user's network gives one."""
        logits, features = self.network.forward_with_features(film)  # type: ignore[operator]
        return self._pair(logits), features

    def _pair(self, scores: Tensor) -> Tensor:
        return functional.pad(scores, (1, 0)) if self.one_score else scores

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self.builder, self.one_score, self.network.state_dict())


def _again(builder: Builder, one_score: bool, values: Mapping[str, Any]) -> UserNetwork:
    network = builder.build()
    network.load_state_dict(values)
    return UserNetwork(network.eval(), builder, one_score)


def fitted(network: nn.Module, builder: Builder, spec: ModelSpec) -> tuple[UserNetwork, list[str]]:
    """The network in the converters' form, and what its user should know.

    Raises:
        CheckpointError: its scores are not one a label, or a mask of another size; or they are
            probabilities where logits are expected.
    """
    network.eval()
    films = torch.randn((_PROBES, *spec.input.shape), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        try:
            found = network(films)
        except Exception as err:
            raise CheckpointError(
                f"the network does not take films of shape {tuple(films.shape)}: {err}. Expected "
                "float32 (N, channels, height, width) as [input] of the spec says."
            ) from err
    if not isinstance(found, Tensor):
        raise CheckpointError(
            f"the network gives {type(found).__name__}; expected one tensor of logits. A feature "
            "map for explanations comes from a method forward_with_features."
        )
    one_score = _refuse_shape(found, spec)
    return UserNetwork(network, builder, one_score), _doubts(found, spec)


def _refuse_shape(found: Tensor, spec: ModelSpec) -> bool:
    """Whether there is one score for two labels."""
    output = spec.outputs[0]
    shape = tuple(found.shape)[1:]
    one_score = spec.task == "classification" and shape == (1,)
    if shape != output.shape and not one_score:
        raise CheckpointError(
            f"the network gives {shape} a film; '{spec.name}' has {len(output.labels)} labels "
            f"({', '.join(output.labels)}) and expects {output.shape}. Name one label a score, in "
            "the head's order."
        )
    return one_score


def _doubts(found: Tensor, spec: ModelSpec) -> list[str]:
    """Scores that look like probabilities already.

    Raises:
        CheckpointError: they are, beyond doubt.
    """
    shares = bool(((found >= 0) & (found <= 1)).all())
    total = found.flatten(1).sum(1)
    summed = found.shape[1] > 1 and bool(((total - 1).abs() <= _SUM_TOLERANCE).all())
    if shares and (summed or spec.task == "segmentation"):
        raise CheckpointError(
            "the network gives probabilities, it ends in a softmax or sigmoid; expected logits. "
            "Leave the last activation out; the bundle applies it."
        )
    if shares:
        return [
            f"all raw scores of {_PROBES} probing films lie in 0..1: make sure that the network "
            "gives logits and not probabilities"
        ]
    return []
