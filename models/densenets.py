"""The two models on DenseNet121: five findings of a user's checkpoint, and our pneumonia types."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..runtime.spec import (
    ExplanationSpec,
    IntendedUse,
    ModelSpec,
    OutputSpec,
    WeightsSource,
)
from .chest import ATTRIBUTION
from .family import Family
from .layers import Conv, Cost, Placed, total
from .resnets import SIDE, imagenet_input

if TYPE_CHECKING:
    from torch import nn

FINDINGS_NAME = "densenet121-224"
TYPE_NAME = "pneumonia-type-224"
LABELS = {
    FINDINGS_NAME: (
        "Bronchitis",
        "Broncho-pneumonia",
        "Other disease",
        "Bronchiolitis",
        "Pneumonia",
    ),
    TYPE_NAME: ("BACTERIA", "VIRUS"),
}
FIRST_CHANNELS = 64
# Channels that each layer adds, and those between its two convolutions.
GROWTH = 32
BETWEEN = 4 * GROWTH
# Layers of the dense blocks; a transition between two halves channels and side.
BLOCKS = (6, 12, 24, 16)
FEATURES = 1024

_TYPE_USE = IntendedUse(
    statement="on frontal chest films of children of 1 to 5 years on which pneumonia was found: "
    "whether it looks bacterial or viral; a clinician decides",
    body_part="CHEST",
    modalities=("CR", "DX"),
    age_years=(1.0, 5.0),
    not_for=(
        "films without pneumonia: it was trained on none",
        "adults, infants under one year, lateral views, other body parts",
        "deciding alone, or withholding antibiotics",
        "the germ itself: bacterial and viral pneumonia overlap on films",
    ),
)
_FINDINGS_USE = IntendedUse(
    statement="names findings on frontal chest films of children, with the checkpoint that the "
    "user brings; a clinician decides",
    body_part="CHEST",
    modalities=("CR", "DX"),
    age_years=(0.0, 10.0),
    not_for=(
        "adults, lateral views, other body parts",
        "deciding alone, or ruling out a disease",
    ),
)
_OWN = "of the checkpoint that the user brings"


def spec(name: str) -> ModelSpec:
    """What the model is before conversion."""
    labels = LABELS[name]
    ours = name == TYPE_NAME
    side = SIDE // 32
    return ModelSpec(
        name=name,
        version="1.0.0",
        task="findings",
        licence="Apache-2.0 (code and weights); training data CC BY 4.0"
        if ours
        else f"Apache-2.0 (code); weights: {_OWN}",
        intended_use=_TYPE_USE if ours else _FINDINGS_USE,
        input=imagenet_input(),
        outputs=(
            OutputSpec("logits", "logits", (len(labels),), "sigmoid", labels, None),
            OutputSpec("features", "features", (FEATURES, side, side), "none", (), None),
        ),
        explanation=ExplanationSpec("features", "relu(features.norm5)", pooling_linear_head=True),
        weights=WeightsSource(
            f"{name}.safetensors", "Apache-2.0" if ours else _OWN, ATTRIBUTION if ours else _OWN
        ),
    )


def convolutions() -> Iterator[Placed]:
    """All convolutions with their output's side."""
    side = SIDE // 2
    yield Placed(Conv("features.conv0", 3, FIRST_CHANNELS, 7, 2, 1), side)
    side //= 2
    channels = FIRST_CHANNELS
    for block, layers in enumerate(BLOCKS, start=1):
        for layer in range(1, layers + 1):
            at = f"features.denseblock{block}.denselayer{layer}"
            yield Placed(Conv(f"{at}.conv1", channels, BETWEEN, 1, 1, 1), side)
            yield Placed(Conv(f"{at}.conv2", BETWEEN, GROWTH, 3, 1, 1), side)
            channels += GROWTH
        if block < len(BLOCKS):
            half = channels // 2
            yield Placed(Conv(f"features.transition{block}.conv", channels, half, 1, 1, 1), side)
            channels, side = half, side // 2


def cost(classes: int) -> Cost:
    """By counting over the definition."""
    placed = tuple(convolutions())
    # Normalization comes before each convolution but the first, which has it behind; and last.
    norms = FIRST_CHANNELS + sum(p.conv.inputs for p in placed[1:]) + FEATURES
    return total(placed, norms, FEATURES, classes)


def _build(name: str) -> "nn.Module":
    from .densenet import DenseNet121

    return DenseNet121(len(LABELS[name]))


def _cost(name: str) -> Cost:
    return cost(len(LABELS[name]))


FAMILY = Family(
    tuple(LABELS),
    spec,
    _build,
    _cost,
    chest=True,
    user_weights=frozenset({FINDINGS_NAME}),
)
