"""A Keras model as a flat list of layer calls with their weights, nested models unfolded."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import CheckpointError
from .keras_config import MODELS, Config
from .keras_files import KerasModel

# They do nothing outside of training.
IDLE = (
    "Dropout",
    "SpatialDropout2D",
    "GaussianNoise",
    "GaussianDropout",
    "AlphaDropout",
    "ActivityRegularization",
    "RandomFlip",
    "RandomRotation",
    "RandomZoom",
    "RandomTranslation",
    "RandomContrast",
    "RandomBrightness",
)
ENTRY = "InputLayer"


class UnfoldError(CheckpointError):
    """The model is no plain graph of layers that are each used once."""


@dataclass(frozen=True, eq=False)
class Call:
    """One layer at work.

    Attributes:
        kind: the layer's class; an activation inside a layer is a call of its own, "Activation".
        name: with the names of the models around it, e.g. "block1/conv2d".
        config: the layer's arguments.
        weights: by Keras' short names ("kernel", "gamma", ...), float32, Keras' axes.
        inputs: positions of the calls whose outputs it takes.
    """

    kind: str
    name: str
    config: Config
    weights: Mapping[str, NDArray[np.float32]]
    inputs: tuple[int, ...]


def unfold(found: KerasModel) -> tuple[Call, ...]:
    """The calls in an order that can be run; the first is the input, the last the output.

    Idle layers (dropout) are left out.

    Raises:
        UnfoldError: a layer is used twice, or takes more than other layers' outputs.
    """
    calls = [Call(ENTRY, "input", {}, {}, ())]
    try:
        end = _Unfolder(calls).model(found.config, found.model, 0, "")
    except (LookupError, TypeError, ValueError) as err:
        raise UnfoldError(f"the configuration of {found.what} is no plain graph: {err!r}.") from err
    needed = _needed(calls, end)
    places = {old: new for new, old in enumerate(needed)}
    return tuple(
        Call(c.kind, c.name, c.config, c.weights, tuple(places[i] for i in c.inputs))
        for c in (calls[i] for i in needed)
    )


def _needed(calls: list[Call], end: int) -> list[int]:
    seen, todo = {0}, [end]
    while todo:
        here = todo.pop()
        if here not in seen:
            seen.add(here)
            todo.extend(calls[here].inputs)
    return sorted(seen)


class _Unfolder:
    def __init__(self, calls: list[Call]) -> None:
        self._calls = calls

    def model(self, config: Config, model: Any, entry: int, prefix: str) -> int:
        """Place all layers of a model that takes the output of call `entry`; returns its own."""
        if config["class_name"] == "Sequential":
            for layer in config["config"]["layers"]:
                if layer["class_name"] != ENTRY:
                    entry = self._layer(layer, model, (entry,), prefix)
            return entry
        return self._functional(config["config"], model, entry, prefix)

    def _functional(self, config: Config, model: Any, entry: int, prefix: str) -> int:
        done: dict[str, int] = {}
        waiting = list(config["layers"])
        while waiting:
            left = []
            for layer in waiting:
                name = layer["config"]["name"]
                if layer["class_name"] == ENTRY:
                    done[name] = entry
                    continue
                sources = _sources(layer)
                if all(s in done for s in sources):
                    inputs = tuple(done[s] for s in sources)
                    done[name] = self._layer(layer, model, inputs, prefix)
                else:
                    left.append(layer)
            if len(left) == len(waiting):
                raise UnfoldError(f"the layer '{left[0]['config']['name']}' takes no known input.")
            waiting = left
        (end,) = _histories(config["output_layers"])
        return done[end]

    def _layer(self, layer: Config, model: Any, inputs: tuple[int, ...], prefix: str) -> int:
        kind, config = layer["class_name"], layer["config"]
        name = config["name"]
        if kind in MODELS:
            inner = model.get_layer(name)
            return self.model(layer, inner, inputs[0], f"{prefix}{name}/")
        if not str(layer.get("module", "")).startswith("keras.layers"):
            raise UnfoldError(f"'{prefix}{name}' is an operation outside of layers.")
        if kind in IDLE:
            return inputs[0]
        activation = config.get("activation", "linear")
        weights = {w.name: _array(w) for w in model.get_layer(name).weights}
        self._calls.append(Call(kind, prefix + name, config, weights, inputs))
        if kind != "Activation" and activation not in ("linear", None):
            last = len(self._calls) - 1
            applied = {"activation": activation}
            self._calls.append(Call("Activation", prefix + name, applied, {}, (last,)))
        return len(self._calls) - 1


def _array(weight: Any) -> NDArray[np.float32]:
    values: NDArray[np.float32] = weight.value.detach().cpu().float().numpy()
    return values


def _sources(layer: Config) -> tuple[str, ...]:
    """Names of the layers whose outputs a layer of a functional model takes."""
    nodes = layer.get("inbound_nodes", [])
    if len(nodes) != 1:
        raise UnfoldError(f"the layer '{layer['config']['name']}' is used {len(nodes)} times.")
    node = nodes[0]
    if isinstance(node, dict) and set(_tensor_keys(node.get("kwargs", {}))):
        raise UnfoldError(f"the layer '{layer['config']['name']}' takes named inputs.")
    return tuple(_histories(node["args"] if isinstance(node, dict) else node))


def _tensor_keys(kwargs: Mapping[str, Any]) -> Iterator[str]:
    for key, value in kwargs.items():
        if any(_histories(value)):
            yield key


def _histories(value: Any) -> list[str]:
    """Layer names in nested lists of ["name", node, tensor, ...] or of Keras 3's tensor records."""
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            return [str(value["config"]["keras_history"][0])]
        return []
    if not isinstance(value, list) or not value:
        return []
    if isinstance(value[0], str) and len(value) >= 3:
        return [value[0]]
    return [name for item in value for name in _histories(item)]
