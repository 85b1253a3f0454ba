"""Boxes that a promptable segmenter is asked with in training and measurement, from true masks."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..runtime.regions import label_regions, region_boxes
from .masks import IGNORE

Masks = NDArray[np.uint8]
Boxes = NDArray[np.float32]
# A region below this share of the picture is a speck of the drawing.
LEAST_SHARE = 0.0005
# Of a side, as SAM was trained (Kirillov et al. 2023, arXiv:2304.02643, appendix A): standard
# deviation of each edge's shift, and the most that it moves.
JITTER, MOST_JITTER = 0.1, 0.2


@dataclass(frozen=True, eq=False)
class TrueObject:
    """One region of a mask.

    Attributes:
        box: float32 (4,), x0 y0 x1 y1 in the mask's pixels, the far edges beyond the last pixel.
        mask: uint8 (H, W), 255 there, IGNORE in doubt, 0 elsewhere; other regions are 0.
    """

    box: Boxes
    mask: Masks


def true_objects(mask: Masks) -> tuple[TrueObject, ...]:
    """The connected regions of uint8 (H, W), largest first; specks are left out."""
    labels, areas = label_regions(mask == 255)
    count = int((areas >= max(1.0, LEAST_SHARE * mask.size)).sum())
    doubt = np.where(mask == IGNORE, np.uint8(IGNORE), np.uint8(0))
    return tuple(
        TrueObject(np.array(box, np.float32), np.where(labels == number, np.uint8(255), doubt))
        for number, box in enumerate(region_boxes(labels, count), start=1)
    )


def jittered(boxes: Boxes, size: tuple[int, int], draw: np.random.Generator) -> Boxes:
    """Boxes float32 (N, 4) on a picture (H, W), each edge moved by a normal share of the side.

    They stay on the picture and keep at least half of each side.
    """
    if not len(boxes):
        return boxes
    sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    moves = np.clip(draw.normal(0.0, JITTER, boxes.shape), -MOST_JITTER, MOST_JITTER)
    far = np.array([size[1], size[0]] * 2, np.float32)
    return np.clip(boxes + sides * moves, 0.0, far).astype(np.float32)
