"""The parts of YOLO-NAS in torch: convolutions, QARepVGG blocks, bottlenecks, CSP, SPP.

Chu, Li, Zhang 2022, "Make RepVGG Greater Again" (QARepVGG); Wang et al. 2020, "CSPNet"; He et
al. 2015, "Spatial Pyramid Pooling". Names of the parts are those of the original's state_dict.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from .sizes import BN_EPS, BN_MOMENTUM, Csp

POOLS = (5, 9, 13)


def norm(channels: int) -> nn.BatchNorm2d:
    """Batch normalization with this architecture's constants."""
    return nn.BatchNorm2d(channels, eps=BN_EPS, momentum=BN_MOMENTUM)


class ConvBN(nn.Module):
    """Convolution without bias, batch normalization, ReLU; half as large at stride 2."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.bn = norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """float32 (N, inputs, H, W) -> (N, outputs, H / stride, W / stride), >= 0."""
        return torch.relu(self.bn(self.conv(x)))


class HeadConv(nn.Module):
    """A `ConvBN` under the name that the heads give it."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.seq = ConvBN(inputs, outputs, kernel)

    def forward(self, x: Tensor) -> Tensor:
        """float32 (N, inputs, H, W) -> (N, outputs, H, W), >= 0."""
        out: Tensor = self.seq(x)
        return out


class Branch(nn.Module):
    """A 3x3 convolution and its batch normalization."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn = norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """float32 (N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""
        out: Tensor = self.bn(self.conv(x))
        return out


class QARepVGG(nn.Module):
    """3x3 with normalization + 1x1 with bias (+ x), normalization of the sum, ReLU.

    `rbr_reparam` is where the original puts the fused convolution: it stands in every checkpoint
    with random values and is used for nothing here; `fusion.fuse` makes a convolution of its own.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1, identity: bool = False) -> None:
        super().__init__()
        self.identity, self.stride = identity, stride
        self.branch_3x3 = Branch(inputs, outputs, stride)
        # Every second pixel is taken before it: torch 2.13 corrupts memory in the backward pass of
        # a 1x1 convolution of three channels with a stride, channels last (oneDNN, AVX2).
        self.branch_1x1 = nn.Conv2d(inputs, outputs, 1)
        self.post_bn = norm(outputs)
        self.rbr_reparam = nn.Conv2d(inputs, outputs, 3, stride, 1).requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """float32 (N, inputs, H, W) -> (N, outputs, H / stride, W / stride), >= 0."""
        total = self.branch_3x3(x) + self.branch_1x1(x[:, :, :: self.stride, :: self.stride])
        if self.identity:
            total = total + x
        return torch.relu(self.post_bn(total))


class Bottleneck(nn.Module):
    """alpha x + y, with y after two 3x3 blocks; the learnt alpha weighs the shortcut."""

    def __init__(self, channels: int, plain: bool) -> None:
        """`plain`: convolutions with normalization, not QARepVGG blocks."""
        super().__init__()
        self.cv1, self.cv2 = (
            ConvBN(channels, channels, 3) if plain else QARepVGG(channels, channels, identity=True)
            for _ in range(2)
        )
        self.alpha = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        """float32 (N, C, H, W) -> the same shape."""
        out: Tensor = self.alpha * x + self.cv2(self.cv1(x))
        return out


class CspLayer(nn.Module):
    """Two 1x1 paths, one through bottlenecks, joined by a 1x1 convolution."""

    def __init__(self, inputs: int, outputs: int, csp: Csp, plain: bool = False) -> None:
        super().__init__()
        self.join_all = csp.join_all
        self.conv1 = ConvBN(inputs, csp.hidden, 1)
        self.conv2 = ConvBN(inputs, csp.hidden, 1)
        joined = csp.repeats + 2 if csp.join_all else 2
        self.conv3 = ConvBN(joined * csp.hidden, outputs, 1)
        self.bottlenecks = nn.ModuleList(Bottleneck(csp.hidden, plain) for _ in range(csp.repeats))

    def forward(self, x: Tensor) -> Tensor:
        """float32 (N, inputs, H, W) -> (N, outputs, H, W), >= 0."""
        steps = [self.conv1(x)]
        for bottleneck in self.bottlenecks:
            steps.append(bottleneck(steps[-1]))
        kept = steps if self.join_all else steps[-1:]
        out: Tensor = self.conv3(torch.cat([*kept, self.conv2(x)], dim=1))
        return out


class Spp(nn.Module):
    """Pooling over three neighbourhoods of the same map, side by side."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.cv1 = ConvBN(channels, half, 1)
        self.cv2 = ConvBN(4 * half, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """float32 (N, C, H, W) -> the same shape, >= 0."""
        x = self.cv1(x)
        pooled = [functional.max_pool2d(x, k, stride=1, padding=k // 2) for k in POOLS]
        out: Tensor = self.cv2(torch.cat([x, *pooled], dim=1))
        return out
