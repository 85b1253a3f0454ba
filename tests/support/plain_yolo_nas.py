"""YOLO-NAS once more, from names and shapes of a state_dict alone, in plain functions.

What is compared with the package shares no code with it. Evaluation mode, branches not fused.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as f

Values = Mapping[str, Tensor]


def predict(values: Values, x: Tensor) -> tuple[Tensor, Tensor]:
    """float (N, 3, H, W) -> boxes (N, P, 4) in pixels and class logits (N, P, K)."""
    maps = []
    x = _qarep(values, "backbone.stem.conv", x, 2)
    for i in range(1, 5):
        at = f"backbone.stage{i}"
        x = _csp(values, f"{at}.blocks", _qarep(values, f"{at}.downsample", x, 2))
        maps.append(x)
    c2, c3, c4, c5 = maps
    y = _conv(values, "backbone.context_module.cv1", c5)
    pools = [f.max_pool2d(y, k, 1, k // 2) for k in (5, 9, 13)]
    c5 = _conv(values, "backbone.context_module.cv2", torch.cat([y, *pools], 1))
    i1, n1 = _up(values, "neck.neck1", c5, c4, c3)
    i2, p3 = _up(values, "neck.neck2", n1, c3, c2)
    p4 = _down(values, "neck.neck3", p3, i2)
    p5 = _down(values, "neck.neck4", p4, i1)
    found = [
        _head(values, f"heads.head{i}", p, s)
        for i, (p, s) in enumerate(((p3, 8), (p4, 16), (p5, 32)), 1)
    ]
    return torch.cat([b for b, _ in found], 1), torch.cat([c for _, c in found], 1)


def _bn(v: Values, at: str, x: Tensor) -> Tensor:
    mean, variance, weight, bias = (
        v[f"{at}.{n}"] for n in ("running_mean", "running_var", "weight", "bias")
    )
    return f.batch_norm(x, mean, variance, weight, bias, eps=1e-3)


def _conv(v: Values, at: str, x: Tensor, stride: int = 1) -> Tensor:
    kernel = v[f"{at}.conv.weight"]
    return f.relu(_bn(v, f"{at}.bn", f.conv2d(x, kernel, None, stride, kernel.shape[-1] // 2)))


def _qarep(v: Values, at: str, x: Tensor, stride: int = 1) -> Tensor:
    three = f.conv2d(x, v[f"{at}.branch_3x3.conv.weight"], None, stride, 1)
    total = _bn(v, f"{at}.branch_3x3.bn", three)
    total = total + f.conv2d(x, v[f"{at}.branch_1x1.weight"], v[f"{at}.branch_1x1.bias"], stride)
    if ".bottlenecks." in at:
        total = total + x
    return f.relu(_bn(v, f"{at}.post_bn", total))


def _csp(v: Values, at: str, x: Tensor) -> Tensor:
    steps = [_conv(v, f"{at}.conv1", x)]
    i = 0
    while f"{at}.bottlenecks.{i}.alpha" in v:
        inner, y = f"{at}.bottlenecks.{i}", steps[-1]
        for name in ("cv1", "cv2"):
            plain = f"{inner}.{name}.conv.weight" in v
            y = (_conv if plain else _qarep)(v, f"{inner}.{name}", y)
        steps.append(v[f"{inner}.alpha"] * steps[-1] + y)
        i += 1
    z = _conv(v, f"{at}.conv2", x)
    joined = torch.cat([*steps, z], 1)
    if v[f"{at}.conv3.conv.weight"].shape[1] != joined.shape[1]:
        joined = torch.cat([steps[-1], z], 1)
    return _conv(v, f"{at}.conv3", joined)


def _up(v: Values, at: str, x: Tensor, near: Tensor, far: Tensor) -> tuple[Tensor, Tensor]:
    inter = _conv(v, f"{at}.conv", x)
    up = f.conv_transpose2d(inter, v[f"{at}.upsample.weight"], v[f"{at}.upsample.bias"], 2)
    s1 = _conv(v, f"{at}.reduce_skip1", near)
    s2 = _conv(v, f"{at}.downsample", _conv(v, f"{at}.reduce_skip2", far), 2)
    y = _conv(v, f"{at}.reduce_after_concat", torch.cat([up, s1, s2], 1))
    return inter, _csp(v, f"{at}.blocks", y)


def _down(v: Values, at: str, x: Tensor, skip: Tensor) -> Tensor:
    return _csp(v, f"{at}.blocks", torch.cat([_conv(v, f"{at}.conv", x, 2), skip], 1))


def _head(v: Values, at: str, x: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    x = _conv(v, f"{at}.stem.seq", x)
    sides, logits = (
        f.conv2d(
            _conv(v, f"{at}.{kind}_convs.0.seq", x),
            v[f"{at}.{kind}_pred.weight"],
            v[f"{at}.{kind}_pred.bias"],
        )
        for kind in ("reg", "cls")
    )
    n, _, h, w = x.shape
    shares = sides.reshape(n, 4, 17, h, w).softmax(2)
    far = sum(j * shares[:, :, j] for j in range(17))
    assert isinstance(far, Tensor)
    row, column = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    left, top, right, bottom = far.unbind(1)
    cx, cy = column + 0.5, row + 0.5
    boxes = torch.stack([cx - left, cy - top, cx + right, cy + bottom], -1) * stride
    return boxes.flatten(1, 2), logits.flatten(2).transpose(1, 2)
