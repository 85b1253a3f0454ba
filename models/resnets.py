"""`resnet50-224`: its definition as data, and what it is before conversion."""

from collections.abc import Iterator
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
from .layers import Conv, Cost, Placed, total

if TYPE_CHECKING:
    from torch import nn

NAME = "resnet50-224"
SIDE = 224
# Mean and deviation of ImageNet, so that checkpoints that began there fit.
IMAGENET = Scaling(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
FIRST_CHANNELS = 64
# A block's output has EXPANSION times the channels of its 3x3 convolution.
EXPANSION = 4
# (channels of the 3x3 convolution, blocks, stride of the first block)
STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))
FEATURES = STAGES[-1][0] * EXPANSION


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


def convolutions() -> Iterator[Placed]:
    """All convolutions with their output's side; the stride is in the 3x3 one ("v1.5")."""
    side = SIDE // 2
    yield Placed(Conv("conv1", 3, FIRST_CHANNELS, 7, 2, 1), side)
    side //= 2
    inputs = FIRST_CHANNELS
    for stage, (channels, blocks, first_stride) in enumerate(STAGES, start=1):
        outputs = channels * EXPANSION
        for block in range(blocks):
            stride = first_stride if block == 0 else 1
            at = f"layer{stage}.{block}"
            yield Placed(Conv(f"{at}.conv1", inputs, channels, 1, 1, 1), side)
            side //= stride
            yield Placed(Conv(f"{at}.conv2", channels, channels, 3, stride, 1), side)
            yield Placed(Conv(f"{at}.conv3", channels, outputs, 1, 1, 1), side)
            if block == 0:
                yield Placed(Conv(f"{at}.downsample.0", inputs, outputs, 1, stride, 1), side)
            inputs = outputs


def cost(classes: int = len(LABELS)) -> Cost:
    """By counting over the definition."""
    placed = tuple(convolutions())
    return total(placed, sum(p.conv.outputs for p in placed), FEATURES, classes)


def _build(name: str) -> "nn.Module":
    from .resnet import ResNet50

    return ResNet50(len(LABELS))


def _cost(name: str) -> Cost:
    return cost()


FAMILY = Family((NAME,), spec, _build, _cost, chest=True)
