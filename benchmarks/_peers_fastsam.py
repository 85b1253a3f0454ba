"""FastSAM (Zhao et al. 2023, arXiv:2306.12156): YOLOv8-seg with one label, "object".

Built by `ultralytics`, which is AGPL-3.0: it is imported here alone, only to export, and only where
somebody installed it for this comparison. Nothing of it is part of clinicedge. What follows the
network is written from the paper: boxes of at least 0.4, suppression at an overlap of 0.9, masks as
products of coefficients and prototypes, and of all masks the one that fits a given box best.
"""

import os
from collections.abc import Callable
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
from numpy.typing import NDArray
from PIL import Image

from clinicedge.runtime.boxes import Boxes
from clinicedge.runtime.nms import suppress
from clinicedge.runtime.spec import DetectionRules

SIDE, PADDING = 1024, 114
SCORE, RULES = 0.4, DetectionRules(nms_iou=0.9, max_candidates=3000, max_boxes=300)
Floats = NDArray[np.float32]


def exporter(size: str) -> Callable[[Wish], None]:
    """Exports YOLOv8-seg of a size, "s" or "x"."""

    def export(wish: Wish) -> None:
        import torch

        # It keeps its settings in a folder of its own.
        os.environ.setdefault("YOLO_CONFIG_DIR", str(wish.folder))
        network_of = library("ultralytics.nn.tasks").SegmentationModel
        network = seeded(lambda: network_of(f"yolov8{size}-seg.yaml", nc=1, verbose=False))
        load_values(network, wish.weights)
        network = network.fuse(verbose=False)
        head = network.model[-1]
        head.export, head.format = True, "onnx"
        film = {"film": torch.rand(1, 3, SIDE, SIDE)}
        write_onnx(network, film, wish.folder / "network.onnx", ["rows", "prototypes"])

    return export


class FastSam:
    """The network and the choice among its masks."""

    def __init__(self, folder: Path, threads: int) -> None:
        self._session = open_onnx(folder / "network.onnx", threads)

    def predict(self, pixels: Pixels, boxes: Boxes) -> Mask:
        """As `Outliner`."""
        if not boxes:
            raise PeerError("FastSAM outlines everything, and no box was given to choose by")
        height, width = pixels.shape
        scale = SIDE / max(height, width)
        size = (round(width * scale), round(height * scale))
        corner = ((SIDE - size[0]) // 2, (SIDE - size[1]) // 2)
        canvas = Image.new("L", (SIDE, SIDE), PADDING)
        canvas.paste(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR), corner)
        film = np.asarray(canvas, np.float32) / 255.0
        feed = {"film": np.ascontiguousarray(np.broadcast_to(film, (1, 3, SIDE, SIDE)))}
        rows, prototypes = self._session.run(["rows", "prototypes"], feed)
        masks = everything(rows[0].T, prototypes[0])
        shift = np.array(corner * 2)
        found = np.zeros((SIDE, SIDE), bool)
        for box in boxes:
            found |= best(masks, np.asarray(box) * scale + shift)
        inner = found[corner[1] : corner[1] + size[1], corner[0] : corner[0] + size[0]]
        shown = Image.fromarray(inner).resize((width, height), Image.Resampling.NEAREST)
        return np.asarray(shown, bool)


def everything(rows: Floats, prototypes: Floats) -> list[Mask]:
    """The masks of all objects at the size of the input.

    Args:
        rows: (N, 4 + 1 + K): centre, size, score and coefficients.
        prototypes: (K, h, w).
    """
    half = rows[:, 2:4] / 2
    boxes = np.concatenate([rows[:, :2] - half, rows[:, :2] + half], axis=1)
    score = np.clip(rows[:, 4:5].astype(np.float64), 1e-7, 1 - 1e-7)
    logits = np.log(score / (1 - score)).astype(np.float32)
    kept = suppress(boxes, logits, (SCORE,), RULES).box
    flat = prototypes.reshape(len(prototypes), -1)
    found = []
    for number in kept:
        small = (rows[number, 5:] @ flat).reshape(prototypes.shape[1:])
        large = Image.fromarray(small).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        x0, y0, x1, y1 = np.clip(boxes[number].round().astype(int), 0, SIDE).tolist()
        mask = np.zeros((SIDE, SIDE), bool)
        mask[y0:y1, x0:x1] = np.asarray(large)[y0:y1, x0:x1] > 0.0
        found.append(mask)
    return found


def best(masks: list[Mask], box: Any) -> Mask:
    """Of masks the one that overlaps a box best; an empty one where there are none."""
    x0, y0, x1, y1 = np.clip(np.asarray(box).round().astype(int), 0, SIDE).tolist()
    inside = [int(mask[y0:y1, x0:x1].sum()) for mask in masks]
    whole = (y1 - y0) * (x1 - x0)
    shares = [i / (whole + int(m.sum()) - i) for i, m in zip(inside, masks, strict=True)]
    return masks[int(np.argmax(shares))] if masks else np.zeros((SIDE, SIDE), bool)


def _peer(size: str) -> Peer:
    return Peer(
        title=f"FastSAM-{size} (YOLOv8{size}-seg)",
        prompt="a box, to choose",
        licence="AGPL-3.0",
        needs={"ultralytics": "8.4.190"},
        install="pip install --no-deps -r benchmarks/requirements-peers-agpl.txt, in an "
        "environment that ships nothing",
        export=exporter(size),
        open=FastSam,
        remark="one box",
        untrained="finds no object, so its time has no masks in it",
    )


FAST_SAM_S, FAST_SAM_X = _peer("s"), _peer("x")
