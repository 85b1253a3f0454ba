"""Checkpoints as they are found, into a network of the zoo: prefixes, old names, other heads."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..runtime.errors import CheckpointError
from ..runtime.files import sha256_file
from . import fit, zoo
from .tensor_files import TensorFile, read_tensors

if TYPE_CHECKING:
    from torch import Tensor, nn

HEADS = ("fc", "classifier", "head", "last_linear")
# Counters, and what losses and profilers leave behind in a state_dict.
_LEFT = re.compile(
    r"(^|\.)(num_batches_tracked|n_averaged|total_ops|total_params)$|^(criterion|loss|loss_fn)\."
)
_IN_HEAD = re.compile(rf"^({'|'.join(HEADS)})\.((?:\w+\.)*)(weight|bias|running_mean|running_var)$")


@dataclass(frozen=True, eq=False)
class Loaded:
    """A network with a checkpoint's values.

    Attributes:
        module: float32, in evaluation mode; its head has `classes` logits.
        classes: logits of its head; None where the network does not end in one linear layer
            and is no detector.
        sha256: of the file.
        notes: what was done to make it fit, in words.
    """

    module: "nn.Module"
    classes: int | None
    sha256: str
    notes: tuple[str, ...]


def load_checkpoint(name: str, path: Path, labels: Sequence[str] | None = None) -> Loaded:
    """Put a checkpoint into the architecture `name` of the zoo.

    Args:
        path: .pth, .pt and the like, .safetensors, or .onnx with the initializers' own names.
        labels: of the scores, in the head's order; the zoo's where None.

    Raises:
        UnknownModelError: the zoo has no such name.
        CheckpointError: the file is damaged, wants to run code, is of another architecture, or
            its head has another length than the labels.
    """
    spec = zoo.spec(name)
    file = read_tensors(path)
    module = zoo.build(name)
    own = fit.own_tensors(module, file.tensors, path)
    head = _head_of(module)
    expected = fit.shapes(fit.values(module))
    notes = [*file.notes, *own.notes]
    named, prefix = fit.unwrapped(own.tensors, expected, path)
    notes += [f"the network was found behind '{prefix}'"] if prefix else []
    tensors = _renamed(TensorFile(named), expected, head, path)
    if path.suffix == ".onnx" and not expected.keys() - tensors.keys():
        # Constants of the graph, not the network's.
        tensors = {key: value for key, value in tensors.items() if "." in key}
    classes = None
    if head is not None:
        notes += _complete(tensors, head, spec.outputs[0].activation == "softmax")
        classes = _resize_head(module, head, tensors)
    elif hasattr(module, "resize_for"):
        # A detector: its heads get as many classes as the checkpoint's.
        classes = module.resize_for(tensors)  # type: ignore[operator]
    expected = fit.shapes(fit.values(module))
    wrong = fit.differences(expected, fit.shapes(tensors))
    if wrong:
        raise CheckpointError(_mismatch(name, path, expected, tensors), vars(wrong))
    if classes is not None:
        _check_labels(name, path, classes, spec.outputs[0].labels if labels is None else labels)
    fit.put_into(module, tensors, path)
    notes += [note for note in (zoo.checkpoint_note(name),) if note]
    return Loaded(module, classes, sha256_file(path), tuple(notes))


def _head_of(module: "nn.Module") -> str | None:
    from torch import nn

    for name in HEADS:
        if isinstance(getattr(module, name, None), nn.Linear):
            return name
    return None


def _renamed(
    file: TensorFile, expected: fit.Shapes, head: str | None, path: Path
) -> "dict[str, Tensor]":
    """The file's tensors under the network's names; those without one keep their own."""
    found: dict[str, Tensor] = {}
    in_head: dict[str, Tensor] = {}
    for key, value in file.tensors.items():
        if _LEFT.search(key) or fit.UNUSED.search(key):
            continue
        name = next((n for n in fit.names(key) if n in expected), None)
        own = name is not None and (head is None or name.rpartition(".")[0] != head)
        part = None if own or head is None else _head_part(key)
        place, under = (found, name or key) if part is None else (in_head, part)
        if under in place:
            raise CheckpointError(
                f"{path} holds {under} twice, with and without a prefix; expected one network. "
                "Save the one that is meant alone."
            )
        place[under] = value
    if head is not None:
        found.update(_one_linear(in_head, head))
    return found


def _head_part(key: str) -> str | None:
    """The name below the prefixes, where it is of a head: fc.1.weight."""
    return next((name for name in fit.names(key) if _IN_HEAD.match(name)), None)


def _one_linear(in_head: "Mapping[str, Tensor]", head: str) -> "dict[str, Tensor]":
    """fc.weight and fc.bias from the one linear layer, wherever in the head it stands.

    A head of several layers keeps its names, and so does not fit.
    """
    if len(_layers(in_head)) > 1:
        return dict(in_head)
    return {f"{head}.{name.rpartition('.')[2]}": value for name, value in in_head.items()}


def _layers(names: Iterable[str]) -> set[str]:
    """Modules of a head that have weights."""
    return {name.rpartition(".")[0] for name in names if _IN_HEAD.match(name)}


def _complete(tensors: "dict[str, Tensor]", head: str, softmax: bool) -> list[str]:
    """A bias where the head has none, and two logits where it has one for two labels."""
    import torch

    weight = tensors.get(f"{head}.weight")
    if weight is None or weight.ndim != 2:
        return []
    notes = []
    if f"{head}.bias" not in tensors:
        tensors[f"{head}.bias"] = torch.zeros(len(weight))
        notes.append("the head has no bias, zeros were put")
    if softmax and len(weight) == 1:
        for part in ("weight", "bias"):
            one = tensors[f"{head}.{part}"]
            tensors[f"{head}.{part}"] = torch.cat([torch.zeros_like(one), one])
        notes.append("the one logit z became (0, z): their softmax is sigmoid(z)")
    return notes


def _resize_head(module: "nn.Module", head: str, tensors: "Mapping[str, Tensor]") -> int | None:
    """A head of as many logits as were found; None where none was."""
    from torch import nn

    weight = tensors.get(f"{head}.weight")
    if weight is None or weight.ndim != 2:
        return None
    linear = module.get_submodule(head)
    if isinstance(linear, nn.Linear) and linear.out_features != len(weight):
        setattr(module, head, nn.Linear(linear.in_features, len(weight)))
    return len(weight)


def _check_labels(name: str, path: Path, classes: int, labels: Sequence[str]) -> None:
    if classes == len(labels):
        return
    raise CheckpointError(
        f"{path}: the head has {classes} logits, '{name}' has {len(labels)} labels "
        f"({', '.join(labels)}). Expected one label a logit, in the head's order; name them in "
        "the model's spec."
    )


def _mismatch(name: str, path: Path, expected: fit.Shapes, tensors: "Mapping[str, Tensor]") -> str:
    found = fit.shapes(tensors)
    missing = expected.keys() - found.keys()
    layers = _layers(found)
    if len(layers) > 1 and all(_IN_HEAD.match(key) for key in missing):
        return (
            f"{path}: the head has {len(layers)} layers with weights ({', '.join(sorted(layers))})"
            "; expected one linear layer after the pooling. Convert the network itself: "
            "path/to/module.py:build."
        )
    kernels = sum(len(shape) == 4 for shape in found.values())
    means = [key for key in expected if key.endswith("running_mean")]
    if path.suffix == ".onnx" and kernels and means and not any(key in found for key in means):
        return (
            f"{path} holds {kernels} convolutions and no batch normalization: the export folded "
            f"it in, and the values of '{name}' cannot be had back. Convert the .onnx file itself "
            "with a spec, or bring the checkpoint that it was exported from."
        )
    wrong = fit.differences(expected, found)
    return f"{path} does not fit '{name}': {wrong}. {fit.hint(tensors)}"
