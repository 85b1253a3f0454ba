"""Tensors into a network, strictly: every name and shape, or a message that says what differs."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ..runtime.errors import CheckpointError
from . import zoo
from .tensor_files import Own

if TYPE_CHECKING:
    from torch import Tensor, nn

Shapes = Mapping[str, tuple[int, ...]]
# What wrappers (DataParallel, compile, Lightning, a class around the network) put in front; any
# other is found by what fits behind it (`unwrapped`).
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
_SHAPES_SHOWN = 2
_ALIKE = 0.9


def values(module: "nn.Module") -> "dict[str, Tensor]":
    """Parameters and running statistics by name; counters and what is never used are left out."""
    found = module.state_dict().items()
    return {k: v for k, v in found if v.is_floating_point() and not UNUSED.search(k)}


def shapes(tensors: "Mapping[str, Tensor]") -> dict[str, tuple[int, ...]]:
    """The shape of each."""
    return {name: tuple(value.shape) for name, value in tensors.items()}


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
        words = f"{path} does not fit the network: {wrong}. {hint(tensors)}"
        raise CheckpointError(words, vars(wrong))
    with torch.no_grad():
        for key, value in own.items():
            value.copy_(tensors[key].to(torch.float32))
    module.eval()


@dataclass(frozen=True)
class Differences:
    """What keeps tensors from fitting, all of it; false where nothing does.

    `misshapen`: names with the shape found and the one expected, in words. As text each list is
    cut after some names.
    """

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    misshapen: tuple[str, ...]

    def __bool__(self) -> bool:
        return any(vars(self).values())

    def __str__(self) -> str:
        parts = []
        for title, found in vars(self).items():
            shown = _SHAPES_SHOWN if title == "misshapen" else _SHOWN
            if found:
                more = f" and {len(found) - shown} more" if len(found) > shown else ""
                parts.append(f"{title} {', '.join(found[:shown])}{more}")
        return "; ".join(parts)


def differences(expected: Shapes, found: Shapes) -> Differences:
    """What is missing, unexpected or of another shape, sorted by name."""
    both = sorted(expected.keys() & found.keys())
    return Differences(
        missing=tuple(sorted(expected.keys() - found.keys())),
        unexpected=tuple(sorted(found.keys() - expected.keys())),
        misshapen=tuple(
            f"{key} has shape {found[key]}, expected {expected[key]}"
            for key in both
            if expected[key] != found[key]
        ),
    )


def names(key: str) -> Iterator[str]:
    """The key, then without its first prefix, without its second, and so on; old names too."""
    while True:
        yield key
        yield _OLD_DENSE.sub(r"\1\2.", key)
        prefix = next((p for p in PREFIXES if key.startswith(p)), None)
        if prefix is None:
            return
        key = key[len(prefix) :]


def unwrapped(
    tensors: "Mapping[str, Tensor]", expected: Collection[str], path: Path
) -> "tuple[dict[str, Tensor], str]":
    """Without the prefix behind which most names are the network's, whatever it is, and the prefix.

    A class around the network names it as it likes: cnn., feature_extractor., net.student. and so
    on. "" where names fit as they are, or behind none.

    Raises:
        CheckpointError: several prefixes have most names behind them.
    """
    direct = {name for key in tensors for name in names(key) if name in expected}
    behind: dict[str, set[str]] = {}
    for key in tensors:
        prefix, name = _behind(key, expected)
        if prefix and name not in direct and not any(n in expected for n in names(key)):
            behind.setdefault(prefix, set()).add(name)
    most = len(set(expected) - direct) / 2
    whole = sorted(p for p, found in behind.items() if len(found) > most)
    if not whole:
        return dict(tensors), ""
    if whole[1:]:
        raise CheckpointError(
            f"{path} holds {len(whole)} networks, behind {', '.join(map(repr, whole))}; expected "
            "one. Save the one that is meant alone."
        )
    return {key.removeprefix(whole[0]): value for key, value in tensors.items()}, whole[0]


def _behind(key: str, expected: Collection[str]) -> tuple[str, str]:
    """The shortest prefix behind which a key has a name of the network, and that name."""
    at = key.find(".") + 1
    while at:
        name = _OLD_DENSE.sub(r"\1\2.", key[at:])
        if name in expected:
            return key[:at], name
        at = key.find(".", at) + 1
    return "", ""


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
            under = next((n for n in names(key) if n in expected), _behind(key, expected)[1])
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
