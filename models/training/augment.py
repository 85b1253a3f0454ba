"""Augmentation of a batch at once; the result is uint8 again, so the last step stays shared."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from ...runtime.spec import InputSpec
from .recipe import Augmentation

# A box is dropped when less of its area stays on the film.
_LEFT_OVER = 0.3


def to_input(pixels: Tensor, spec: InputSpec) -> Tensor:
    """`runtime.images.scale` for a batch: uint8 (N, H, W) -> float32 (N, C, H, W), same bits."""
    planes = []
    x = pixels.to(torch.float32)
    for mean, std in zip(spec.scaling.mean, spec.scaling.std, strict=True):
        plane = x * torch.tensor(1.0 / (255.0 * std), dtype=torch.float32)
        if mean != 0.0:
            plane = plane + torch.tensor(-mean / std, dtype=torch.float32)
        planes.append(plane)
    return torch.stack(planes, dim=1).contiguous(memory_format=torch.channels_last)


def augment(pixels: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
    """Change uint8 films (N, H, W) at random; returns uint8 (N, H, W)."""
    x = pixels.to(torch.float32).unsqueeze(1) / 255.0
    x = _moved(x, _grid(x, how, generator), "bilinear")
    return _shaded(x, how, generator)


def augment_pair(
    pixels: Tensor, masks: Tensor, how: Augmentation, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Change uint8 films and masks (N, H, W): both are moved alike, only films change in grey."""
    x, mask = (t.to(torch.float32).unsqueeze(1) for t in (pixels, masks))
    grid = _grid(x, how, generator)
    moved = _moved(mask, grid, "nearest").squeeze(1).to(torch.uint8)
    return _shaded(_moved(x / 255.0, grid, "bilinear"), how, generator), moved


def augment_boxes(
    pixels: Tensor, boxes: Tensor, how: Augmentation, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Change uint8 films (N, H, W) and boxes float32 (N, M, 5), moved alike.

    A box is a label's number (-1: none) and x0 y0 x1 y1 as shares of the sides. A turned box is
    drawn around the ellipse that it held: things seldom fill its corners. One of which less than
    `_LEFT_OVER` stays on the film goes.
    """
    x = pixels.to(torch.float32).unsqueeze(1) / 255.0
    theta = _theta(len(x), how, generator)
    grid = functional.affine_grid(theta, list(x.shape), align_corners=False)
    changed = _shaded(_moved(x, grid, "bilinear"), how, generator)
    # theta leads from a place of the new film to that of the old one.
    back = torch.linalg.inv(theta[:, :, :2])
    low, high = boxes[..., 1:3] * 2 - 1, boxes[..., 3:5] * 2 - 1
    middle = ((low + high) / 2 - theta[:, None, :, 2]) @ back.transpose(1, 2)
    half = torch.sqrt(((high - low) / 2) ** 2 @ (back**2).transpose(1, 2))
    moved = torch.cat([middle - half, middle + half], dim=-1)
    seen = moved.clamp(-1, 1)
    left = (seen[..., 2:] - seen[..., :2]).prod(-1) / (4 * half.prod(-1)).clamp_min(1e-9)
    label = torch.where(left >= _LEFT_OVER, boxes[..., 0], -1.0)
    return changed, torch.cat([label.unsqueeze(-1), (seen + 1) / 2], dim=-1)


def shrink(pixels: Tensor, targets: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Bring uint8 films (N, H, W), and targets where they are masks, to side x side."""
    x = pixels.to(torch.float32).unsqueeze(1)
    small = functional.interpolate(x, (side, side), mode="bilinear", antialias=True)
    if targets.shape == pixels.shape:
        masks = targets.to(torch.float32).unsqueeze(1)
        # "nearest" would take each new pixel's corner: masks moved against their films.
        fewer = functional.interpolate(masks, (side, side), mode="nearest-exact")
        targets = fewer.squeeze(1).to(torch.uint8)
    return small.squeeze(1).round_().clamp_(0, 255).to(torch.uint8), targets


def _shaded(x: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
    x = _exposure(x, how, generator)
    x = _cover(x, how, generator)
    return (x.squeeze(1) * 255.0).round_().clamp_(0, 255).to(torch.uint8)


def _uniform(n: int, half: float, generator: torch.Generator) -> Tensor:
    return (torch.rand(n, generator=generator) * 2 - 1) * half


def _moved(x: Tensor, grid: Tensor, mode: str) -> Tensor:
    return functional.grid_sample(x, grid, mode=mode, align_corners=False)


def _grid(x: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
    return functional.affine_grid(
        _theta(len(x), how, generator), list(x.shape), align_corners=False
    )


def _theta(n: int, how: Augmentation, generator: torch.Generator) -> Tensor:
    """(N, 2, 3): from a place of the changed film to that of the film, both in -1..1."""
    angle = _uniform(n, math.radians(how.rotation_deg), generator)
    zoom = torch.exp(_uniform(n, math.log1p(how.scale), generator))
    stretch = torch.exp(_uniform(n, math.log1p(how.stretch), generator))
    flip = torch.where(torch.rand(n, generator=generator) < 0.5, -1.0, 1.0)
    shift_x, shift_y = (_uniform(n, 2 * how.shift, generator) for _ in range(2))
    wide, high = zoom * stretch, zoom / stretch
    cos, sin = torch.cos(angle), torch.sin(angle)
    return torch.stack(
        [
            torch.stack([flip * cos * wide, -sin * high, shift_x], dim=1),
            torch.stack([flip * sin * wide, cos * high, shift_y], dim=1),
        ],
        dim=1,
    )


def _exposure(x: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
    n = x.shape[0]

    def column(half: float) -> Tensor:
        return _uniform(n, half, generator).view(n, 1, 1, 1)

    soft = functional.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
    x = (x + (x - soft) * column(how.sharpness)).clamp_(0, 1)
    x = x ** torch.exp(column(how.gamma))
    middle = x.mean(dim=(1, 2, 3), keepdim=True)
    x = (x - middle) * (1 + column(how.contrast)) + middle + column(how.brightness)
    grain = torch.rand((n, 1, 1, 1), generator=generator) * how.noise
    return (x + torch.randn(x.shape, generator=generator) * grain).clamp_(0, 1)


def _cover(x: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
    """Blank margins on half the films, and blank boxes anywhere, each in a random grey."""
    n, _, height, width = x.shape
    rows = torch.linspace(0, 1, height).view(1, height, 1)
    columns = torch.linspace(0, 1, width).view(1, 1, width)

    def draw() -> Tensor:
        return torch.rand((n, 1, 1), generator=generator)

    on = (draw() < 0.5).to(torch.float32)
    top, bottom, left, right = (draw() * how.border * on for _ in range(4))
    hidden = (rows < top) | (rows > 1 - bottom) | (columns < left) | (columns > 1 - right)
    grey = draw() * (draw() < 0.5)
    x = torch.where(hidden.unsqueeze(1), grey.unsqueeze(1), x)
    for _ in range(how.boxes):
        y, z, high, wide = draw(), draw(), draw() * how.box, draw() * how.box
        inside = ((rows - y).abs() < high / 2) & ((columns - z).abs() < wide / 2)
        inside &= draw() < 0.5
        x = torch.where(inside.unsqueeze(1), draw().unsqueeze(1), x)
    return x
