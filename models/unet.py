"""A small U-Net in torch: two 3x3 convolutions a level, max pooling, transposed convolutions.

Ronneberger, Fischer, Brox 2015, "U-Net", with batch normalization and same padding.
"""

import torch
from torch import Tensor, nn


def _double(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class UNet(nn.Module):
    """One film channel in, one channel of logits out, at the same size.

    Args:
        channels: of the levels, finest first; the side must be divisible by 2^(levels - 1).
    """

    def __init__(self, channels: tuple[int, ...] = (12, 24, 48, 96)) -> None:
        super().__init__()
        self.down = nn.ModuleList(
            _double(i, o) for i, o in zip((1, *channels), channels, strict=False)
        )
        self.pool = nn.MaxPool2d(2)
        pairs = list(zip(channels[:0:-1], channels[-2::-1], strict=True))
        self.up = nn.ModuleList(nn.ConvTranspose2d(i, o, 2, stride=2) for i, o in pairs)
        self.merge = nn.ModuleList(_double(2 * o, o) for _, o in pairs)
        self.head = nn.Conv2d(channels[0], 1, 1)
        self._initialize()

    def _initialize(self) -> None:
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        nn.init.normal_(self.head.weight, std=0.01)
        if self.head.bias is not None:
            nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor) -> Tensor:
        """float32 (N, 1, H, W) -> logits (N, 1, H, W)."""
        skips: list[Tensor] = []
        for i, level in enumerate(self.down):
            x = level(x if i == 0 else self.pool(x))
            skips.append(x)
        for up, merge, skip in zip(self.up, self.merge, skips[-2::-1], strict=True):
            x = merge(torch.cat([skip, up(x)], dim=1))
        logits: Tensor = self.head(x)
        return logits
