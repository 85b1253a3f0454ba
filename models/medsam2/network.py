"""MedSAM2's 2D path: a film is encoded once, each box is decoded into a mask.

Built from transformers' `Sam2Model`; its blocks are called one by one, so that an export sees no
more than it needs. Weights bear the original's names, see `keys.py`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..tensor_files import Own
from .keys import to_original, to_transformers, two_dimensional
from .library import modules, sam2
from .sizes import Sam2Size

# A pickled network names transformers' classes: they must be there, imported in our way, before.
modules()
# Four masks are made, one for a box: the others are for a single point, whose meaning is open.
_SINGLE = 0
_INNER = "sam."


class MedSam2(nn.Module):
    """Film and box in, logits of the mask and its predicted IoU out."""

    sam: Any
    widen: Tensor
    grid: Tensor

    def __init__(self, size: Sam2Size) -> None:
        super().__init__()
        self.size = size
        self.sam = sam2(size)
        # One matrix, which transformers keeps twice.
        self.sam.shared_image_embedding = self.sam.prompt_encoder.shared_embedding
        widen = _cubic(size.background, size.map_side(0))
        self.register_buffer("widen", widen, persistent=False)
        grid = _grid(size.map_side(2))
        self.register_buffer("grid", grid, persistent=False)
        # torch's stubs have no types for these two.
        self.register_state_dict_post_hook(_under_original_names)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(_from_original_names)  # type: ignore[no-untyped-call]

    @property
    def embedding_shapes(self) -> dict[str, tuple[int, ...]]:
        """(C, h, w) of what `encode` gives, in order, by the names of the exported graphs."""
        fine, middle = self.size.fine
        return {"image_embedding": self.size.embedding, "high_res_0": fine, "high_res_1": middle}

    @property
    def first_part(self) -> nn.Module:
        """The image encoder: what a training may leave as it is at first."""
        encoder: nn.Module = self.sam.vision_encoder
        return encoder

    def forward(self, film: Tensor, box: Tensor) -> tuple[Tensor, Tensor]:
        """One box a film.

        Args:
            film: float32 (N, 3, S, S), scaled as the spec says.
            box: float32 (N, 4), x0 y0 x1 y1 in the film's pixels.

        Returns:
            Logits (N, 1, S/4, S/4) of the mask, and the IoU (N, 1) in 0..1 that is predicted of it.
        """
        return self.decode(*self.encode(film), box)

    def encode(self, film: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Image embedding (N, C, S/16, S/16) and the finer maps (N, C/8, S/4, S/4) and
        (N, C/4, S/8, S/8)."""
        fine, middle, coarse = self._pyramid(film)
        decoder = self.sam.mask_decoder
        embedding = coarse + self.sam.no_memory_embedding.reshape(1, -1, 1, 1)
        return embedding, decoder.conv_s0(fine), decoder.conv_s1(middle)

    def decode(
        self, embedding: Tensor, fine: Tensor, middle: Tensor, box: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Of what `encode` gave and one box (N, 4) each; see `forward`."""
        decoder, prompts = self.sam.mask_decoder, self.sam.prompt_encoder
        n = embedding.shape[0]
        own = torch.cat(
            [decoder.obj_score_token.weight, decoder.iou_token.weight, decoder.mask_tokens.weight]
        )
        tokens = torch.cat([own.expand(n, -1, -1), self._corners(box)], dim=1).unsqueeze(1)
        found, places = decoder.transformer(
            point_embeddings=tokens,
            image_embeddings=embedding + prompts.no_mask_embed.weight.reshape(1, -1, 1, 1),
            image_positional_embeddings=self._places(),
            attention_similarity=None,
        )
        maps = places.squeeze(1).transpose(1, 2).reshape(embedding.shape)
        maps = decoder.upscale_conv1(maps) + middle
        maps = functional.gelu(decoder.upscale_layer_norm(maps))
        maps = functional.gelu(decoder.upscale_conv2(maps) + fine)
        weights = decoder.output_hypernetworks_mlps[_SINGLE](found[:, 0, 2 + _SINGLE])
        flat = weights.unsqueeze(1) @ maps.flatten(2)
        mask = flat.reshape(n, *self.size.mask)
        quality = decoder.iou_prediction_head(found[:, 0, 1])
        return mask, quality[:, _SINGLE : _SINGLE + 1]

    def own_tensors(self, tensors: Mapping[str, Tensor], path: Path) -> Own:
        """Of a checkpoint as it is found; see `keys.two_dimensional`.

        Raises:
            CheckpointError: it is of another SAM generation, or another size of this one.
        """
        found, left = two_dimensional(tensors, self.size, path)
        note = f"{left} weights of memory were left aside: films are outlined one by one"
        return Own(found, (note,) if left else ())

    def _pyramid(self, film: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The neck's maps (N, C, h, w) at 1/4, 1/8 and 1/16 of the film's side."""
        trunk, neck = self.sam.vision_encoder.backbone, self.sam.vision_encoder.neck
        hidden = trunk.patch_embed(film) + self._position()
        stages = []
        for number, block in enumerate(trunk.blocks):
            hidden = block(hidden)
            if number in trunk.stage_ends:
                stages.append(hidden.permute(0, 3, 1, 2))
        # The neck counts from the coarsest; only 1/16 is given what lies above it.
        lateral = [conv(stage) for conv, stage in zip(neck.convs, reversed(stages), strict=True)]
        above = functional.interpolate(lateral[0], scale_factor=2.0, mode="nearest")
        return lateral[3], lateral[2], lateral[1] + above

    def _position(self) -> Tensor:
        """(1, h, w, C): a small map widened by cubic interpolation, and a tile repeated."""
        trunk = self.sam.vision_encoder.backbone
        side, tile = self.size.map_side(0), self.size.windows[0]
        wide = self.widen @ trunk.pos_embed @ self.widen.T
        position = wide + trunk.pos_embed_window.tile(1, 1, side // tile, side // tile)
        turned: Tensor = position.permute(0, 2, 3, 1)
        return turned

    def _corners(self, box: Tensor) -> Tensor:
        """(N, 3, C): both corners and a point that is none."""
        prompts = self.sam.prompt_encoder
        points = (box.reshape(-1, 2, 2) + 0.5) / self.size.side
        corners = self._fourier(points) + prompts.point_embed.weight[2:4]
        none = prompts.not_a_point_embed.weight.expand(box.shape[0], 1, -1)
        return torch.cat([corners, none], dim=1)

    def _places(self) -> Tensor:
        """(1, C, h, w): where each place of the image embedding is."""
        return self._fourier(self.grid).permute(2, 0, 1).unsqueeze(0)

    def _fourier(self, points: Tensor) -> Tensor:
        """Random Fourier features of points in 0..1 (Tancik et al. 2020, arXiv:2006.10739)."""
        matrix = self.sam.prompt_encoder.shared_embedding.positional_embedding
        # Not as a matrix product: mixed precision would round the places to 8 bits.
        angles = 2 * torch.pi * ((2 * points - 1).unsqueeze(-1) * matrix).sum(-2)
        return torch.cat([torch.sin(angles), torch.cos(angles)], dim=-1)


class Encoder(nn.Module):
    """The graph `encoder`: film -> image embedding and two finer maps."""

    def __init__(self, network: MedSam2) -> None:
        super().__init__()
        self.network = network

    def forward(self, film: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See `MedSam2.encode`."""
        return self.network.encode(film)


class Decoder(nn.Module):
    """The graph `decoder`: what the encoder gave, and a box -> mask and quality."""

    def __init__(self, network: MedSam2) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, image_embedding: Tensor, high_res_0: Tensor, high_res_1: Tensor, box: Tensor
    ) -> tuple[Tensor, Tensor]:
        """See `MedSam2.decode`."""
        return self.network.decode(image_embedding, high_res_0, high_res_1, box)


def _cubic(inputs: int, outputs: int) -> Tensor:
    """(outputs, inputs): cubic interpolation along one axis as torch does it, as a matrix."""
    basis = torch.eye(inputs).reshape(1, inputs, inputs, 1)
    wide = functional.interpolate(basis, size=(outputs, 1), mode="bicubic", align_corners=False)
    return wide[0, :, :, 0].T.contiguous()


def _grid(side: int) -> Tensor:
    """(h, w, 2): x and y of each place's centre in 0..1."""
    centres = (torch.arange(side) + 0.5) / side
    y, x = torch.meshgrid(centres, centres, indexing="ij")
    return torch.stack([x, y], dim=-1)


def _under_original_names(
    module: nn.Module, values: dict[str, Any], prefix: str, metadata: Mapping[str, Any]
) -> None:
    """Of the state_dict: `sam.` and transformers' names go."""
    own = f"{prefix}{_INNER}"
    inner = {k.removeprefix(own): values.pop(k) for k in list(values) if k.startswith(own)}
    values.update({f"{prefix}{name}": value for name, value in to_original(inner).items()})


def _from_original_names(
    module: nn.Module, values: dict[str, Any], prefix: str, *_: object
) -> None:
    """The way back, before values are loaded."""
    own = f"{prefix}{_INNER}"
    plain = {k.removeprefix(prefix): values.pop(k) for k in list(values) if k.startswith(prefix)}
    found = to_transformers(plain, module.get_submodule("sam").state_dict())
    values.update({f"{own}{key}": value for key, value in found.items()})
