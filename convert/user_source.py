"""A model that a user brings: their own network, a checkpoint of a zoo network, ONNX or Keras."""

import hashlib
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..models import zoo
from ..models.keras_files import is_keras
from ..runtime.errors import ConversionError, ModelError
from ..runtime.files import sha256_file
from ..runtime.spec import ExplanationSpec, ModelSpec, OutputSpec
from .pipelines import is_pipeline
from .source import Source, linear_head
from .user_spec import read_spec, with_weights
from .zoo_source import NOT_RECORDED, card_beside

if TYPE_CHECKING:
    from torch import nn

    from .user_network import Builder

_FUNCTION = "build"
_ENDINGS = (
    *(".py", ".onnx", ".safetensors"),
    *(".pth", ".pt", ".ckpt", ".bin", ".tar", ".pkl", ".pickle", ".th"),
)


@dataclass(frozen=True)
class UserModel:
    """What a user names.

    Attributes:
        what: a file, or PATH.py:FUNCTION.
        model: the zoo's name of the same network; None where the file has the network itself.
        spec: a spec file; may be None with `model`.
        weights: values for PATH.py:FUNCTION, or the weights beside a Keras .json.
    """

    what: str
    model: str | None = None
    spec: Path | None = None
    weights: Path | None = None


def is_user_model(what: str) -> bool:
    """Whether an argument names a file and not a model of the zoo.

    By its ending, by the folder in front of it, or because the file is there.
    """
    path = Path(_split(what)[0])
    if path.suffix.lower() in _ENDINGS or is_keras(path) or "/" in what or os.sep in what:
        return True
    return path.is_file() and not is_zoo_name(what)


def is_zoo_name(what: str) -> bool:
    """Whether the zoo has a model or a pipeline of that name."""
    return what in (*zoo.names(), *zoo.lung_crop_names()) or is_pipeline(what)


def load_user_source(asked: UserModel) -> tuple[Source, tuple[str, ...]]:
    """The source of a conversion, and what was done to make it fit.

    Raises:
        ModelError: the spec or the user's file cannot be used.
        CheckpointError: damaged, wants to run code, of another network, or its head has another
            length than the labels.
        UnknownModelError: the zoo has no model of that name.
    """
    path = Path(_split(asked.what)[0])
    if not path.is_file():
        raise ModelError(f"there is no file {path}.")
    base = zoo.spec(asked.model) if asked.model else None
    if asked.spec is None and base is None:
        raise ModelError(
            f"{path}: nothing says what its scores mean. Name a spec with --spec SPEC.toml, or the "
            "network of the zoo that it is of with --model NAME."
        )
    spec = read_spec(asked.spec, base) if asked.spec else base
    if spec is None:
        raise ModelError(f"{path}: no spec.")
    weights = asked.weights or path
    spec = with_weights(spec, weights.name)
    if asked.model is not None:
        return _zoo_network(asked, path, spec)
    if path.suffix.lower() == ".onnx":
        return _onnx(path, spec)
    return _own_network(asked, path, spec)


def _split(what: str) -> tuple[str, str]:
    """PATH.py:FUNCTION; the function is `build` where none is named."""
    path, colon, function = what.rpartition(":")
    if colon and path.endswith(".py"):
        return path, function
    return what, _FUNCTION


def _source(spec: ModelSpec, network: "nn.Module", weights: Path, code: Path | None) -> Source:
    return Source(
        spec=spec,
        network=network,
        weights_file=weights.name,
        weights_sha256=sha256_file(weights),
        weights_date=NOT_RECORDED,
        training_data=NOT_RECORDED,
        code_sha256=sha256_file(code) if code else "",
    )


def _zoo_network(asked: UserModel, path: Path, spec: ModelSpec) -> tuple[Source, tuple[str, ...]]:
    """A checkpoint in an architecture of the zoo."""
    name = asked.model or ""
    if is_keras(path):
        from ..models.keras_twins import load_keras

        module, twin = load_keras(name, path, asked.weights)
        note = f"equal to Keras within {twin.difference:.1g} on probing films"
        return _source(spec, module, asked.weights or path, None), (note,)
    from ..models.checkpoints import load_checkpoint

    loaded = load_checkpoint(name, path, spec.outputs[0].labels)
    source = _source(spec, loaded.module, path, None)
    if not _is_card(path.with_suffix(".json")):
        return source, loaded.notes
    card = card_beside(path, source.weights_sha256, spec)
    note = f"its card says whose films trained it: {card.training_data}"
    told = replace(
        source,
        weights_date=card.date,
        training_data=card.training_data,
        # With a spec of the user's own its labels may be others, in another order.
        thresholds=card.thresholds if spec.outputs == zoo.spec(name).outputs else {},
        hygiene=card.hygiene,
    )
    return told, (*loaded.notes, note)


def _is_card(path: Path) -> bool:
    """Whether a file that a user keeps beside weights is one that training wrote."""
    try:
        return "weights_sha256" in json.loads(path.read_bytes())
    except (OSError, ValueError, TypeError):
        return False


def _onnx(path: Path, spec: ModelSpec) -> tuple[Source, tuple[str, ...]]:
    from .onnx_source import read_onnx

    network, notes = read_onnx(path, spec)
    source = Source(spec, network, path.name, sha256_file(path), NOT_RECORDED, NOT_RECORDED)
    return source, notes


def _own_network(asked: UserModel, path: Path, spec: ModelSpec) -> tuple[Source, tuple[str, ...]]:
    """A network that the file itself describes."""
    from .user_network import KerasFile, PythonFile, fitted

    builder: Builder
    if is_keras(path):
        builder = KerasFile(path.resolve(), _resolved(asked.weights), len(spec.outputs[0].labels))
    elif path.suffix == ".py":
        builder = PythonFile(path.resolve(), _split(asked.what)[1])
    else:
        raise ModelError(
            f"{path} holds values without a network. Name the zoo's network that they are of with "
            f"--model NAME, or give your own: convert PATH.py:build --weights {path.name}."
        )
    network = builder.build()
    if isinstance(builder, PythonFile) and asked.weights is not None:
        _load_values(network, asked.weights)
    module, notes = fitted(network, builder, spec)
    code = path if path.suffix == ".py" else None
    source = _source(_with_features(module, spec), module, asked.weights or path, code)
    if asked.weights is None:
        source = replace(source, weights_sha256=_values_sha256(network))
    return _with_head(source), tuple(notes)


def _resolved(path: Path | None) -> Path | None:
    return None if path is None else path.resolve()


def _load_values(network: "nn.Module", path: Path) -> None:
    """A checkpoint into the user's own network; prefixes that wrappers put are taken off."""
    from ..models import fit
    from ..models.tensor_files import read_tensors

    own = fit.values(network)
    named, _ = fit.unwrapped(read_tensors(path).tensors, own, path)
    tensors = {
        next((n for n in fit.names(key) if n in own), key): value
        for key, value in named.items()
        if not key.endswith("num_batches_tracked")
    }
    fit.put_into(network, tensors, path)


def _values_sha256(network: "nn.Module") -> str:
    """Of a network that brings its own values."""
    digest = hashlib.sha256()
    for key, value in sorted(network.state_dict().items()):
        digest.update(key.encode("utf-8"))
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _with_features(module: "nn.Module", spec: ModelSpec) -> ModelSpec:
    """With a feature map for explanations, where the user's network gives one."""
    import torch

    inner = getattr(module, "network", module)
    if spec.task == "segmentation" or not hasattr(inner, "forward_with_features"):
        return spec
    with torch.inference_mode():
        film = torch.zeros(1, *spec.input.shape)
        _, maps = module.forward_with_features(film)  # type: ignore[operator]
    shape = tuple(int(n) for n in maps.shape[1:])
    if len(shape) != 3:
        raise ModelError(
            f"forward_with_features gives a map of shape {shape} a film; expected (C, h, w)."
        )
    output = OutputSpec("features", "features", shape, "none", (), None)
    explained = ExplanationSpec("features", "forward_with_features", pooling_linear_head=True)
    return replace(spec, outputs=(*spec.outputs, output), explanation=explained)


def _with_head(source: Source) -> Source:
    """Class maps where the head is pooling and one linear layer, found by trying."""
    spec = source.spec
    if spec.explanation is None:
        return source
    try:
        linear_head(source)
    except (ConversionError, RuntimeError):
        without = replace(spec.explanation, pooling_linear_head=False)
        return replace(source, spec=replace(spec, explanation=without))
    return source
