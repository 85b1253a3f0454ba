"""Reference weights: fp16 safetensors files, found in folders and loaded strictly."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..runtime.errors import CheckpointError, WeightsMissingError
from ..runtime.spec import ModelSpec
from . import fit, zoo
from .fold_names import whole_name
from .tensor_files import read_safetensors

if TYPE_CHECKING:
    from torch import nn

# Beside the code in a clone; a wheel has no weights.
CLONE_FOLDER = Path(__file__).resolve().parents[1] / "weights"


def find(spec: ModelSpec, folders: Sequence[Path] = ()) -> Path:
    """The weights file of a model, in the given folders or else in the clone's `weights/`.

    Raises:
        WeightsMissingError: none has it.
    """
    places = [*folders, CLONE_FOLDER]
    for folder in places:
        path = folder / spec.weights.file
        if path.is_file():
            return path
    looked = ", ".join(str(p) for p in places)
    if zoo.needs_user_weights(spec.name):
        raise WeightsMissingError(
            f"'{spec.name}' has no reference weights, it is a spec for a checkpoint that you "
            f"bring; {spec.weights.file} is not in {looked}. Convert your own .pth, .safetensors "
            f"or .onnx file of this network, or train one: {_training(spec.name)}."
            f"{_beware(spec.name)}"
        )
    raise WeightsMissingError(
        f"no weights for '{spec.name}': {spec.weights.file} is not in {looked}. "
        f"Name its folder with --weights, or train it: {_training(spec.name)}."
    )


def _training(name: str) -> str:
    whole = whole_name(name)
    if name == whole:
        return f"clinicedge train {name} --data DIR"
    number = name.rpartition("-")[2]
    return f"clinicedge train {whole} --fold {number}/N --data DIR"


def _beware(name: str) -> str:
    note = zoo.checkpoint_note(name)
    return f" {note}." if note else ""


def load_into(module: "nn.Module", path: Path) -> None:
    """Put a safetensors file's values into a network, in float32, and set evaluation mode.

    Raises:
        CheckpointError: the file is damaged, or a tensor is missing, unknown or misshapen.
    """
    own = fit.own_tensors(module, read_safetensors(path), path)
    fit.put_into(module, own.tensors, path)


def save(module: "nn.Module", path: Path, title: str) -> None:
    """Write a network's values as fp16 safetensors, atomically; same values, same bytes.

    `title` names the weights in the file. It is the only metadata: safetensors writes several
    in an order that changes from process to process.

    Raises:
        CheckpointError: a value does not fit into fp16.
    """
    import torch
    from safetensors.torch import save as to_bytes

    from ..runtime.files import write_atomic

    tensors = {}
    for key, value in fit.values(module).items():
        half = value.detach().cpu().to(torch.float16).contiguous()
        if not bool(torch.isfinite(half).all()):
            raise CheckpointError(
                f"{key} holds values beyond fp16's range; train with more weight decay."
            )
        tensors[key] = half
    write_atomic(path, to_bytes(tensors, {"title": title}))
