"""MobileNetV1 in torch: width x resolution variants from the one definition in `layers.py`.

Faithful to `keras.applications.MobileNet`: every stride-2 convolution pads bottom and right by
one and is then "valid" (torch's own `padding=1` would shift the map by half a pixel), ReLU6,
batch normalization with eps 1e-3, no bias but the classifier's.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from .layers import BN_EPS, Conv, backbone

DROPOUT = 0.001
BN_MOMENTUM = 0.1


class ConvUnit(nn.Module):
    """Convolution, batch normalization, ReLU6."""

    def __init__(self, conv: Conv) -> None:
        super().__init__()
        self.pads = conv.kernel == 3 and conv.stride == 2
        padding = 1 if conv.kernel == 3 and conv.stride == 1 else 0
        self.conv = nn.Conv2d(
            conv.inputs,
            conv.outputs,
            conv.kernel,
            stride=conv.stride,
            padding=padding,
            groups=conv.groups,
            bias=False,
        )
        self.bn = nn.BatchNorm2d(conv.outputs, eps=BN_EPS, momentum=BN_MOMENTUM)

    def forward(self, x: Tensor) -> Tensor:
        """float32 (N, inputs, H, W) -> (N, outputs, H / stride, W / stride), 0..6."""
        if self.pads:
            x = functional.pad(x, (0, 1, 0, 1))
        return functional.relu6(self.bn(self.conv(x)))


class MobileNetV1(nn.Module):
    """A binary classifier: backbone, global average pooling, dropout, one linear layer.

    Args:
        width: the multiplier alpha of all channel counts.
        classes: number of logits.
        dropout: share of pooled features dropped in training.
    """

    def __init__(self, width: float, classes: int = 2, dropout: float = DROPOUT) -> None:
        super().__init__()
        units = [(conv.name, ConvUnit(conv)) for conv in backbone(width)]
        self.backbone = nn.Sequential()
        for name, unit in units:
            self.backbone.add_module(name, unit)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(backbone(width)[-1].outputs, classes)
        self._initialize()

    def _initialize(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.normal_(self.classifier.weight, std=0.01)
        nn.init.zeros_(self.classifier.bias)

    def forward_with_features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """float32 (N, 3, H, W) -> logits (N, classes) and the pooling input (N, C, h, w)."""
        features = self.backbone(x)
        pooled = torch.mean(features, dim=(2, 3))
        return self.classifier(self.dropout(pooled)), features

    def forward(self, x: Tensor) -> Tensor:
        """float32 (N, 3, H, W) -> logits (N, classes)."""
        logits, _ = self.forward_with_features(x)
        return logits
