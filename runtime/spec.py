"""What a model is before conversion; the manifest carries the same records on.

Shapes are without the batch axis and channels first: (C, H, W) for maps, (K,) for scores.
"""

from dataclasses import dataclass
from typing import Literal

from .guarding import USUAL_BUDGET, Budget

Task = Literal["classification", "findings", "detection", "segmentation", "promptable-segmentation"]
Resize = Literal["stretch", "letterbox"]
ResizeFilter = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]
Activation = Literal["softmax", "sigmoid", "none"]
Meaning = Literal["logits", "features", "mask", "boxes", "embedding", "quality"]
Voi = Literal["file", "full-range"]
Region = Literal["film", "lungs"]
# Of a promptable model: its two graphs, and the decoder's input (1, 4) for x0, y0, x1, y1 in pixels
# of the network's input. The decoder's other inputs are outputs of the encoder.
ENCODER = "encoder"
DECODER = "decoder"
BOX = "box"


@dataclass(frozen=True)
class IntendedUse:
    """For whom the model was made. `age_years` is (from, to), None where not restricted."""

    statement: str
    body_part: str
    modalities: tuple[str, ...]
    age_years: tuple[float, float] | None
    not_for: tuple[str, ...]


@dataclass(frozen=True)
class DicomRules:
    """How a DICOM film becomes 8 bit (PS3.3 C.11.1, C.11.2).

    `voi` "file": the first VOI window or LUT of the file, its full range where it has none;
    "full-range": always minimum to maximum.
    """

    voi: Voi


@dataclass(frozen=True)
class Scaling:
    """y = (pixel / 255 - mean) / std, one value a channel, float32."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class InputSpec:
    """The network's film input. `pad_value` (0..255) fills a letterbox, None for stretch.

    `region` "lungs": the network was made for films cropped to the lungs; a pipeline crops for
    it, and a predictor of it alone takes no whole film.
    """

    name: str
    height: int
    width: int
    channels: int
    resize: Resize
    filter: ResizeFilter
    pad_value: int | None
    scaling: Scaling
    dicom: DicomRules
    region: Region = "film"

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return (self.channels, self.height, self.width)


@dataclass(frozen=True)
class OutputSpec:
    """One output of the model.

    `labels` in the order of the K scores, or of the channels of a mask; empty for other maps.
    `positive_label` names the finding of a binary output, None otherwise. A detector has logits
    (N, K) and boxes (N, 4): x0, y0, x1, y1 in pixels of the network's input. "quality" (1,) is the
    intersection over union that a mask is expected to have, 0..1.
    """

    name: str
    meaning: Meaning
    shape: tuple[int, ...]
    activation: Activation
    labels: tuple[str, ...]
    positive_label: str | None


@dataclass(frozen=True)
class ExplanationSpec:
    """Which output holds the feature map (C, h, w), and the layer it comes from.

    `pooling_linear_head`: the scores are global average pooling of that map and one linear
    layer, so class maps need no autograd.
    """

    output: str
    layer: str
    pooling_linear_head: bool


@dataclass(frozen=True)
class MaskRules:
    """How a mask of probabilities becomes regions.

    Attributes:
        min_area_share: regions below this share of the film's area are dropped.
        max_regions: the largest so many are kept, 0 keeps all.
        smooth: standard deviation of the blur before thresholding, share of the input's side.
    """

    min_area_share: float
    max_regions: int
    smooth: float


@dataclass(frozen=True)
class DetectionRules:
    """How a detector's raw boxes become the boxes that it answers with; see `nms.py`.

    Attributes:
        nms_iou: of two boxes of one label that overlap by more than this, the less sure one goes.
        max_candidates: the surest so many (box, label) pairs are compared.
        max_boxes: the surest so many are answered.
    """

    nms_iou: float
    max_candidates: int
    max_boxes: int


@dataclass(frozen=True)
class WeightsSource:
    """Where the reference weights come from. `file` is looked for in the weights folders."""

    file: str
    licence: str
    attribution: str


@dataclass(frozen=True)
class ModelSpec:
    """A model of the zoo before conversion."""

    name: str
    version: str
    task: Task
    licence: str
    intended_use: IntendedUse
    input: InputSpec
    outputs: tuple[OutputSpec, ...]
    explanation: ExplanationSpec | None
    weights: WeightsSource
    mask: MaskRules | None = None
    budget: Budget = USUAL_BUDGET
    detection: DetectionRules | None = None

    def output(self, meaning: Meaning) -> OutputSpec:
        """The first output of that meaning.

        Raises:
            KeyError: the model has none.
        """
        for spec in self.outputs:
            if spec.meaning == meaning:
                return spec
        raise KeyError(f"model '{self.name}' has no output that means {meaning!r}")
