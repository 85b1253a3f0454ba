"""ResNet50 in torch, with the names and shapes of torchvision's state_dict.

He, Zhang, Ren, Sun 2015, "Deep residual learning"; the stride lies in the 3x3 convolution, as
in torchvision and in the checkpoints that people have.
"""

import torch
from torch import Tensor, nn

from .resnet_sizes import EXPANSION, FEATURES, FIRST_CHANNELS, STAGES


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions, added to the input (or its projection)."""

    def __init__(self, inputs: int, channels: int, stride: int, project: bool) -> None:
        super().__init__()
        outputs = channels * EXPANSION
        self.conv1 = nn.Conv2d(inputs, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = (
            nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )
            if project
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """float32 (N, inputs, H, W) -> (N, 4 channels, H / stride, W / stride), not negative."""
        out = torch.relu(self.bn1(self.conv1(x)))
        out = torch.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return torch.relu(out + (x if self.downsample is None else self.downsample(x)))


class ResNet50(nn.Module):
    """A classifier: 16 bottleneck blocks, global average pooling, one linear layer.

    Args:
        classes: number of logits.
    """

    def __init__(self, classes: int = 2) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, FIRST_CHANNELS, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(FIRST_CHANNELS)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        inputs = FIRST_CHANNELS
        for stage, (channels, blocks, stride) in enumerate(STAGES, start=1):
            first = Bottleneck(inputs, channels, stride, project=True)
            inputs = channels * EXPANSION
            rest = [Bottleneck(inputs, channels, 1, project=False) for _ in range(blocks - 1)]
            self.add_module(f"layer{stage}", nn.Sequential(first, *rest))
        self.fc = nn.Linear(FEATURES, classes)
        self._initialize()

    def _initialize(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, Bottleneck):
                # Each block begins as the identity (Goyal et al. 2017, 5.1).
                nn.init.zeros_(module.bn3.weight)
        nn.init.normal_(self.fc.weight, std=0.01)
        nn.init.zeros_(self.fc.bias)

    def forward_with_features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """float32 (N, 3, H, W) -> logits (N, classes), pooling input (N, 2048, H/32, W/32)."""
        x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
        for stage in range(1, len(STAGES) + 1):
            x = self.get_submodule(f"layer{stage}")(x)
        return self.fc(torch.mean(x, dim=(2, 3))), x

    def forward(self, x: Tensor) -> Tensor:
        """float32 (N, 3, H, W) -> logits (N, classes)."""
        logits, _ = self.forward_with_features(x)
        return logits
