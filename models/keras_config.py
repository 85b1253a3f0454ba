"""A Keras model's configuration, checked and brought to Keras 3's form, as plain data.

What a file says is not trusted: only layers of Keras itself pass, none that holds code or reads
files. Keras 2 (2017-2023) and Keras 3 write the same tree with other names; see
https://keras.io/guides/migrating_to_keras_3/.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from ..runtime.errors import CheckpointError

Config = dict[str, Any]
KNOWN_MAJOR = (2, 3)
# Keras 3 takes keras.Model for what it calls Functional inside.
MODELS = {"Sequential": "Sequential", "Functional": "Model", "Model": "Model"}
# They hold code or read files.
_UNSAFE = {
    "Lambda",
    "TFSMLayer",
    "TorchModuleWrapper",
    "JaxLayer",
    "FlaxLayer",
    "StringLookup",
    "IntegerLookup",
    "TextVectorization",
}
_TENSORFLOW = {"TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer", "ClassMethod"}
# Of training alone, or replaced by the weights.
_DROPPED = ("_initializer", "_regularizer", "_constraint")
_COMPILED = ("compile_config", "training_config", "optimizer_config")
# Arguments that Keras 2 wrote and Keras 3 refuses; any other value than these has a meaning.
_GONE: Mapping[str, tuple[Any, ...]] = {
    "ragged": (False,),
    "renorm": (False,),
    "fused": (None, True, False),
    "virtual_batch_size": (None,),
    "time_major": (False,),
    "noise_shape": (None,),
}
# Values, not objects of a class.
_VALUES = ("__keras_tensor__", "__tuple__", "__slice__", "__ellipsis__", "__numpy__")
# Keras 2 gave them an argument that they never used.
_UNGROUPED = ("DepthwiseConv2D", "SeparableConv2D", "SeparableConv1D", "Conv2DTranspose")
_RENAMED = {
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
}


def major_version(found: object, what: str) -> int:
    """2 or 3 from a version's text such as "2.2.4-tf".

    Raises:
        CheckpointError: there is none, or another.
    """
    text = found.decode("utf-8", "replace") if isinstance(found, bytes) else found
    if isinstance(text, str) and text.split(".")[0].isdecimal():
        major = int(text.split(".")[0])
        if major in KNOWN_MAJOR:
            return major
        raise CheckpointError(
            f"{what} was written by Keras {text}; expected Keras 2 or 3. Load it there and save "
            "it again with Keras 3 (.keras) or Keras 2 (.h5)."
        )
    raise CheckpointError(
        f"{what} does not say which Keras wrote it (keras_version: {text!r}); expected 2.x or "
        "3.x. Save the whole model again: model.save(...)."
    )


def prepare(config: object, layers: frozenset[str], what: str) -> Config:
    """The configuration as Keras 3 reads it, without what belongs to training.

    Args:
        layers: the names of Keras' own layers.
        what: the file, for messages.

    Raises:
        CheckpointError: it is no model's, or has layers with code or of somebody's own.
    """
    if not isinstance(config, dict) or "class_name" not in config or "config" not in config:
        raise CheckpointError(
            f"{what} holds no model's configuration. Expected what model.save or model.to_json "
            "writes; a file of weights alone needs its model.json beside it."
        )
    if str(config["class_name"]) not in MODELS:
        raise CheckpointError(
            f"{what} holds a model of the class {config['class_name']!r}; expected Sequential or "
            "Functional. Rebuild a subclassed model with keras.Model(inputs, outputs)."
        )
    try:
        clean = _model(config)
        _refuse_foreign(clean, layers, what)
    except RecursionError as err:
        raise CheckpointError(
            f"the configuration of {what} is nested too deeply; expected a network's."
        ) from err
    return clean


def strip_activation(config: Config) -> str:
    """Take sigmoid or softmax off the end of the model, in place; returns its name or "linear".

    Raises:
        CheckpointError: the model has no last layer.
    """
    last = _last_layer(config)
    inner = last["config"]
    if last["class_name"] in MODELS:
        return strip_activation(last)
    found = "softmax" if last["class_name"] == "Softmax" else inner.get("activation")
    if last["class_name"] == "Softmax":
        last["class_name"] = "Activation"
        last["config"] = {"name": inner.get("name"), "activation": "linear"}
        # A softmax may be called with a mask.
        nodes = last.get("inbound_nodes")
        for node in nodes if isinstance(nodes, list) else []:
            if isinstance(node, dict):
                node["kwargs"] = {}
    elif found in ("sigmoid", "softmax"):
        inner["activation"] = "linear"
    return found if isinstance(found, str) else "linear"


def _last_layer(config: Config) -> Config:
    layers: list[Config] = config["config"]["layers"]
    if config["class_name"] == "Model":
        name = first_history(config["config"].get("output_layers"))
        layers = [layer for layer in layers if layer["config"].get("name") == name]
    if not layers:
        raise CheckpointError("the model has no layers; expected a network with one output.")
    return layers[-1]


def first_history(value: Any) -> str:
    """The layer's name of the first ["name", node, tensor] in nested lists."""
    while isinstance(value, list) and value and not isinstance(value[0], str):
        value = value[0]
    return str(value[0]) if isinstance(value, list) and value else ""


def _model(config: Config) -> Config:
    kind, inner = MODELS[config["class_name"]], config.get("config")
    # Before Keras 2.2.3 a Sequential was a bare list.
    inner = {"layers": inner} if isinstance(inner, list) else _dict(inner)
    layers = inner.get("layers")
    layers = [_layer(layer) for layer in layers] if isinstance(layers, list) else []
    if kind == "Sequential" and layers:
        layers = _with_input(layers)
    for layer in layers:
        if layer["class_name"] != "InputLayer":
            layer["config"].pop("batch_shape", None)
    inner = {**_plain(inner), "layers": layers}
    own = {"module": "keras", "class_name": kind, "config": inner, "registered_name": None}
    return {**_outer(config), **own}


def _dict(value: object) -> Config:
    return dict(value) if isinstance(value, dict) else {}


def _outer(config: Config) -> Config:
    kept = ("name", "inbound_nodes", "build_config", "module", "registered_name")
    return {"registered_name": None, **{k: config[k] for k in kept if k in config}}


def _with_input(layers: list[Config]) -> list[Config]:
    """Keras 2 may have the input's shape in the first layer alone."""
    first = layers[0]["config"]
    if layers[0]["class_name"] == "InputLayer" or "batch_shape" not in first:
        return layers
    entry = {"name": f"{first.get('name', 'layer')}_input", "batch_shape": first["batch_shape"]}
    return [_built_in("InputLayer", entry), *layers]


def _built_in(kind: str, config: Config) -> Config:
    return {
        "module": "keras.layers",
        "class_name": kind,
        "config": config,
        "registered_name": None,
    }


def _layer(layer: object) -> Config:
    outer = _dict(layer)
    kind = str(outer.get("class_name"))
    if kind in MODELS:
        return _model(outer)
    kind = _RENAMED.get(kind, kind)
    inner = _plain(_dict(outer.get("config")))
    _modernize(kind, inner)
    # A wrapper such as TimeDistributed has a layer inside.
    if isinstance(inner.get("layer"), dict):
        inner["layer"] = _layer(inner["layer"])
    return {**_built_in(kind, inner), **_outer(outer)}


def _plain(inner: Config) -> Config:
    kept = {k: v for k, v in inner.items() if not k.endswith(_DROPPED) and k not in _COMPILED}
    # Mixed precision was for training; weights are float32 and so is what we measure.
    if isinstance(kept.get("dtype"), dict):
        kept["dtype"] = "float32"
    return kept


def _modernize(kind: str, inner: Config) -> None:
    """Rename, in place, what Keras 2 called otherwise."""
    if "batch_input_shape" in inner:
        inner["batch_shape"] = inner.pop("batch_input_shape")
    axis = inner.get("axis")
    if isinstance(axis, list) and len(axis) == 1:
        inner["axis"] = axis[0]
    if kind == "LeakyReLU" and "alpha" in inner:
        inner["negative_slope"] = inner.pop("alpha")
    if kind in _UNGROUPED and inner.get("groups") == 1:
        del inner["groups"]
    if kind != "InputLayer":
        for key in [k for k, neutral in _GONE.items() if k in inner and inner[k] in neutral]:
            del inner[key]


def _refuse_foreign(config: Config, layers: frozenset[str], what: str) -> None:
    """Refuse code, TensorFlow's operations and classes that Keras does not have, all by name."""
    found = list(_objects(config))
    unsafe = sorted({f"{n} ({k})" for k, n, _ in found if k in _UNSAFE or k == "__lambda__"})
    if unsafe:
        raise CheckpointError(
            f"{what} has layers that hold code or read files: {', '.join(unsafe)}. They are not "
            "run. Replace them by Keras' own layers (Rescaling, Activation, ...) and save again."
        )
    tensorflow = sorted({n for k, n, _ in found if k in _TENSORFLOW})
    if tensorflow:
        raise CheckpointError(
            f"{what} calls TensorFlow outside of layers: {', '.join(tensorflow)}. Only TensorFlow "
            "can run that. Use Keras' own layers (Add, Multiply, Rescaling, ...) and save again."
        )
    foreign = sorted(
        {f"{n} ({k})" for k, n, module in found if not _is_keras_own(k, module, layers)}
    )
    if foreign:
        raise CheckpointError(
            f"{what} has custom layers or functions: {', '.join(foreign)}. Their code is not in "
            "the file. Build the model with Keras' own layers, or export it as ONNX and convert "
            "that."
        )


def _is_keras_own(kind: str, module: str, layers: frozenset[str]) -> bool:
    if module.startswith("keras.src.ops"):
        return True
    return (kind in layers or kind in MODELS) and module in ("", "keras", "keras.layers")


def _objects(value: Any, name: str = "") -> Iterator[tuple[str, str, str]]:
    """(class, name, module) of everything in the tree that would be made from a class."""
    if isinstance(value, list):
        for item in value:
            yield from _objects(item, name)
    elif isinstance(value, dict):
        kind, inner = value.get("class_name"), value.get("config")
        own = inner.get("name") if isinstance(inner, dict) else inner
        name = own if isinstance(own, str) else name
        if isinstance(kind, str) and kind not in _VALUES:
            module, registered = value.get("module"), value.get("registered_name")
            if isinstance(registered, str) and registered != kind:
                module = registered
            yield kind, name or kind, str(module or "")
        for item in value.values():
            yield from _objects(item, name)
