"""The two models on DenseNet121: five findings of a user's checkpoint, and our pneumonia types."""

from typing import TYPE_CHECKING

from ..runtime.spec import (
    ExplanationSpec,
    IntendedUse,
    ModelSpec,
    OutputSpec,
    WeightsSource,
)
from .chest import ATTRIBUTION
from .densenet_sizes import FEATURES, cost
from .family import Family
from .layers import Cost
from .resnet_sizes import SIDE
from .resnets import imagenet_input

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
