"""Keras models from files: .keras, whole-model .h5 of Keras 2 and 3, model.json with weights.

Nothing in a file is run: its configuration passes `keras_config.py` first, and only the layers of
Keras itself are built, by Keras 3 on torch.
"""

import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from ..runtime.errors import CheckpointError
from .keras_backend import keras_on_torch
from .keras_config import Config, major_version, prepare, strip_activation

ZIP, HDF5, JSON = (".keras",), (".h5", ".hdf5"), (".json",)
# How Keras names a weights file of its third version; it goes by the ending alone.
_NEW_WEIGHTS, _OLD_WEIGHTS = "model.weights.h5", "model.h5"
# What Keras, h5py and torch raise on content that does not fit.
_FAILURES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
_TEXT = 600


@dataclass(frozen=True, eq=False)
class KerasModel:
    """A model from a file, in evaluation.

    Attributes:
        model: the keras.Model, channels last, without its final sigmoid or softmax.
        activation: what was taken off its end: "sigmoid", "softmax"; else the last layer's own
            activation, which is still there, e.g. "linear".
        config: what it was built from.
        input_shape: (H, W, C), None where free.
        output_shape: without the batch axis, channels last, None where free.
        what: the file, for messages.
    """

    model: Any
    activation: str
    config: Config
    input_shape: tuple[int | None, ...]
    output_shape: tuple[int | None, ...]
    what: str


def is_keras(path: Path) -> bool:
    """Whether a file's name ends like one that `read_keras` takes; it is not read."""
    return path.suffix.lower() in (*ZIP, *HDF5, *JSON)


def read_keras(path: Path, weights: Path | None = None) -> KerasModel:
    """Read a model with its weights.

    Args:
        path: .keras, a whole model as .h5 or .hdf5, or the .json of `model.to_json`.
        weights: the weights' .h5 that belongs to a .json, None for a file that holds both.

    Raises:
        CheckpointError: the file is damaged, of another Keras, holds code or custom layers, has
            several inputs or outputs, or its weights do not fit.
        ModelError: keras is not installed.
    """
    suffix = path.suffix.lower()
    if suffix in JSON and weights is None:
        raise CheckpointError(
            f"{path} is a model without weights. Name its weights file too (.h5 of "
            "model.save_weights), or save the whole model: model.save('model.keras')."
        )
    if suffix not in JSON and weights is not None:
        raise CheckpointError(
            f"{path} holds its own weights; expected a model.json beside {weights.name}."
        )
    if not is_keras(path):
        raise CheckpointError(f"{path}: expected a file that ends in .keras, .h5 or .json.")
    for file in (path, weights):
        if file is not None and not file.is_file():
            raise CheckpointError(f"there is no file {file}.")
    keras = keras_on_torch()
    config = prepare(_config(path), _layer_names(keras), str(path))
    activation = strip_activation(config)
    model = _build(keras, config, str(path))
    _load_weights(model, weights or path)
    return _checked(model, activation, config, str(path))


def _config(path: Path) -> object:
    suffix = path.suffix.lower()
    if suffix in ZIP:
        return _config_of_zip(path)
    if suffix in HDF5:
        return _config_of_hdf5(path)
    found = _parse(path.read_bytes(), path)
    # Keras 3 writes no version here, but where each class lives.
    if not (isinstance(found, dict) and "keras_version" not in found and "module" in found):
        version = found.get("keras_version") if isinstance(found, dict) else None
        major_version(version, str(path))
    return found


def _config_of_zip(path: Path) -> object:
    try:
        with zipfile.ZipFile(path) as archive:
            about = _parse(archive.read("metadata.json"), path)
            config = _parse(archive.read("config.json"), path)
    except (zipfile.BadZipFile, KeyError, OSError, EOFError, RuntimeError) as err:
        raise CheckpointError(
            f"{path} is no whole .keras file: {err}. It was cut short or is of another kind; "
            "save or copy it again."
        ) from err
    version = about.get("keras_version") if isinstance(about, dict) else None
    if major_version(version, str(path)) == 2:
        raise CheckpointError(
            f"{path} is a .keras file of Keras {version}, whose inside differs from Keras 3's. "
            "Save it there as .h5, model.save('model.h5'), and use that."
        )
    return config


def _config_of_hdf5(path: Path) -> object:
    with _hdf5(path) as file:
        config = file.attrs.get("model_config")
        if config is None and ("layer_names" in file.attrs or "layers" in file):
            raise CheckpointError(
                f"{path} holds weights alone. Name the model's .json too, or save the whole "
                "model: model.save('model.h5')."
            )
        if config is None:
            raise CheckpointError(f"{path} is HDF5, but no Keras model: model_config is missing.")
        major_version(file.attrs.get("keras_version"), str(path))
        return _parse(config, path)


@contextmanager
def _hdf5(path: Path) -> Iterator[Any]:
    import h5py

    try:
        file = h5py.File(path, "r")
    except OSError as err:
        raise CheckpointError(
            f"{path} is no whole HDF5 file: {err}. It was cut short or is of another kind; save "
            "or copy it again."
        ) from err
    with file:
        yield file


def _parse(text: Any, path: Path) -> object:
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError) as err:
        raise CheckpointError(
            f"the model's configuration in {path} is no JSON: {err}. Save or copy it again."
        ) from err


def _layer_names(keras: ModuleType) -> frozenset[str]:
    return frozenset(
        name
        for name, value in vars(keras.layers).items()
        if isinstance(value, type) and issubclass(value, keras.layers.Layer)
    )


def _build(keras: ModuleType, config: Config, what: str) -> Any:
    try:
        return keras.models.model_from_json(json.dumps(config))
    except _FAILURES as err:
        raise CheckpointError(
            f"Keras {keras.__version__} cannot build the model of {what}: {_short(err)}"
        ) from err


def _load_weights(model: Any, path: Path) -> None:
    try:
        if path.suffix.lower() in ZIP:
            model.load_weights(str(path))
            return
        with _hdf5(path) as file:
            old = _old_layers(file, path)
        _with_ending(model, path, old)
    except _FAILURES as err:
        raise CheckpointError(
            f"the weights of {path} do not fit the model's layers: {_short(err)}"
        ) from err


def _old_layers(file: Any, path: Path) -> tuple[str, ...] | None:
    """Names of the layers that have weights in a file of Keras 2's layout, None in the new one."""
    group = file.get("model_weights", file)
    if not any(key.startswith("layer_names") for key in group.attrs):
        return None
    major_version(group.attrs.get("keras_version"), str(path))
    # Very long lists are split over several attributes; their layers are read in order.
    found = group.attrs.get("layer_names", ())
    names = [n.decode() if isinstance(n, bytes) else str(n) for n in found]
    return tuple(n for n in names if n in group and len(group[n].attrs.get("weight_names", ())))


def _with_ending(model: Any, path: Path, old: tuple[str, ...] | None) -> None:
    """Load an HDF5 file under the name that tells Keras its layout.

    Keras 2's layout is read in the layers' order; where the names are all the model's own they
    are safer, since Keras 2 and 3 may order parallel branches differently.
    """
    expected = _NEW_WEIGHTS if old is None else _OLD_WEIGHTS
    own = [layer.name for layer in model.layers if layer.weights]
    named = {"by_name": True} if old is not None and set(old) == set(own) else {}
    with tempfile.TemporaryDirectory(prefix="clinicedge-") as folder:
        copy = Path(folder) / expected
        shutil.copyfile(path, copy)
        model.load_weights(str(copy), **named)


def _checked(model: Any, activation: str, config: Config, what: str) -> KerasModel:
    shapes = []
    for title, tensors in (("inputs", model.inputs), ("outputs", model.outputs)):
        if tensors is None or len(tensors) != 1:
            count = "no" if tensors is None else len(tensors)
            raise CheckpointError(f"the model of {what} has {count} {title}; expected one.")
        shapes.append(tuple(tensors[0].shape[1:]))
    if len(shapes[0]) != 3 or shapes[0][-1] not in (1, 3):
        raise CheckpointError(
            f"the model of {what} takes {shapes[0]}; expected films as (height, width, channels) "
            "with 1 or 3 channels, channels last."
        )
    model.trainable = False
    model.eval()
    return KerasModel(model, activation, config, shapes[0], shapes[1], what)


def _short(err: Exception) -> str:
    text = " ".join(str(err).split())
    return text if len(text) <= _TEXT else text[:_TEXT] + " ..."
