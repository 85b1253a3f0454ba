"""Named tensors from files as they are found: torch's own, safetensors, ONNX initializers.

No file is trusted: torch files are read without their code, and one that wants to run some is
refused.
"""

import pickle
import pickletools
import re
import struct
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ..runtime.errors import CheckpointError

if TYPE_CHECKING:
    from torch import Tensor

# Where training scripts put the state_dict, what is wanted most first. Under any other name it is
# found where it is the only one.
WRAPPERS = (
    "state_dict",
    "model_state_dict",
    "model",
    "ema_net",
    "net",
    "network",
    "module",
    "weights",
    "state_dict_ema",
    "model_ema",
    "ema",
)
_DEEPEST = 3
_SHOWN = 6
# How other files begin that bear a checkpoint's name.
_OTHER = (
    (b"\x89HDF\r\n\x1a\n", "a Keras HDF5 file; give it to the model that is its Keras network"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file; fetch it with `git lfs pull`"),
    (b"<!DOCTYPE", "a web page; download the file itself"),
    (b"<html", "a web page; download the file itself"),
    (b"model_checkpoint_path", "TensorFlow's list of checkpoints, a form that is not read"),
)
_TENSORFLOW = re.compile(r"\.(index|meta|pb|ckpt)$|\.data-\d{5}-of-\d{5}$")
_TABLE_END = bytes.fromhex("57fb808b247547db")
# What the unpickler may stumble over in a damaged file.
_DAMAGE = (
    OSError,
    RuntimeError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
    MemoryError,
    OverflowError,
    struct.error,
)
# What every state_dict names: these build tensors.
_HARMLESS = re.compile(r"^(torch\._utils\._rebuild\w+|torch\.\w+|collections\.OrderedDict)$")


@dataclass(frozen=True, eq=False)
class Own:
    """A file's tensors under the network's own names; `notes`: what was left aside."""

    tensors: "dict[str, Tensor]"
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class TensorFile:
    """`tensors` under the file's own names, floats as float32; `notes`: what was left aside."""

    tensors: "dict[str, Tensor]"
    notes: tuple[str, ...] = ()


def read_tensors(path: Path) -> TensorFile:
    """The tensors of a checkpoint; the ending tells safetensors and ONNX, all else is torch's.

    Raises:
        CheckpointError: the file is damaged, of another kind, holds no named tensors, or wants
            to run code.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(64)
            stream.seek(-min(8, path.stat().st_size), 2)
            tail = stream.read()
    except OSError as err:
        raise CheckpointError(f"cannot read {path}: {err}. Expected a checkpoint file.") from err
    for start, kind in _OTHER:
        if head.lower().startswith(start.lower()):
            raise CheckpointError(f"{path} is {kind}. Expected .pth, .pt, .safetensors or .onnx.")
    if tail == _TABLE_END or (_TENSORFLOW.search(path.name) and not _is_torch(head)):
        raise CheckpointError(
            f"{path} is a TensorFlow checkpoint, which is not read. Save the network from its "
            "own program as .keras, .onnx or a torch state_dict."
        )
    if path.suffix == ".safetensors":
        return _floats(path, read_safetensors(path))
    if path.suffix == ".onnx":
        return _floats(path, _read_onnx(path))
    tensors, notes = _unwrap(_read_torch(path), path)
    return _floats(path, tensors, notes)


def read_safetensors(path: Path) -> "dict[str, Tensor]":
    """All tensors as they are stored.

    Raises:
        CheckpointError: the file is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError) as err:
        raise CheckpointError(
            f"cannot read {path}: {err}. Expected a safetensors file; restore it or train again."
        ) from err
    return tensors


def _is_torch(head: bytes) -> bool:
    return head.startswith((b"PK\x03\x04", b"\x80"))


def _floats(path: Path, tensors: "Mapping[str, Tensor]", notes: tuple[str, ...] = ()) -> TensorFile:
    import torch

    found = {}
    for name, value in tensors.items():
        if value.is_quantized or value.layout != torch.strided:
            raise CheckpointError(
                f"{path}: {name} is quantized or sparse; bring the checkpoint in plain floats."
            )
        if value.is_floating_point():
            value = value.to(torch.float32)
            if not bool(torch.isfinite(value).all()):
                raise CheckpointError(
                    f"{path}: {name} holds values that are not finite numbers; the training "
                    "diverged or the file is damaged. Bring an earlier checkpoint."
                )
        found[name] = value
    return TensorFile(found, notes)


def _read_torch(path: Path) -> Any:
    import torch

    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(_plain_values()):
            # Of old pickle protocols and TorchScript: what cannot be read is refused below.
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as err:
        raise CheckpointError(_refusal(path)) from err
    except _DAMAGE as err:
        if "TorchScript" in str(err):
            raise CheckpointError(
                f"{path} is a TorchScript program: code with weights, and code is not run. "
                "Save its weights: torch.save(torch.jit.load(FILE).state_dict(), NEW)."
            ) from err
        said = str(err).split("\n", 1)[0][:160] or type(err).__name__
        raise CheckpointError(
            f"cannot read {path}: {said}. Expected a torch checkpoint; it is cut short or "
            "damaged, fetch it again."
        ) from err


def _plain_values() -> list[Any]:
    """What training scripts store beside the weights and what does nothing when it is read."""
    from argparse import Namespace

    import numpy as np
    from numpy._core.multiarray import scalar  # type: ignore[attr-defined]

    numbers = (np.float32, np.float64, np.int32, np.int64, np.bool_)
    return [
        Namespace,
        np.dtype,
        (scalar, "numpy.core.multiarray.scalar"),
        (scalar, "numpy._core.multiarray.scalar"),
        *(type(np.dtype(number)) for number in numbers),
    ]


def _refusal(path: Path) -> str:
    asked = _asked(path)
    if not asked:
        return (
            f"cannot read {path}: it is no torch checkpoint or damaged. Expected a state_dict "
            "saved with torch.save; fetch it again."
        )
    more = f" and {len(asked) - _SHOWN} more" if len(asked) > _SHOWN else ""
    return (
        f"{path} wants to run code when it is read ({', '.join(asked[:_SHOWN])}{more}); it was "
        "refused and nothing of it ran. Expected weights alone. If you trust who made it, save "
        "them there: torch.save(network.state_dict(), FILE)."
    )


def _asked(path: Path) -> list[str]:
    """The functions and classes that the pickle names, as far as they can be told; runs none."""
    import torch

    try:
        if zipfile.is_zipfile(path):
            return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    except (pickle.UnpicklingError, *_DAMAGE):
        return []
    found: set[str] = set()
    with path.open("rb") as stream:
        while _one_pickle(stream, found):
            pass
    return sorted(name for name in found if not _HARMLESS.match(name))


def _one_pickle(stream: BinaryIO, found: set[str]) -> bool:
    """Add the names of the next pickle in the stream; False where there is none."""
    last: list[str] = []
    try:
        for op, arg, _ in pickletools.genops(stream):
            if op.name == "GLOBAL":
                found.add(str(arg).replace(" ", "."))
            elif op.name == "STACK_GLOBAL":
                found.add(".".join(last[-2:]))
            elif "UNICODE" in op.name:
                last.append(str(arg))
    except _DAMAGE:
        return False
    return True


def _unwrap(content: Any, path: Path) -> "tuple[dict[str, Tensor], tuple[str, ...]]":
    """Down to the mapping from names to tensors."""
    import torch

    notes: list[str] = []
    for _ in range(_DEEPEST):
        if not isinstance(content, Mapping):
            break
        held = [key for key in WRAPPERS if _holds_network(content.get(key))]
        if held[1:]:
            notes.append(f"'{held[0]}' was taken, {', '.join(map(repr, held[1:]))} left aside")
        if not held and not _is_network(content):
            held = _only_network(content, path)
        if not held:
            break
        content = content[held[0]]
    keys = list(content) if isinstance(content, Mapping) else []
    tensors = {k: content[k] for k in keys if isinstance(content[k], torch.Tensor)}
    if not tensors or not all(isinstance(k, str) for k in tensors):
        shown = ", ".join(repr(k)[:40] for k in keys[:_SHOWN]) or type(content).__name__
        raise CheckpointError(
            f"{path} holds no named tensors; found {shown}. Expected a state_dict, bare or under "
            f"a name of its own, as {', '.join(WRAPPERS)}."
        )
    return tensors, tuple(notes)


def _only_network(content: Mapping[Any, Any], path: Path) -> list[str]:
    """The one name under which a network lies, whatever it is; [] where none does.

    Raises:
        CheckpointError: there are several, and nothing says which is meant.
    """
    held = [k for k, v in content.items() if isinstance(k, str) and _holds_network(v)]
    # Its tensors have the shapes of the weights, and are none.
    held = [key for key in held if "optim" not in key.lower()]
    if held[1:]:
        raise CheckpointError(
            f"{path} holds {len(held)} networks, under {', '.join(map(repr, held))}; expected one. "
            "Save the one that is meant alone."
        )
    return held


def _holds_network(value: Any, depth: int = _DEEPEST) -> bool:
    if not isinstance(value, Mapping) or not depth:
        return False
    inner = (v for k, v in value.items() if isinstance(k, str))
    return _is_network(value) or any(_holds_network(v, depth - 1) for v in inner)


def _is_network(value: Mapping[Any, Any]) -> bool:
    """Whether a matrix or a kernel is among the named tensors: not statistics or weights of classes
    alone."""
    import torch

    return any(
        isinstance(k, str) and isinstance(v, torch.Tensor) and v.ndim > 1 for k, v in value.items()
    )


def _read_onnx(path: Path) -> "dict[str, Tensor]":
    """Initializers by name; those that several names share stand behind Identity nodes."""
    import torch

    try:
        import onnx
        from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    except ImportError as err:
        raise CheckpointError(
            f"{path}: the package onnx is not installed; pip install 'clinicedge[convert]'."
        ) from err
    try:
        graph = onnx.load(str(path)).graph
        found = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    except (OSError, DecodeError, ValueError, TypeError, onnx.checker.ValidationError) as err:
        raise CheckpointError(
            f"cannot read {path}: {err}. Expected an ONNX file with its data beside it."
        ) from err
    if any("Quantize" in node.op_type or "QLinear" in node.op_type for node in graph.node):
        raise CheckpointError(
            f"{path} is quantized; its weights are not those of training. Bring the float file."
        )
    for node in graph.node:
        if node.op_type == "Identity" and node.input[0] in found:
            found[node.output[0]] = found[node.input[0]]
    if not found:
        raise CheckpointError(f"{path} has no initializers; expected the network's weights.")
    return {name: torch.from_numpy(value.copy()) for name, value in found.items()}
