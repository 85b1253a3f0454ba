"""Which places of a detector answer for which true box: task-aligned assignment.

Feng et al. 2021, "TOOD: Task-aligned One-stage Object Detection": a place is as fit for a box as
its score and its overlap together say, so that the surest places are the best placed ones.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

# Alignment = score^ALPHA * IoU^BETA; the TOP_K most aligned places within a box answer for it.
ALPHA, BETA = 1.0, 6.0
TOP_K = 13
_EPS = 1e-9


@dataclass(frozen=True, eq=False)
class Assigned:
    """What each place of one film should answer.

    Attributes:
        scores: float (P, K), 0 where nothing is there, else how well the place fits, up to 1.
        boxes: float (P, 4), the true box of its place; only where `there`.
        there: bool (P,).
    """

    scores: Tensor
    boxes: Tensor
    there: Tensor


def assign(shares: Tensor, boxes: Tensor, centres: Tensor, truth: Tensor) -> Assigned:
    """Of one film, without gradients.

    Args:
        shares: (P, K), the scores as probabilities; boxes: (P, 4); centres: (P, 2).
        truth: (T, 5), the label's number and x0 y0 x1 y1 of each true box; pixels throughout.
    """
    places, classes = shares.shape
    if not len(truth):
        return Assigned(
            shares.new_zeros(places, classes),
            boxes.new_zeros(places, 4),
            torch.zeros(places, dtype=torch.bool, device=shares.device),
        )
    label, wanted = truth[:, 0].long(), truth[:, 1:]
    overlap = pairwise_iou(wanted, boxes)
    fit = shares[:, label].T.clamp_min(0) ** ALPHA * overlap**BETA
    inside = _inside(centres, wanted)
    chosen = _best(torch.where(inside, fit, -1.0), min(TOP_K, places)) & inside
    # A place answers for one box: the one that it overlaps most.
    owner = torch.where(chosen, overlap, -1.0).argmax(dim=0)
    chosen &= torch.nn.functional.one_hot(owner, len(truth)).T.bool()
    there = chosen.any(dim=0)
    fit, overlap = fit * chosen, overlap * chosen
    # The most aligned place of a box is asked for the box's best overlap.
    scaled = fit / (fit.amax(dim=1, keepdim=True) + _EPS) * overlap.amax(dim=1, keepdim=True)
    scores = shares.new_zeros(places, classes)
    scores[torch.arange(places, device=scores.device), label[owner]] = scaled.amax(dim=0)
    return Assigned(scores, wanted[owner], there)


def pairwise_iou(one: Tensor, other: Tensor) -> Tensor:
    """(T, P) of boxes (T, 4) and (P, 4)."""
    low = torch.maximum(one[:, None, :2], other[None, :, :2])
    high = torch.minimum(one[:, None, 2:], other[None, :, 2:])
    both = (high - low).clamp_min(0).prod(dim=-1)
    areas = [(b[:, 2:] - b[:, :2]).clamp_min(0).prod(dim=-1) for b in (one, other)]
    return both / (areas[0][:, None] + areas[1][None, :] - both + _EPS)


def _inside(centres: Tensor, wanted: Tensor) -> Tensor:
    """bool (T, P): which places' centres lie in which box; the nearest where none does."""
    low = centres[None] - wanted[:, None, :2]
    high = wanted[:, None, 2:] - centres[None]
    inside = torch.minimum(low, high).amin(dim=-1) > 0
    middles = (wanted[:, :2] + wanted[:, 2:]) / 2
    nearest = (centres[None] - middles[:, None]).pow(2).sum(dim=-1).argmin(dim=1)
    small = ~inside.any(dim=1)
    inside[small, nearest[small]] = True
    return inside


def _best(fit: Tensor, count: int) -> Tensor:
    """bool (T, P): the `count` largest of each row."""
    chosen = torch.zeros_like(fit, dtype=torch.bool)
    return chosen.scatter_(1, fit.topk(count, dim=1).indices, True)
