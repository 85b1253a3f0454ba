"""The deployed form: every QARepVGG block and every normalized convolution as one convolution.

Ding et al. 2021, "RepVGG"; exact but for rounding. Computed in float64.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from .blocks import ConvBN, QARepVGG


class Fused(nn.Module):
    """A convolution with bias, and ReLU."""

    def __init__(self, like: nn.Conv2d, weight: Tensor, bias: Tensor) -> None:
        """`like` has the stride; kernel and bias are given."""
        super().__init__()
        outputs, inputs, kernel, _ = weight.shape
        stride = (like.stride[0], like.stride[1])
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)
        self.conv.to(like.weight)
        with torch.no_grad():
            self.conv.weight.copy_(weight)
            self.conv.bias.copy_(bias)  # type: ignore[union-attr]

    def forward(self, x: Tensor) -> Tensor:
        """float32 (N, inputs, H, W) -> (N, outputs, H / stride, W / stride), >= 0."""
        return torch.relu(self.conv(x))


@torch.no_grad()
def fuse(network: nn.Module) -> nn.Module:
    """A copy in evaluation mode that computes the same with one convolution a block."""
    fused = copy.deepcopy(network).eval()
    for parent in list(fused.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, QARepVGG):
                setattr(parent, name, _fused_block(child))
            elif isinstance(child, ConvBN):
                values = _folded(child.conv.weight.double(), torch.zeros(()), child.bn)
                setattr(parent, name, Fused(child.conv, *values))
    return fused.eval()


def _fused_block(block: QARepVGG) -> Fused:
    three, one = block.branch_3x3, block.branch_1x1
    kernel, bias = _folded(three.conv.weight.double(), torch.zeros(()), three.bn)
    kernel = kernel + functional.pad(one.weight.double(), (1, 1, 1, 1))
    if one.bias is not None:
        bias = bias + one.bias.double()
    if block.identity:
        same = torch.arange(len(kernel))
        kernel[same, same, 1, 1] += 1
    return Fused(three.conv, *_folded(kernel, bias, block.post_bn))


def _folded(kernel: Tensor, bias: Tensor, bn: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """A convolution's values, float64, with the normalization after it taken in."""
    mean, variance = bn.get_buffer("running_mean"), bn.get_buffer("running_var")
    scale = bn.weight.double() / torch.sqrt(variance.double() + bn.eps)
    shifted = bn.bias.double() + (bias - mean.double()) * scale
    return kernel * scale.view(-1, 1, 1, 1), shifted
