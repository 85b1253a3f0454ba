"""The neck of YOLO-NAS: twice up, twice down, so that each map has seen every other."""

import torch
from torch import Tensor, nn

from .backbone import Maps
from .blocks import ConvBN, CspLayer
from .sizes import Csp, Size


class Up(nn.Module):
    """A coarse map brought up and joined with two finer ones."""

    def __init__(self, inputs: tuple[int, int, int], width: int, csp: Csp) -> None:
        """`inputs`: channels of the coarse map, of the map wanted, and of the one twice as fine."""
        super().__init__()
        low, near, far = inputs
        self.reduce_skip1 = ConvBN(near, width, 1)
        self.reduce_skip2 = ConvBN(far, width, 1)
        self.conv = ConvBN(low, width, 1)
        self.upsample = nn.ConvTranspose2d(width, width, 2, stride=2)
        self.downsample = ConvBN(width, width, 3, stride=2)
        self.reduce_after_concat = ConvBN(3 * width, width, 1)
        self.blocks = CspLayer(width, width, csp)

    def forward(self, low: Tensor, near: Tensor, far: Tensor) -> tuple[Tensor, Tensor]:
        """The coarse map at its own size and the joined one at `near`'s, `width` channels each."""
        between = self.conv(low)
        parts = (
            self.upsample(between),
            self.reduce_skip1(near),
            self.downsample(self.reduce_skip2(far)),
        )
        return between, self.blocks(self.reduce_after_concat(torch.cat(parts, dim=1)))


class Down(nn.Module):
    """A fine map at half its size, joined with a coarser one."""

    def __init__(self, inputs: int, skip: int, width: int, csp: Csp) -> None:
        super().__init__()
        self.conv = ConvBN(inputs, width // 2, 3, stride=2)
        self.blocks = CspLayer(width // 2 + skip, width, csp, plain=True)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(N, inputs, 2h, 2w) and (N, skip, h, w) -> (N, width, h, w), >= 0."""
        out: Tensor = self.blocks(torch.cat([self.conv(x), skip], dim=1))
        return out


class Neck(nn.Module):
    """From the backbone's four maps to the heads' three."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        c2, c3, c4, c5 = size.stage_widths
        first, second, third, fourth = size.neck_widths
        self.neck1 = Up((c5, c4, c3), first, size.necks[0])
        self.neck2 = Up((first, c3, c2), second, size.necks[1])
        self.neck3 = Down(second, second, third, size.necks[2])
        self.neck4 = Down(third, first, fourth, size.necks[3])

    def forward(self, maps: Maps) -> tuple[Tensor, Tensor, Tensor]:
        """Maps at strides 8, 16 and 32, >= 0."""
        c2, c3, c4, c5 = maps
        coarse, middle = self.neck1(c5, c4, c3)
        between, fine = self.neck2(middle, c3, c2)
        p4 = self.neck3(fine, between)
        return fine, p4, self.neck4(p4, coarse)
