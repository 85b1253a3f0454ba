"""PyPI's `sam2` as the reference for SAM 2's 2D path, and random values for its weights.

`python tests/support/pypi_sam2.py` writes what it answers into tests/data. It needs
`pip install --no-deps --no-build-isolation sam2==1.1.0 hydra-core iopath omegaconf portalocker
antlr4-python3-runtime==4.9.*` with SAM2_BUILD_CUDA=0; the tests do not.
"""

import importlib
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from clinicedge.models.medsam2.sizes import TINY, Sam2Size

GOLDEN = Path(__file__).parents[1] / "data" / "sam2_tiny_golden.npz"
# x0 y0 x1 y1 as shares of the side.
BOXES = ((0.2, 0.25, 0.7, 0.8), (0.05, 0.5, 0.45, 0.95))


def random_values(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """Values that leave every part something to say, the same on every machine."""
    return {name: torch.from_numpy(_value(name, shape)) for name, shape in shapes.items()}


def _value(name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    draw = np.random.default_rng(zlib.crc32(name.encode()))
    normal = draw.standard_normal(shape, dtype=np.float32)
    if "gaussian_matrix" in name:
        return normal
    if name.endswith("bias"):
        return np.float32(0.1) * normal
    if len(shape) == 1 and name.endswith("weight"):
        return draw.uniform(0.7, 1.3, shape).astype(np.float32)
    if len(shape) < 2 or "embed" in name.replace("patch_embed", "") or "token" in name:
        return np.float32(0.5) * normal
    fan_in = int(np.prod(shape[1:]))
    return np.asarray(normal / np.float32(np.sqrt(fan_in)), np.float32)


def film(side: int) -> torch.Tensor:
    """(1, 3, side, side), scaled as films are."""
    draw = np.random.default_rng(7)
    return torch.from_numpy(draw.standard_normal((1, 3, side, side), dtype=np.float32))


def boxes(side: int) -> torch.Tensor:
    """(2, 4) in pixels."""
    return torch.tensor(BOXES) * side


def build(size: Sam2Size) -> Any:
    """PyPI's network of a size; its decoder's inner widths are fixed at 2048 and 256."""
    names = {
        "sam2.modeling.sam2_base": ("SAM2Base",),
        "sam2.modeling.backbones.image_encoder": ("ImageEncoder", "FpnNeck"),
        "sam2.modeling.backbones.hieradet": ("Hiera",),
        "sam2.modeling.position_encoding": ("PositionEmbeddingSine",),
    }
    parts = {n: getattr(importlib.import_module(m), n) for m, found in names.items() for n in found}
    trunk = parts["Hiera"](
        embed_dim=size.widths[0],
        num_heads=size.heads[0],
        stages=size.blocks,
        global_att_blocks=size.global_blocks,
        window_pos_embed_bkg_spatial_size=(size.background, size.background),
        window_spec=size.windows,
    )
    neck = parts["FpnNeck"](
        position_encoding=parts["PositionEmbeddingSine"](num_pos_feats=size.hidden),
        d_model=size.hidden,
        backbone_channel_list=list(reversed(size.widths)),
        fpn_top_down_levels=[2, 3],
        fpn_interp_model="nearest",
    )
    network = parts["SAM2Base"](
        image_encoder=parts["ImageEncoder"](trunk=trunk, neck=neck, scalp=1),
        memory_attention=torch.nn.Identity(),
        memory_encoder=torch.nn.Identity(),
        image_size=size.side,
        use_high_res_features_in_sam=True,
        iou_prediction_use_sigmoid=True,
        pred_obj_scores=True,
        pred_obj_scores_mlp=True,
        directly_add_no_mem_embed=True,
    )
    network.eval()
    return network


def values_of(network: Any) -> dict[str, torch.Tensor]:
    """Random values of its weights, by their names; they are put into it."""
    shapes = {k: tuple(v.shape) for k, v in network.state_dict().items()}
    values = random_values(shapes)
    network.load_state_dict(values)
    return values


def answer(network: Any, image: torch.Tensor, prompts: torch.Tensor) -> dict[str, torch.Tensor]:
    """Embeddings of a film; masks (B, 1, h, w) and their IoU (B, 1), a box at a time."""
    with torch.inference_mode():
        features = network.forward_image(image)
        _, vision, _, sides = network._prepare_backbone_features(features)
        vision[-1] = vision[-1] + network.no_mem_embed
        maps = [
            v.permute(1, 2, 0).reshape(1, -1, *side) for v, side in zip(vision, sides, strict=True)
        ]
        masks, quality = [], []
        for box in prompts:
            points = (box.reshape(1, 2, 2), torch.tensor([[2, 3]], dtype=torch.int32))
            sparse, dense = network.sam_prompt_encoder(points=points, boxes=None, masks=None)
            found, iou, _, _ = network.sam_mask_decoder(
                image_embeddings=maps[-1],
                image_pe=network.sam_prompt_encoder.get_dense_pe(),
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense,
                multimask_output=False,
                repeat_image=False,
                high_res_features=maps[:-1],
            )
            masks.append(found)
            quality.append(iou)
    return {
        "high_res_0": maps[0],
        "high_res_1": maps[1],
        "image_embedding": maps[2],
        "mask": torch.cat(masks),
        "quality": torch.cat(quality),
    }


def main() -> None:
    """Write the golden arrays."""
    network = build(TINY)
    values_of(network)
    found = answer(network, film(TINY.side), boxes(TINY.side))
    arrays: dict[str, Any] = {k: v.numpy() for k, v in found.items()}
    np.savez_compressed(GOLDEN, **arrays)
    print(GOLDEN, {k: (tuple(v.shape), float(v.abs().max())) for k, v in found.items()})


if __name__ == "__main__":
    main()
