"""SAM 2's own names of weights against transformers', and whose checkpoint a file is.

The names of a network here are those of the original (`sam2`, MedSAM2, Medical-SAM2), so that
weights do not depend on the names that a release of transformers uses.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ...runtime.errors import CheckpointError
from .sizes import Sam2Size

if TYPE_CHECKING:
    from torch import Tensor

# Video and volumes alone: memory of earlier frames and of the object, in both layouts.
_MEMORY = re.compile(
    r"^(memory_\w+|mask_downsample|obj_ptr_proj|obj_ptr_tpos_proj|object_pointer_proj"
    r"|temporal_positional_encoding_projection_layer)(\.|$)"
    r"|^(maskmem_tpos_enc|no_mem_pos_enc|no_obj_embed_spatial|no_obj_ptr"
    r"|no_memory_positional_encoding|no_object_pointer|occlusion_spatial_embedding_parameter)$"
)
_ONLY_2_1 = re.compile(
    r"^(no_obj_embed_spatial|occlusion_spatial_embedding_parameter)$"
    r"|^(obj_ptr_tpos_proj|temporal_positional_encoding_projection_layer)\."
)
# transformers -> original, in this order.
_RULES = tuple(
    (re.compile(pattern), new)
    for pattern, new in (
        (r"^vision_encoder\.backbone\.", "image_encoder.trunk."),
        (r"^vision_encoder\.neck\.convs\.(\d+)\.", r"image_encoder.neck.convs.\1.conv."),
        (r"^prompt_encoder\.shared_embedding\.positional_embedding$", "@fourier"),
        (r"^prompt_encoder\.mask_embed\.conv1\.", "sam_prompt_encoder.mask_downscaling.0."),
        (r"^prompt_encoder\.mask_embed\.layer_norm1\.", "sam_prompt_encoder.mask_downscaling.1."),
        (r"^prompt_encoder\.mask_embed\.conv2\.", "sam_prompt_encoder.mask_downscaling.3."),
        (r"^prompt_encoder\.mask_embed\.layer_norm2\.", "sam_prompt_encoder.mask_downscaling.4."),
        (r"^prompt_encoder\.mask_embed\.conv3\.", "sam_prompt_encoder.mask_downscaling.6."),
        (r"^prompt_encoder\.", "sam_prompt_encoder."),
        (r"^mask_decoder\.upscale_conv1\.", "sam_mask_decoder.output_upscaling.0."),
        (r"^mask_decoder\.upscale_layer_norm\.", "sam_mask_decoder.output_upscaling.1."),
        (r"^mask_decoder\.upscale_conv2\.", "sam_mask_decoder.output_upscaling.3."),
        (r"^mask_decoder\.", "sam_mask_decoder."),
        (r"^no_memory_embedding$", "no_mem_embed"),
        (r"\.patch_embed\.projection\.", ".patch_embed.proj."),
        (r"(_head|_mlps\.\d+)\.proj_out\.", r"\1.layers.2."),
        (r"(_head|_mlps\.\d+)\.layers\.0\.", r"\1.layers.1."),
        (r"(_head|_mlps\.\d+)\.proj_in\.", r"\1.layers.0."),
        (r"\.mlp\.proj_in\.", ".mlp.layers.0."),
        (r"\.mlp\.proj_out\.", ".mlp.layers.1."),
        (r"\.layer_norm(\d|_final_attn)", r".norm\1"),
        (r"\.o_proj\.", ".out_proj."),
    )
)
_FOURIER = "sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"
# One tensor of four rows in transformers, four tensors of one row in the original.
_POINTS = "sam_prompt_encoder.point_embed.weight"
_POINT = "sam_prompt_encoder.point_embeddings.{}.weight"
_KINDS = 4
# The same matrix a second time.
_TWICE = "shared_image_embedding.positional_embedding"
_TRANSFORMERS = "vision_encoder."
_TRUNK = "image_encoder.trunk."
_STEM = f"{_TRUNK}patch_embed.proj.weight"
_BLOCK = re.compile(r"^image_encoder\.trunk\.blocks\.(\d+)\.")
# Width of the first stage and number of blocks.
_TRUNKS = {
    (96, 12): "hiera tiny",
    (96, 16): "hiera small",
    (112, 24): "hiera base+",
    (144, 48): "hiera large",
}


def original_name(key: str) -> str:
    """The original's name of a weight of transformers' `Sam2Model`."""
    for pattern, new in _RULES:
        key = pattern.sub(new, key)
    return _FOURIER if key == "@fourier" else key


def to_original(tensors: "Mapping[str, Tensor]") -> "dict[str, Tensor]":
    """Values of transformers' `Sam2Model` under the original's names; no value is copied."""
    found: dict[str, Tensor] = {}
    for key, value in tensors.items():
        if key == _TWICE:
            continue
        name = original_name(key)
        if name == _POINTS:
            found.update({_POINT.format(i): value[i : i + 1] for i in range(len(value))})
        else:
            found[name] = value
    return found


def to_transformers(tensors: "Mapping[str, Tensor]", wanted: Iterable[str]) -> "dict[str, Tensor]":
    """The way back, for the names that transformers wants; those that are missing stay away."""
    import torch

    found: dict[str, Tensor] = {}
    for key in wanted:
        name = _FOURIER if key == _TWICE else original_name(key)
        points = [_POINT.format(i) for i in range(_KINDS)]
        if name == _POINTS and all(p in tensors for p in points):
            found[key] = torch.cat([tensors[p] for p in points])
        elif name in tensors:
            found[key] = tensors[name]
    return found


def two_dimensional(
    tensors: "Mapping[str, Tensor]", size: Sam2Size, path: Path
) -> "tuple[dict[str, Tensor], int]":
    """What the 2D path needs of a checkpoint, under the original's names; how many it leaves.

    Both layouts are read, the original's and transformers'. Weights of memory are left aside.

    Raises:
        CheckpointError: it is of another SAM generation, or another size of this one.
    """
    plain = _unwrapped(tensors)
    _refuse_strangers(plain, size, path)
    if any(key.startswith(_TRANSFORMERS) for key in plain):
        plain = to_original(plain)
    _refuse_generation(plain, size, path)
    _refuse_size(plain, size, path)
    kept = {key: value for key, value in plain.items() if not _MEMORY.search(key)}
    return kept, len(plain) - len(kept)


def generation(names: Iterable[str]) -> str | None:
    """ "2.0" or "2.1"; None where only the 2D path is there, which both share."""
    held = set(names)
    if any(_ONLY_2_1.search(name) for name in held):
        return "2.1"
    return "2.0" if any(_MEMORY.search(name) for name in held) else None


def _unwrapped(tensors: "Mapping[str, Tensor]") -> "dict[str, Tensor]":
    """Without what wrappers put in front of every name."""
    found = dict(tensors)
    for prefix in ("module.", "_orig_mod.", "model.", "sam2."):
        if found and all(key.startswith(prefix) for key in found):
            found = {key.removeprefix(prefix): value for key, value in found.items()}
    return found


def _refuse_strangers(names: Iterable[str], size: Sam2Size, path: Path) -> None:
    """Networks that are called SAM and are none of generation 2."""
    held = set(names)

    def any_of(start: str) -> bool:
        return any(name.startswith(start) for name in held)

    kind = None
    if any_of("image_encoder.blocks.") or any_of("vision_encoder.layers."):
        kind = "SAM 1 (also the first MedSAM)"
    elif any_of("image_encoder.layers."):
        kind = "MobileSAM"
    elif any_of("detector.") or any_of("tracker."):
        kind = "SAM 3"
    if kind is not None:
        raise CheckpointError(
            f"{path} is a checkpoint of {kind}; expected SAM {size.generation} with {size.trunk}. "
            "Bring one of this generation, e.g. MedSAM2_latest.pt."
        )


def _refuse_generation(names: Iterable[str], size: Sam2Size, path: Path) -> None:
    found = generation(names)
    if found is None or found == size.generation:
        return
    fitting = {
        "2.0": "medical-sam2-tiny-1024 or medical-sam2-small-1024",
        "2.1": "medsam2-512",
    }
    raise CheckpointError(
        f"{path} is a checkpoint of SAM {found}; expected SAM {size.generation}, which was trained "
        f"at another size and on films scaled otherwise. Load it as {fitting[found]}."
    )


def _refuse_size(tensors: "Mapping[str, Tensor]", size: Sam2Size, path: Path) -> None:
    stem = tensors.get(_STEM)
    if stem is None:
        return
    numbers = (int(m[1]) for m in map(_BLOCK.match, tensors) if m)
    found = (int(stem.shape[0]), max(numbers, default=-1) + 1)
    wanted = (size.widths[0], sum(size.blocks))
    if found == wanted:
        return
    name = _TRUNKS.get(found, "another trunk")
    raise CheckpointError(
        f"{path} has the image encoder {name} ({found[1]} blocks, {found[0]} channels first); "
        f"expected {size.trunk} ({wanted[1]} blocks, {wanted[0]} channels). Bring a checkpoint of "
        "that size."
    )
