"""What a detector's raw answers cost against true boxes: varifocal, CIoU and distribution focal.

Zhang et al. 2021, "VarifocalNet"; Zheng et al. 2020, "Distance-IoU Loss" (CIoU); Li et al. 2020,
"Generalized Focal Loss" (DFL). The three are weighed as PP-YOLOE and YOLO-NAS do.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from ...yolo_nas.decoding import boxes_of, places
from ...yolo_nas.network import SIDE_VALUES
from ...yolo_nas.sizes import BINS, SIDES
from .box_assign import Assigned, assign

CLASS_WEIGHT, BOX_WEIGHT, BINS_WEIGHT = 1.0, 2.5, 0.5
# Varifocal: what is empty weighs by its own score, what is there by the score wanted.
_EMPTY_WEIGHT, _GAMMA = 0.75, 2.0
_EPS = 1e-7
NONE = -1.0


def side_of(n_places: int) -> int:
    """The side of the square input in pixels that has so many places: 21 of 1024 pixels."""
    return round(math.sqrt(n_places * 1024 / 21))


@lru_cache(maxsize=4)
def _grid(side: int, device: torch.device) -> tuple[Tensor, Tensor]:
    centres, strides = places(side, side)
    return centres.to(device), strides.to(device)


def decoded(outputs: Tensor) -> tuple[Tensor, Tensor]:
    """Raw answers (N, P, 68 + K) -> boxes (N, P, 4) in pixels, class logits (N, P, K)."""
    centres, strides = _grid(side_of(outputs.shape[1]), outputs.device)
    return boxes_of(outputs[..., :SIDE_VALUES], centres, strides), outputs[..., SIDE_VALUES:]


def box_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """The mean over the fits wanted of all places.

    Args:
        outputs: float32 (N, P, 68 + K) of a square input.
        targets: float32 (N, M, 5): the label's number (-1: no box) and x0 y0 x1 y1 as shares of
            the side.
    """
    side = side_of(outputs.shape[1])
    centres, strides = _grid(side, outputs.device)
    boxes, logits = decoded(outputs)
    with torch.no_grad():
        found = [
            assign(s, b, centres, _pixels(t, side))
            for s, b, t in zip(torch.sigmoid(logits), boxes, targets, strict=True)
        ]
    wanted = torch.stack([f.scores for f in found])
    # A batch without boxes has its emptiness to learn.
    total = wanted.sum().clamp_min(1.0)
    loss = CLASS_WEIGHT * varifocal(logits, wanted).sum()
    there = torch.stack([f.there for f in found])
    if bool(there.any()):
        loss = loss + _placed(outputs, (boxes, there), found, (centres, strides))
    return loss / total


def _placed(
    outputs: Tensor,
    where: tuple[Tensor, Tensor],
    found: list[Assigned],
    grid: tuple[Tensor, Tensor],
) -> Tensor:
    """Where the boxes of the places that answer for one lie."""
    boxes, there = where
    centres, strides = (g.expand(len(outputs), *g.shape)[there] for g in grid)
    truth = torch.stack([f.boxes for f in found])[there]
    weight = torch.stack([f.scores for f in found])[there].sum(dim=-1)
    overlap = (1 - ciou(boxes[there], truth)) * weight
    far = torch.cat([centres - truth[:, :2], truth[:, 2:] - centres], dim=-1) / strides
    bins = outputs[..., :SIDE_VALUES][there].reshape(-1, SIDES, BINS)
    return BOX_WEIGHT * overlap.sum() + BINS_WEIGHT * (spread(bins, far) * weight).sum()


def varifocal(logits: Tensor, wanted: Tensor) -> Tensor:
    """Of each place and label, logits and wanted scores of the same shape."""
    shares = torch.sigmoid(logits).detach()
    weight = torch.where(wanted > 0, wanted, _EMPTY_WEIGHT * shares**_GAMMA)
    raw = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    return raw * weight


def spread(bins: Tensor, far: Tensor) -> Tensor:
    """Distribution focal loss (n,) of bin logits (n, 4, 17) for distances (n, 4) in strides: the
    two bins beside each distance are wanted, in proportion."""
    far = far.clamp(0, BINS - 1 - 1e-3)
    low = far.floor().long()
    share = low + 1 - far
    logs = functional.log_softmax(bins, dim=-1)
    below, above = (logs.gather(-1, (low + i).unsqueeze(-1)).squeeze(-1) for i in (0, 1))
    return -(share * below + (1 - share) * above).mean(dim=-1)


def ciou(one: Tensor, other: Tensor) -> Tensor:
    """Complete IoU (n,) of boxes (n, 4): IoU less distance of the centres and other shape."""
    low, high = torch.maximum(one[:, :2], other[:, :2]), torch.minimum(one[:, 2:], other[:, 2:])
    both = (high - low).clamp_min(0).prod(dim=-1)
    (w1, h1), (w2, h2) = ((b[:, 2:] - b[:, :2]).clamp_min(_EPS).unbind(-1) for b in (one, other))
    iou = both / (w1 * h1 + w2 * h2 - both + _EPS)
    around = torch.maximum(one[:, 2:], other[:, 2:]) - torch.minimum(one[:, :2], other[:, :2])
    apart = (one[:, :2] + one[:, 2:] - other[:, :2] - other[:, 2:]).pow(2).sum(dim=-1) / 4
    shape = 4 / math.pi**2 * (torch.atan(w2 / h2) - torch.atan(w1 / h1)) ** 2
    with torch.no_grad():
        heed = shape / (1 - iou + shape + _EPS)
    return iou - apart / (around.pow(2).sum(dim=-1) + _EPS) - heed * shape


def _pixels(targets: Tensor, side: int) -> Tensor:
    """The boxes (T, 5) of one film's targets (M, 5), in pixels."""
    there = targets[targets[:, 0] > NONE / 2]
    return torch.cat([there[:, :1], there[:, 1:] * side], dim=1)
