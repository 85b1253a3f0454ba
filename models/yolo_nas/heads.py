"""The heads of YOLO-NAS: for each place, class logits and where the four sides of its box are."""

import math

import torch
from torch import Tensor, nn

from .blocks import HeadConv
from .sizes import BINS, SIDES, Size

# Few places hold anything: every class begins at this probability (Lin et al. 2017, focal loss).
PRIOR = 0.01


class Head(nn.Module):
    """One stride's head; nothing is shared between strides."""

    def __init__(self, inputs: int, width: int, classes: int) -> None:
        super().__init__()
        self.stem = HeadConv(inputs, width, 1)
        self.cls_convs = nn.Sequential(HeadConv(width, width, 3))
        self.reg_convs = nn.Sequential(HeadConv(width, width, 3))
        self.cls_pred = nn.Conv2d(width, classes, 1)
        self.reg_pred = nn.Conv2d(width, SIDES * BINS, 1)
        self.begin()

    def begin(self) -> None:
        """Start values of the two last layers: few boxes, all bins alike."""
        with torch.no_grad():
            for value in self.reg_pred.parameters():
                value.zero_()
        self.begin_classes(self.cls_pred.out_channels)

    def begin_classes(self, classes: int) -> None:
        """A fresh last layer for so many classes, each rare."""
        last = nn.Conv2d(self.cls_pred.in_channels, classes, 1).to(self.cls_pred.weight)
        with torch.no_grad():
            for value in last.parameters():
                value.zero_()
            if last.bias is not None:
                last.bias.fill_(-math.log((1 - PRIOR) / PRIOR))
        self.cls_pred = last

    def forward(self, x: Tensor) -> Tensor:
        """float32 (N, inputs, h, w) -> (N, h w, 68 + classes), row by row."""
        x = self.stem(x)
        sides = self.reg_pred(self.reg_convs(x))
        logits = self.cls_pred(self.cls_convs(x))
        return torch.cat([sides, logits], dim=1).flatten(2).transpose(1, 2)


class Heads(nn.Module):
    """The three heads, the finest first."""

    def __init__(self, size: Size, classes: int) -> None:
        super().__init__()
        widths = zip(size.neck_widths[1:], size.heads, strict=True)
        self.head1, self.head2, self.head3 = (Head(i, w, classes) for i, w in widths)

    def forward(self, maps: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """Maps at strides 8, 16, 32 -> (N, places, 68 + classes)."""
        p3, p4, p5 = maps
        return torch.cat([self.head1(p3), self.head2(p4), self.head3(p5)], dim=1)

    def resize(self, classes: int) -> None:
        """Fresh class logits for so many classes; all else stays."""
        for head in (self.head1, self.head2, self.head3):
            head.begin_classes(classes)
