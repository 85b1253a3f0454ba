"""Reference weights: fp16 safetensors files, found in folders and loaded strictly."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..runtime.errors import CheckpointError, WeightsMissingError
from ..runtime.spec import ModelSpec

if TYPE_CHECKING:
    from torch import nn

# Beside the code in a clone; a wheel has no weights.
CLONE_FOLDER = Path(__file__).resolve().parents[1] / "weights"
_SHOWN = 8


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
    raise WeightsMissingError(
        f"no weights for '{spec.name}': {spec.weights.file} is not in {looked}. "
        f"Name its folder with --weights, or train it: clinicedge train {spec.name} --data DIR."
    )


def load_into(module: "nn.Module", path: Path) -> None:
    """Put a safetensors file's values into a network, in float32, and set evaluation mode.

    Raises:
        CheckpointError: the file is damaged, or a tensor is missing, unknown or misshapen.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as err:
        raise CheckpointError(
            f"cannot read {path}: {err}. Expected a safetensors file; restore or train it again."
        ) from err
    own = {k: v for k, v in module.state_dict().items() if v.is_floating_point()}
    wrong = _differences(
        {k: tuple(v.shape) for k, v in own.items()},
        {k: tuple(v.shape) for k, v in tensors.items()},
    )
    if wrong:
        raise CheckpointError(
            f"{path} does not fit the network: {'; '.join(wrong)}. It is of another model."
        )
    with torch.no_grad():
        for key, value in own.items():
            value.copy_(tensors[key].to(torch.float32))
    module.eval()


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
    for key, value in module.state_dict().items():
        if not value.is_floating_point():
            continue
        half = value.detach().cpu().to(torch.float16).contiguous()
        if not bool(torch.isfinite(half).all()):
            raise CheckpointError(
                f"{key} holds values beyond fp16's range; train with more weight decay."
            )
        tensors[key] = half
    write_atomic(path, to_bytes(tensors, {"title": title}))


def _differences(
    expected: dict[str, tuple[int, ...]], found: dict[str, tuple[int, ...]]
) -> list[str]:
    lines = []
    for title, names in (
        ("missing", sorted(expected.keys() - found.keys())),
        ("unexpected", sorted(found.keys() - expected.keys())),
    ):
        if names:
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            lines.append(f"{title} {', '.join(names[:_SHOWN])}{more}")
    for key in sorted(expected.keys() & found.keys()):
        if expected[key] != found[key]:
            lines.append(f"{key} has shape {found[key]}, expected {expected[key]}")
            break
    return lines
