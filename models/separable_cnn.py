"""The separable CNN of a Keras notebook, in torch, layer for layer.

Batch normalization has Keras' eps 1e-3. The dense layers take maps flattened channels first;
Keras flattens channels last, so `keras_files.py` reorders the first dense layer's weights.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from .layers import BN_EPS
from .separable_cnn_sizes import DENSE, FILTERS, SIDE, STEM, flattened


class SeparableConv(nn.Module):
    """Keras' SeparableConv2D: 3x3 a channel, 1x1 across them with bias, ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False)
        self.pointwise = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """float32 (N, inputs, H, W) -> (N, outputs, H, W), >= 0."""
        return functional.relu(self.pointwise(self.depthwise(x)))


class Block(nn.Module):
    """Two separable convolutions, batch normalization, pooling, dropout."""

    def __init__(self, inputs: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.first = SeparableConv(inputs, outputs)
        self.second = SeparableConv(outputs, outputs)
        self.bn = nn.BatchNorm2d(outputs, eps=BN_EPS)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """float32 (N, inputs, H, W) -> the second convolution's maps (N, outputs, H, W), >= 0, and
        what goes on, (N, outputs, H // 2, W // 2)."""
        maps = self.second(self.first(x))
        return maps, self.dropout(functional.max_pool2d(self.bn(maps), 2))


class Dense(nn.Module):
    """Linear, ReLU, batch normalization, dropout, in the notebook's order."""

    def __init__(self, inputs: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.bn = nn.BatchNorm1d(outputs, eps=BN_EPS)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """float32 (N, inputs) -> (N, outputs)."""
        units: Tensor = self.dropout(self.bn(functional.relu(self.linear(x))))
        return units


class SeparableCNN(nn.Module):
    """NORMAL / PNEUMONIA as logits (0, z), z being the input of the notebook's sigmoid.

    Args:
        side: of the square input in pixels; the first dense layer is made for it.
    """

    def __init__(self, side: int = SIDE) -> None:
        super().__init__()
        self.stem = nn.ModuleList([nn.Conv2d(c, STEM, 3, padding=1) for c in (3, STEM)])
        channels = [STEM, *(filters for filters, _ in FILTERS)]
        self.blocks = nn.ModuleList(
            Block(inputs, filters, dropout)
            for inputs, (filters, dropout) in zip(channels, FILTERS, strict=False)
        )
        units = [flattened(side), *(units for units, _ in DENSE)]
        self.dense = nn.ModuleList(
            Dense(inputs, outputs, dropout)
            for inputs, (outputs, dropout) in zip(units, DENSE, strict=False)
        )
        self.head = nn.Linear(units[-1], 1)
        self._initialize()

    def _initialize(self) -> None:
        """As Keras: Glorot's uniform, biases 0. Depthwise kernels keep the variance instead:
        Keras' rule divides it by their number of channels, and learning then starts slowly."""
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                if isinstance(module, nn.Conv2d) and module.groups > 1:
                    nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
                else:
                    nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward_with_features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """float32 (N, 3, side, side) -> logits (N, 2), last maps (N, C, h, w)."""
        for conv in self.stem:
            x = functional.relu(conv(x))
        x = functional.max_pool2d(x, 2)
        features = x
        for block in self.blocks:
            features, x = block(x)
        x = torch.flatten(x, 1)
        for dense in self.dense:
            x = dense(x)
        return functional.pad(self.head(x), (1, 0)), features

    def forward(self, x: Tensor) -> Tensor:
        """float32 (N, 3, side, side) -> logits (N, 2)."""
        logits, _ = self.forward_with_features(x)
        return logits
