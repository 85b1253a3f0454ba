"""Tensors into a network, strictly: every name and shape, or a message that says what differs."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ..runtime.errors import CheckpointError
from . import zoo

if TYPE_CHECKING:
    from torch import Tensor, nn

Shapes = Mapping[str, tuple[int, ...]]
# What wrappers (DataParallel, compile, Lightning, a class around the network) put in front.
PREFIXES = (
    "module.",
    "_orig_mod.",
    "model.",
    "backbone.",
    "net.",
    "network.",
    "base_model.",
    "encoder.",
    "resnet.",
    "resnet50.",
    "densenet.",
    "densenet121.",
)
# Torchvision's DenseNets of 2017 put a dot before the number.
_OLD_DENSE = re.compile(r"(\.denselayer\d+\.(?:norm|conv))\.([12])\.")
# Where YOLO-NAS' checkpoints keep room for fused blocks; the values there mean nothing.
UNUSED = re.compile(r"(^|\.)rbr_reparam\.(weight|bias)$")
_SHOWN = 8
_ALIKE = 0.9


def values(module: "nn.Module") -> "dict[str, Tensor]":
    """Parameters and running statistics by name; counters and what is never used are left out."""
    found = module.state_dict().items()
    return {k: v for k, v in found if v.is_floating_point() and not UNUSED.search(k)}


def shapes(tensors: "Mapping[str, Tensor]") -> dict[str, tuple[int, ...]]:
    """The shape of each."""
    return {name: tuple(value.shape) for name, value in tensors.items()}


@dataclass(frozen=True, eq=False)
class Own:
    """A file's tensors under the network's own names; `notes`: what was left aside."""

    tensors: "dict[str, Tensor]"
    notes: tuple[str, ...] = ()


def own_tensors(module: "nn.Module", tensors: "Mapping[str, Tensor]", path: Path) -> Own:
    """As the network itself reads them, where it knows the files of other programs.

    Raises:
        CheckpointError: it knows that they are of another network.
    """
    read = getattr(module, "own_tensors", None)
    if read is None:
        return Own(dict(tensors))
    found: Own = read(tensors, path)
    return found


def put_into(module: "nn.Module", tensors: "Mapping[str, Tensor]", path: Path) -> None:
    """Copy the values in float32 and set evaluation mode; `path` is for the message.

    Raises:
        CheckpointError: a tensor is missing, unknown or misshapen; the network is unchanged.
    """
    import torch

    own = values(module)
    wrong = differences(shapes(own), shapes(tensors))
    if wrong:
        raise CheckpointError(f"{path} does not fit the network: {wrong}. {hint(tensors)}")
    with torch.no_grad():
        for key, value in own.items():
            value.copy_(tensors[key].to(torch.float32))
    module.eval()


def differences(expected: Shapes, found: Shapes) -> str:
    """What is missing, unexpected, and one wrong shape; "" where all fits."""
    parts = []
    for title, names in (
        ("missing", sorted(expected.keys() - found.keys())),
        ("unexpected", sorted(found.keys() - expected.keys())),
    ):
        if names:
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            parts.append(f"{title} {', '.join(names[:_SHOWN])}{more}")
    for key in sorted(expected.keys() & found.keys()):
        if expected[key] != found[key]:
            parts.append(f"{key} has shape {found[key]}, expected {expected[key]}")
            break
    return "; ".join(parts)


def names(key: str) -> Iterator[str]:
    """The key, then without its first prefix, without its second, and so on; old names too."""
    while True:
        yield key
        yield _OLD_DENSE.sub(r"\1\2.", key)
        prefix = next((p for p in PREFIXES if key.startswith(p)), None)
        if prefix is None:
            return
        key = key[len(prefix) :]


def looks_like(found: Shapes) -> str | None:
    """The model of the zoo that shares most names and shapes, at least nine of ten."""
    best, share = None, _ALIKE
    for name in zoo.names():
        sign = zoo.telltale(name)
        if sign and not any(key.endswith(sign) for key in found):
            continue
        expected = _zoo_shapes(name)
        same = 0
        for key, shape in found.items():
            under = next((n for n in names(key) if n in expected), "")
            same += expected.get(under) == shape
        alike = same / max(len(expected), len(found))
        if alike > share:
            best, share = name, alike
    return best


@cache
def _zoo_shapes(name: str) -> Shapes:
    import torch

    with torch.device("meta"):
        return shapes(values(zoo.build(name)))


def hint(tensors: "Mapping[str, Tensor]") -> str:
    """Which model of the zoo it may be, as a sentence."""
    like = looks_like(shapes(tensors))
    return f"It looks like '{like}'." if like else "It is of another model."
