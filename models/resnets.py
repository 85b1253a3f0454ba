"""`resnet50-224`: its definition as data, and what it is before conversion."""

from typing import TYPE_CHECKING

from ..runtime.spec import (
    ExplanationSpec,
    InputSpec,
    ModelSpec,
    OutputSpec,
    Scaling,
    WeightsSource,
)
from .chest import ATTRIBUTION, LABELS, USE, chest_input
from .family import Family
from .layers import Cost
from .resnet_sizes import FEATURES, SIDE, cost

if TYPE_CHECKING:
    from torch import nn

NAME = "resnet50-224"
# Mean and deviation of ImageNet, so that checkpoints that began there fit.
IMAGENET = Scaling(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


def spec(name: str) -> ModelSpec:
    """What the model is before conversion."""
    return ModelSpec(
        name=name,
        version="1.0.0",
        task="classification",
        licence="Apache-2.0 (code and weights); training data CC BY 4.0",
        intended_use=USE,
        input=imagenet_input(),
        outputs=(
            OutputSpec("logits", "logits", (2,), "softmax", LABELS, "PNEUMONIA"),
            OutputSpec("features", "features", (FEATURES, 7, 7), "none", (), None),
        ),
        explanation=ExplanationSpec("features", "layer4", pooling_linear_head=True),
        weights=WeightsSource(f"{name}.safetensors", "Apache-2.0", ATTRIBUTION),
    )


def imagenet_input() -> InputSpec:
    """224 x 224, three channels alike, scaled as ImageNet's."""
    return chest_input(SIDE, IMAGENET)


def _build(name: str) -> "nn.Module":
    from .resnet import ResNet50

    return ResNet50(len(LABELS))


def _cost(name: str) -> Cost:
    return cost(len(LABELS))


FAMILY = Family((NAME,), spec, _build, _cost, chest=True)
