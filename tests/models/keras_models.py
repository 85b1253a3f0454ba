"""Keras models as users have them, written in Keras' own layers: the oracle of the twins."""

import itertools
import json
import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from clinicedge.models.keras_backend import keras_on_torch

keras = keras_on_torch()
layers = keras.layers
# How tf.keras 2.8 writes an initializer or regularizer of a layer.
_OLD_OBJECT = {"class_name": "GlorotUniform", "config": {"seed": None}}


def shaken(model: Any, seed: int = 0) -> Any:
    """Weights that pass the film on, and statistics away from their initial values."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        shape = tuple(weight.shape)
        noise = rng.normal(0, 0.1, shape)
        if "kernel" in weight.name:
            fan_in = shape[0] * shape[1] if "depthwise" in weight.name else np.prod(shape[:-1])
            noise *= 10 * np.sqrt(2 / fan_in)
        if weight.name in ("gamma", "moving_variance"):
            noise = 1 + noise
        weight.assign(noise.astype(np.float32))
    return model


def separable(side: int, nested: bool = True) -> Any:
    """The pneumonia notebook's network; `nested`: with blocks as models of their own."""

    def block(filters: int) -> list[Any]:
        return [
            layers.SeparableConv2D(filters, 3, activation="relu", padding="same"),
            layers.SeparableConv2D(filters, 3, activation="relu", padding="same"),
            layers.BatchNormalization(),
            layers.MaxPool2D(),
        ]

    def dense(units: int, rate: float) -> list[Any]:
        return [
            layers.Dense(units, activation="relu"),
            layers.BatchNormalization(),
            layers.Dropout(rate),
        ]

    def placed(parts: list[Any]) -> list[Any]:
        return [keras.Sequential(parts)] if nested else parts

    return shaken(
        keras.Sequential(
            [
                keras.Input((side, side, 3)),
                layers.Conv2D(16, 3, activation="relu", padding="same"),
                layers.Conv2D(16, 3, activation="relu", padding="same"),
                layers.MaxPool2D(),
                *placed(block(32)),
                *placed(block(64)),
                *placed(block(128)),
                layers.Dropout(0.2),
                *placed(block(256)),
                layers.Dropout(0.2),
                layers.Flatten(),
                *placed(dense(512, 0.7)),
                *placed(dense(128, 0.5)),
                *placed(dense(64, 0.3)),
                layers.Dense(1, activation="sigmoid"),
            ]
        )
    )


def attention_unet(channels: tuple[int, ...], side: int | None, raised_first: bool = False) -> Any:
    """An attention U-Net; `raised_first`: the decoder's map comes first where maps are joined."""

    def double(x: Any, filters: int) -> Any:
        for _ in range(2):
            x = layers.Conv2D(filters, 3, padding="same")(x)
            x = layers.Activation("relu")(layers.BatchNormalization()(x))
        return x

    def attend(skip: Any, gate: Any, filters: int) -> Any:
        both = layers.Add()([layers.Conv2D(filters, 1)(gate), layers.Conv2D(filters, 1)(skip)])
        psi = layers.Conv2D(1, 1, activation="sigmoid")(layers.ReLU()(both))
        return layers.Multiply()([skip, psi])

    entry = keras.Input((side, side, 1))
    x, skips = double(entry, channels[0]), []
    for filters in channels[1:]:
        skips.append(x)
        x = double(layers.Dropout(0.1)(layers.MaxPooling2D()(x)), filters)
    for skip, filters in zip(reversed(skips), channels[-2::-1], strict=True):
        up = layers.Conv2DTranspose(filters, 2, strides=2, padding="same")(x)
        gated = attend(skip, up, filters // 2)
        x = double(layers.Concatenate()([up, gated] if raised_first else [gated, up]), filters)
    return shaken(keras.Model(entry, layers.Conv2D(1, 1, activation="sigmoid")(x)))


def save(model: Any, path: Path) -> None:
    """Write a file as Keras 3 does: .keras, .h5, .weights.h5, or the .json of the architecture."""
    if path.suffix == ".json":
        path.write_text(model.to_json(), encoding="utf-8")
        return
    with warnings.catch_warnings():
        # Keras 3.15 and NumPy 2.4: its __array__ takes no copy.
        warnings.simplefilter("ignore", DeprecationWarning)
        if path.name.endswith(".weights.h5"):
            model.save_weights(path)
        else:
            model.save(path)


def probabilities(model: Any, film: np.ndarray) -> np.ndarray:
    """What Keras itself answers to (N, H, W, C)."""
    found: np.ndarray = model(film, training=False).detach().numpy()
    return found


def as_keras_2(path: Path, version: str = "2.8.0") -> None:
    """Rewrite a whole-model .h5 of Keras 3 to what tf.keras 2.8 wrote."""
    with h5py.File(path, "r+") as file:
        file.attrs["keras_version"] = version
        file["model_weights"].attrs["keras_version"] = version
        file.attrs["backend"] = "tensorflow"
        config = json.loads(file.attrs["model_config"])
        file.attrs["model_config"] = json.dumps(old_config(config))


def split_keras_2(path: Path) -> tuple[Path, Path]:
    """A Keras 2 whole-model .h5 as model.json and a weights file of the old layout."""
    architecture, weights = path.with_suffix(".json"), path.with_name("weights.h5")
    with h5py.File(path) as file, h5py.File(weights, "w") as alone:
        whole = json.loads(file.attrs["model_config"])
        whole |= {"keras_version": "2.8.0", "backend": "tensorflow"}
        for key, value in file["model_weights"].attrs.items():
            alone.attrs[key] = value
        for name, group in file["model_weights"].items():
            file.copy(group, alone, name)
    architecture.write_text(json.dumps(whole), encoding="utf-8")
    return architecture, weights


def old_config(layer: dict[str, Any]) -> dict[str, Any]:
    """A layer's or model's configuration in the words of tf.keras 2.8."""
    config = {k: v for k, v in layer["config"].items() if k not in ("optional",)}
    config["dtype"] = "float32"
    if "batch_shape" in config:
        config["batch_input_shape"] = config.pop("batch_shape")
    if "layers" in config:
        config = {k: v for k, v in config.items() if k not in ("trainable", "dtype")}
        config["layers"] = [old_config(inner) for inner in config["layers"]]
        for before, after in itertools.pairwise(config["layers"]):
            if (before["class_name"], after["class_name"]) == ("Dense", "BatchNormalization"):
                after["config"]["axis"] = [1]
        for end in ("input_layers", "output_layers"):
            if end in config and isinstance(config[end][0], str):
                config[end] = [config[end]]
    for key in [k for k in config if k.endswith("_initializer")]:
        config[key] = _OLD_OBJECT
    if layer["class_name"] == "BatchNormalization":
        config = {k: v for k, v in config.items() if k != "synchronized" and "renorm" not in k}
        config["axis"] = [3]
    if layer["class_name"] in ("SeparableConv2D", "Conv2DTranspose"):
        config.update(groups=1, kernel_initializer=_OLD_OBJECT, kernel_regularizer=None)
    old = {"class_name": layer["class_name"], "config": config}
    if "inbound_nodes" in layer:
        old["name"] = config["name"]
        old["inbound_nodes"] = [_old_node(node) for node in layer["inbound_nodes"]]
    return old


def _old_node(node: Any) -> list[Any]:
    if not isinstance(node, dict):
        return list(node)
    args = node["args"][0] if node["args"] and isinstance(node["args"][0], list) else node["args"]
    return [[*tensor["config"]["keras_history"], {}] for tensor in args]
