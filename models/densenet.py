"""DenseNet121 in torch, with the names and shapes of torchvision's state_dict.

Huang, Liu, van der Maaten, Weinberger 2017, "Densely connected convolutional networks".
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from .densenet_sizes import BETWEEN, BLOCKS, FEATURES, FIRST_CHANNELS, GROWTH


class DenseLayer(nn.Module):
    """Normalization, ReLU, 1x1 convolution, the same with 3x3; GROWTH channels come out."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, BETWEEN, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(BETWEEN)
        self.conv2 = nn.Conv2d(BETWEEN, GROWTH, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """float32 (N, inputs, H, W) -> (N, inputs + GROWTH, H, W): the new behind the old."""
        new = self.conv1(torch.relu(self.norm1(x)))
        new = self.conv2(torch.relu(self.norm2(new)))
        return torch.cat([x, new], dim=1)


class Transition(nn.Module):
    """Normalization, ReLU, 1x1 convolution to half the channels, average pooling to half."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(inputs)
        self.conv = nn.Conv2d(inputs, inputs // 2, 1, bias=False)
        self.pool = nn.AvgPool2d(2, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """float32 (N, inputs, H, W) -> (N, inputs / 2, H / 2, W / 2)."""
        out: Tensor = self.pool(self.conv(torch.relu(self.norm(x))))
        return out


class DenseNet121(nn.Module):
    """A classifier: four dense blocks, ReLU, global average pooling, one linear layer.

    Args:
        classes: number of logits.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        parts["conv0"] = nn.Conv2d(3, FIRST_CHANNELS, 7, stride=2, padding=3, bias=False)
        parts["norm0"] = nn.BatchNorm2d(FIRST_CHANNELS)
        parts["relu0"] = nn.ReLU()
        parts["pool0"] = nn.MaxPool2d(3, stride=2, padding=1)
        channels = FIRST_CHANNELS
        for block, layers in enumerate(BLOCKS, start=1):
            dense = [
                (f"denselayer{i + 1}", DenseLayer(channels + i * GROWTH)) for i in range(layers)
            ]
            parts[f"denseblock{block}"] = nn.Sequential(OrderedDict(dense))
            channels += layers * GROWTH
            if block < len(BLOCKS):
                parts[f"transition{block}"] = Transition(channels)
                channels //= 2
        parts["norm5"] = nn.BatchNorm2d(channels)
        self.features = nn.Sequential(parts)
        self.classifier = nn.Linear(FEATURES, classes)
        self._initialize()

    def _initialize(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
        nn.init.normal_(self.classifier.weight, std=0.01)
        nn.init.zeros_(self.classifier.bias)

    def forward_with_features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """float32 (N, 3, H, W) -> logits (N, classes), pooling input (N, 1024, H/32, W/32)."""
        maps = torch.relu(self.features(x))
        return self.classifier(torch.mean(maps, dim=(2, 3))), maps

    def forward(self, x: Tensor) -> Tensor:
        """float32 (N, 3, H, W) -> logits (N, classes)."""
        logits, _ = self.forward_with_features(x)
        return logits
