"""`segunet-512` and `segunet-256`: the attention U-Net for bone tumours."""

from typing import TYPE_CHECKING

from ..runtime.spec import (
    ExplanationSpec,
    IntendedUse,
    MaskRules,
    ModelSpec,
    OutputSpec,
    Scaling,
    WeightsSource,
)
from .family import Family, PublishedMasks
from .inputs import square_input
from .layers import Cost

if TYPE_CHECKING:
    from torch import nn

FULL = "segunet-512"
OURS = "segunet-256"
SIDES = {FULL: 512, OURS: 256}
CHANNELS = (32, 64, 128, 256, 512)
ATTRIBUTION = (
    "BTXRD: Yao et al. 2025, A Radiograph Dataset for the Classification, Localization, and "
    "Segmentation of Primary Bone Tumors, Scientific Data, doi 10.1038/s41597-024-04311-y; users "
    "report CC BY 4.0 for the data and CC BY-NC-ND for the paper: check before commercial use"
)
_USE = IntendedUse(
    statement="second opinion on bone radiographs of limbs, shoulder and pelvis: outlines what "
    "looks like a primary bone tumour; a clinician decides",
    body_part="EXTREMITY",
    modalities=("CR", "DX"),
    age_years=None,
    not_for=(
        "skull, spine, ribs and chest",
        "telling benign from malignant, or naming the tumour",
        "ruling a tumour out, or deciding alone",
        "fractures, infection, metastases: they were not labelled",
        "measuring growth or planning an operation",
    ),
)
_GEOMETRY = "Other data geometry"
NOTES = {
    _GEOMETRY: (
        "The data came to us squashed to 256 x 256; the thesis that this network is from trained "
        "on films of full size, letterboxed to 512. Figures of the two are not of one kind."
    ),
    "Neighbours": (
        "BTXRD names no patients here. Views of one patient lie beside each other, so the split is "
        "by blocks of neighbours; a patient at the edge of a block may be in two parts."
    ),
}
# What the thesis that the network is from reports.
THESIS = PublishedMasks(
    source="thesis",
    note=_GEOMETRY,
    pixel_accuracy=0.7921,
    mean_iou=0.4901,
    iou=0.4596,
    dice=0.5633,
    precision=0.6105,
    recall=0.5792,
    f1=0.5948,
)


def spec(name: str) -> ModelSpec:
    """What the model is before conversion."""
    side = SIDES[name]
    coarse = side >> (len(CHANNELS) - 1)
    return ModelSpec(
        name=name,
        version="1.0.0",
        task="segmentation",
        licence="Apache-2.0 (code and weights); training data as its users report, CC BY 4.0",
        intended_use=_USE,
        input=square_input(
            side, 1, Scaling(mean=(0.0,), std=(1.0,)), pad=0 if name == FULL else None
        ),
        outputs=(
            OutputSpec("mask", "mask", (1, side, side), "sigmoid", ("TUMOUR",), "TUMOUR"),
            OutputSpec("features", "features", (CHANNELS[-1], coarse, coarse), "none", (), None),
        ),
        explanation=ExplanationSpec("features", "down.4", pooling_linear_head=False),
        weights=WeightsSource(f"{name}.safetensors", "Apache-2.0", ATTRIBUTION),
        mask=MaskRules(min_area_share=0.0005, max_regions=0, smooth=0.004),
    )


def cost(side: int) -> Cost:
    """Parameters and mult-adds for side x side pixels, by counting over `attention_unet.py`."""
    weights, biases, norms, mult_adds = 0, 0, 0, 0

    def add(kernel: int, bias: int, positions: int) -> None:
        nonlocal weights, biases, mult_adds
        weights, biases, mult_adds = weights + kernel, biases + bias, mult_adds + kernel * positions

    def double(inputs: int, outputs: int, positions: int) -> None:
        nonlocal norms
        add(9 * inputs * outputs, outputs, positions)
        add(9 * outputs * outputs, outputs, positions)
        norms += 2 * outputs

    positions = [(side >> level) ** 2 for level in range(len(CHANNELS))]
    for inputs, outputs, here in zip((1, *CHANNELS), CHANNELS, positions, strict=False):
        double(inputs, outputs, here)
    for level in range(len(CHANNELS) - 2, -1, -1):
        outputs, here = CHANNELS[level], positions[level]
        add(4 * CHANNELS[level + 1] * outputs, outputs, positions[level + 1])
        inner = outputs // 2
        for _ in ("gate", "skip"):
            add(outputs * inner, inner, here)
        add(inner, 1, here)
        double(2 * outputs, outputs, here)
    add(CHANNELS[0], 1, positions[0])
    trainable = weights + biases + 2 * norms
    return Cost(trainable + 2 * norms, trainable, mult_adds)


def _build(name: str) -> "nn.Module":
    from .attention_unet import AttentionUNet

    return AttentionUNet(CHANNELS)


def _cost(name: str) -> Cost:
    return cost(SIDES[name])


FAMILY = Family(
    (FULL, OURS),
    spec,
    _build,
    _cost,
    False,
    user_weights=frozenset({FULL}),
    notes=NOTES,
    published=THESIS,
)
