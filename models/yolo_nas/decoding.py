"""From the heads' numbers to boxes: where each place is, and how far its four sides are.

Li et al. 2020, "Generalized Focal Loss": a side's distance is the mean of a distribution.
"""

import torch
from torch import Tensor

from .sizes import BINS, SIDES, STRIDES


def places(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Centres (P, 2), x y in input pixels, and strides (P, 1), in the order of the network's
    output for height x width pixels, both multiples of 32."""
    centres, strides = [], []
    for stride in STRIDES:
        rows = (torch.arange(height // stride, dtype=torch.float32) + 0.5) * stride
        columns = (torch.arange(width // stride, dtype=torch.float32) + 0.5) * stride
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        found = torch.stack([x, y], dim=-1).reshape(-1, 2)
        centres.append(found)
        strides.append(torch.full((len(found), 1), float(stride)))
    return torch.cat(centres), torch.cat(strides)


def distances(sides: Tensor) -> Tensor:
    """Mean distance (N, P, 4) in strides of bin logits (N, P, 68)."""
    shares = torch.softmax(sides.reshape(*sides.shape[:-1], SIDES, BINS), dim=-1)
    steps = torch.arange(BINS, dtype=sides.dtype, device=sides.device)
    return (shares * steps).sum(dim=-1)


def boxes_of(sides: Tensor, centres: Tensor, strides: Tensor) -> Tensor:
    """Boxes (N, P, 4), x0 y0 x1 y1 in input pixels, of bin logits (N, P, 68)."""
    far = distances(sides) * strides
    return torch.cat([centres - far[..., :2], centres + far[..., 2:]], dim=-1)
