"""MobileSAM (Zhang et al. 2023, arXiv:2306.14289): SAM's decoder behind a TinyViT of 5 M weights.

Built by `mobilesam-mirror`, the published code as a package (Apache-2.0; `mobile-sam` is no package
of that name), exported as that code does it: the encoder, and `SamOnnxModel`, which enlarges the
mask to the film itself.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from _peers_common import (
    Mask,
    Peer,
    PeerError,
    Pixels,
    Wish,
    library,
    load_values,
    open_onnx,
    seeded,
    write_onnx,
)
from PIL import Image

from clinicedge.runtime.boxes import Boxes

SIDE = 1024
MEAN = np.array([123.675, 116.28, 103.53], np.float32)
DEVIATION = np.array([58.395, 57.12, 57.375], np.float32)
# How SAM's prompt encoder calls a box's first and second corner.
CORNERS = np.array([[2.0, 3.0]], np.float32)
EMBEDDING, LOW = (1, 256, SIDE // 16, SIDE // 16), (1, 1, SIDE // 4, SIDE // 4)


def export(wish: Wish) -> None:
    """encoder.onnx and decoder.onnx."""
    import torch

    network = seeded(library("mobile_sam").build_sam_vit_t)
    load_values(network, wish.weights)
    film = {"film": torch.rand(1, 3, SIDE, SIDE)}
    write_onnx(network.image_encoder, film, wish.folder / "encoder.onnx", ["embedding"])
    decoder = library("mobile_sam.utils.onnx").SamOnnxModel(network, return_single_mask=True)
    asked = {
        name: torch.from_numpy(value)
        for name, value in prompt_of(np.array([99.0, 80.0, 700.0, 500.0])).items()
    }
    inputs = {
        "image_embeddings": torch.rand(EMBEDDING),
        **asked,
        "orig_im_size": torch.tensor([480.0, 640.0]),
    }
    outputs = ["masks", "iou_predictions", "low_res_masks"]
    write_onnx(decoder, inputs, wish.folder / "decoder.onnx", outputs)


def prompt_of(box: Any) -> Mapping[str, Any]:
    """The decoder's inputs for a box in pixels of the network's input."""
    return {
        "point_coords": np.asarray(box, np.float32).reshape(1, 2, 2),
        "point_labels": CORNERS,
        "mask_input": np.zeros(LOW, np.float32),
        "has_mask_input": np.zeros(1, np.float32),
    }


class MobileSam:
    """Both graphs; the film is encoded once for all its boxes."""

    def __init__(self, folder: Path, threads: int) -> None:
        self._encoder = open_onnx(folder / "encoder.onnx", threads)
        self._decoder = open_onnx(folder / "decoder.onnx", threads)

    def predict(self, pixels: Pixels, boxes: Boxes) -> Mask:
        """As `Outliner`."""
        if not boxes:
            raise PeerError("MobileSAM outlines what lies in a box, and none was given")
        height, width = pixels.shape
        scale = SIDE / max(height, width)
        size = (int(width * scale + 0.5), int(height * scale + 0.5))
        shown = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))
        film = np.zeros((1, 3, SIDE, SIDE), np.float32)
        film[0, :, : size[1], : size[0]] = ((shown[..., None] - MEAN) / DEVIATION).transpose(
            2, 0, 1
        )
        (embedding,) = self._encoder.run(["embedding"], {"film": film})
        found = np.zeros((height, width), bool)
        for box in boxes:
            feed = {
                "image_embeddings": embedding,
                **prompt_of(np.asarray(box) * scale),
                "orig_im_size": np.array([height, width], np.float32),
            }
            (logits,) = self._decoder.run(["masks"], feed)
            found |= logits[0, 0] > 0.0
        return found


MOBILE_SAM = Peer(
    title="MobileSAM (TinyViT)",
    prompt="a box",
    licence="Apache-2.0",
    needs={"mobilesam-mirror": "1.0.0", "timm": "1.0.31"},
    install="pip install --no-deps -r benchmarks/requirements-peers.txt",
    export=export,
    open=MobileSam,
    remark="one box",
)
