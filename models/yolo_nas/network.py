"""YOLO-NAS in torch: the raw network that is trained, and the detector that is deployed."""

from collections.abc import Mapping

from torch import Tensor, nn

from .backbone import Backbone
from .decoding import boxes_of, places
from .fusion import fuse
from .heads import Heads
from .neck import Neck
from .sizes import BINS, SIDES, Size

SIDE_VALUES = SIDES * BINS


class YoloNas(nn.Module):
    """Backbone, neck and heads. Height and width of the input are multiples of 32.

    Args:
        classes: labels that a box can have, none excludes another.
    """

    def __init__(self, size: Size, classes: int) -> None:
        super().__init__()
        self.backbone = Backbone(size)
        self.neck = Neck(size)
        self.heads = Heads(size, classes)
        self._initialize()

    def _initialize(self) -> None:
        """As torch begins, but convolutions before a ReLU as He et al. 2015 have them."""
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d) and not name.endswith("_pred"):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def resize_for(self, tensors: Mapping[str, Tensor]) -> int | None:
        """Heads of as many classes as a checkpoint has; None where it has no heads."""
        last = tensors.get("heads.head1.cls_pred.weight")
        if last is None or last.ndim != 4:
            return None
        if len(last) != self.classes:
            self.heads.resize(len(last))
        return len(last)

    def decoded(self, height: int, width: int) -> nn.Module:
        """This network, its boxes decoded; see `Detector`."""
        return Detector(self, height, width)

    def deployed(self, height: int, width: int) -> nn.Module:
        """A copy for the device: fused, its boxes decoded; see `Detector`."""
        return Detector(fuse(self), height, width)

    @property
    def classes(self) -> int:
        """Labels of a box."""
        return self.heads.head1.cls_pred.out_channels

    def forward(self, x: Tensor) -> Tensor:
        """float32 (N, 3, H, W) -> (N, places, 68 + classes): bins of the sides left, top, right,
        bottom as logits, then class logits; places at stride 8, 16, 32, row by row."""
        out: Tensor = self.heads(self.neck(self.backbone(x)))
        return out


class Detector(nn.Module):
    """The network with its boxes decoded; what is exported.

    Args:
        network: as it was trained, or fused.
        height, width: of the input in pixels: the places are constants of the graph.
    """

    def __init__(self, network: nn.Module, height: int, width: int) -> None:
        super().__init__()
        self.network = network
        centres, strides = places(height, width)
        self.register_buffer("centres", centres, persistent=False)
        self.register_buffer("strides", strides, persistent=False)

    def forward(self, film: Tensor) -> tuple[Tensor, Tensor]:
        """float32 (N, 3, height, width) -> class logits (N, places, classes); boxes
        (N, places, 4), x0 y0 x1 y1 in input pixels, not clipped."""
        raw = self.network(film)
        centres, strides = self.get_buffer("centres"), self.get_buffer("strides")
        boxes = boxes_of(raw[..., :SIDE_VALUES], centres, strides)
        return raw[..., SIDE_VALUES:], boxes
