"""The backbone of YOLO-NAS: a stem, four stages, and pooling over the coarsest map."""

from torch import Tensor, nn

from .blocks import CspLayer, QARepVGG, Spp
from .sizes import Csp, Size

Maps = tuple[Tensor, Tensor, Tensor, Tensor]


class Stem(nn.Module):
    """Three channels at half the size."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.conv = QARepVGG(3, outputs, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """float32 (N, 3, H, W) -> (N, outputs, H / 2, W / 2), >= 0."""
        out: Tensor = self.conv(x)
        return out


class Stage(nn.Module):
    """Half the size, then a CSP layer."""

    def __init__(self, inputs: int, outputs: int, csp: Csp) -> None:
        super().__init__()
        self.downsample = QARepVGG(inputs, outputs, stride=2)
        self.blocks = CspLayer(outputs, outputs, csp)

    def forward(self, x: Tensor) -> Tensor:
        """float32 (N, inputs, H, W) -> (N, outputs, H / 2, W / 2), >= 0."""
        out: Tensor = self.blocks(self.downsample(x))
        return out


class Backbone(nn.Module):
    """Feature maps at strides 4, 8, 16 and 32."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        c2, c3, c4, c5 = size.stage_widths
        self.stem = Stem(size.stem)
        self.stage1 = Stage(size.stem, c2, size.stages[0])
        self.stage2 = Stage(c2, c3, size.stages[1])
        self.stage3 = Stage(c3, c4, size.stages[2])
        self.stage4 = Stage(c4, c5, size.stages[3])
        self.context_module = Spp(c5)

    def forward(self, x: Tensor) -> Maps:
        """float32 (N, 3, H, W) -> maps of the four stages' widths, >= 0."""
        c2 = self.stage1(self.stem(x))
        c3 = self.stage2(c2)
        c4 = self.stage3(c3)
        return c2, c3, c4, self.context_module(self.stage4(c4))
