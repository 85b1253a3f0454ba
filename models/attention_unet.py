"""A U-Net with attention gates on its skips, in torch.

Oktay et al. 2018, "Attention U-Net", with the gate at the skip's own size: the decoder's map is
brought up by a transposed convolution first and then gates the skip. Convolutions have a bias
and batch normalization Keras' eps 1e-3, so that weights of a Keras model fit.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from .layers import BN_EPS

DROPOUT = 0.1
# The first logits.
_PRIOR = -2.0


class Double(nn.Module):
    """3x3 convolution, batch normalization, ReLU; twice."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(outputs, eps=BN_EPS)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(outputs, eps=BN_EPS)

    def forward(self, x: Tensor) -> Tensor:
        """float32 (N, inputs, H, W) -> (N, outputs, H, W), >= 0."""
        x = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(x)))


class Gate(nn.Module):
    """Attention: which places of a skip pass, as the decoder's map says."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.skip = nn.Conv2d(channels, channels // 2, 1)
        self.gate = nn.Conv2d(channels, channels // 2, 1)
        self.psi = nn.Conv2d(channels // 2, 1, 1)

    def forward(self, skip: Tensor, gate: Tensor) -> Tensor:
        """float32 (N, C, H, W) twice -> the skip times 0..1 a place."""
        both = functional.relu(self.skip(skip) + self.gate(gate))
        return skip * torch.sigmoid(self.psi(both))


class AttentionUNet(nn.Module):
    """One film channel in, one channel of logits out, at the same size.

    Args:
        channels: of the levels, finest first; the side must be divisible by 2^(levels - 1).
        dropout: share of each pooled map dropped in training.
    """

    def __init__(
        self, channels: tuple[int, ...] = (32, 64, 128, 256, 512), dropout: float = DROPOUT
    ) -> None:
        super().__init__()
        self.down = nn.ModuleList(
            Double(i, o) for i, o in zip((1, *channels), channels, strict=False)
        )
        self.dropout = nn.Dropout(dropout)
        pairs = list(zip(channels[:0:-1], channels[-2::-1], strict=True))
        self.up = nn.ModuleList(nn.ConvTranspose2d(i, o, 2, stride=2) for i, o in pairs)
        self.gates = nn.ModuleList(Gate(o) for _, o in pairs)
        self.merge = nn.ModuleList(Double(2 * o, o) for _, o in pairs)
        self.head = nn.Conv2d(channels[0], 1, 1)
        self._initialize()

    def _initialize(self) -> None:
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        # Most pixels are no tumour: with a prior of .12 (Lin et al. 2017, section 4.1) and a head
        # that is not flat, masks appear some hundred steps earlier than with 0 and .01.
        nn.init.kaiming_normal_(self.head.weight, nonlinearity="linear")
        if self.head.bias is not None:
            nn.init.constant_(self.head.bias, _PRIOR)

    def forward_with_features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """float32 (N, 1, H, W) -> logits (N, 1, H, W), the bottleneck's maps (N, C, h, w), >= 0:
        the coarsest level, where the most of the film is seen at once."""
        skips: list[Tensor] = []
        for i, level in enumerate(self.down):
            x = level(x if i == 0 else self.dropout(functional.max_pool2d(x, 2)))
            skips.append(x)
        for up, gate, merge, skip in zip(
            self.up, self.gates, self.merge, skips[-2::-1], strict=True
        ):
            raised = up(x)
            x = merge(torch.cat([gate(skip, raised), raised], dim=1))
        return self.head(x), skips[-1]

    def forward(self, x: Tensor) -> Tensor:
        """float32 (N, 1, H, W) -> logits (N, 1, H, W)."""
        logits, _ = self.forward_with_features(x)
        return logits
