"""YOLO-NAS in torch: the raw network that is trained, and the detector that is deployed."""

from torch import Tensor, nn

from .backbone import Backbone
from .decoding import boxes_of, places
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
        side: of the square input in pixels: the places are constants of the graph.
    """

    def __init__(self, network: nn.Module, side: int) -> None:
        super().__init__()
        self.network = network
        centres, strides = places(side, side)
        self.register_buffer("centres", centres, persistent=False)
        self.register_buffer("strides", strides, persistent=False)

    def forward(self, film: Tensor) -> tuple[Tensor, Tensor]:
        """float32 (N, 3, side, side) -> boxes (N, places, 4), x0 y0 x1 y1 in input pixels, not
        clipped; class logits (N, places, classes)."""
        raw = self.network(film)
        centres, strides = self.get_buffer("centres"), self.get_buffer("strides")
        return boxes_of(raw[..., :SIDE_VALUES], centres, strides), raw[..., SIDE_VALUES:]


def detect(network: YoloNas, films: Tensor) -> tuple[Tensor, Tensor]:
    """`Detector` for inputs of any size: (N, 3, H, W) -> boxes and class logits."""
    raw = network(films)
    centres, strides = places(films.shape[2], films.shape[3])
    sides = raw[..., :SIDE_VALUES]
    boxes = boxes_of(sides, centres.to(raw.device), strides.to(raw.device))
    logits: Tensor = raw[..., SIDE_VALUES:]
    return boxes, logits
