"""`separable-cnn-180`: its definition as data, and what it is before conversion.

The network of the Keras example "Pneumonia Classification on TPU" (Jang 2020), known as a Kaggle
notebook: https://keras.io/examples/vision/xray_classification_with_tpus/
"""

from typing import TYPE_CHECKING

from ..runtime.spec import (
    ExplanationSpec,
    ModelSpec,
    OutputSpec,
    Scaling,
    WeightsSource,
)
from .chest import ATTRIBUTION, LABELS, USE, chest_input
from .family import Family
from .layers import Cost
from .separable_cnn_sizes import FILTERS, SIDE, cost, sides

if TYPE_CHECKING:
    from torch import nn

NAME = "separable-cnn-180"
NOTES = {
    "A published notebook's three mistakes": (
        "The notebook that this network was found in trained at 180 x 180 on [0, 1] pixels, "
        "predicted at 224 x 224 after VGG's subtraction of channel means, and printed the two "
        "labels swapped. Nothing stopped it. Here size, scaling and the labels' order stand in the "
        "bundle's manifest alone, whose hash is the bundle's id: no caller can state another."
    ),
    "Output": (
        "The notebook has one sigmoid unit z for PNEUMONIA. Here the logits are (0, z): their "
        "softmax is sigmoid(z), so scores are the notebook's own."
    ),
    "INT8": (
        "Dense, ReLU, batch normalization, dense, as here, can fall to chance in TFLite's static "
        "INT8: folded into the next layer, units that hardly fire stretch its one scale. The "
        "network is left as published; believe an INT8 artifact by its measured agreement alone."
    ),
}


def spec(name: str) -> ModelSpec:
    """What the model is before conversion."""
    side = sides(SIDE)[-1]
    return ModelSpec(
        name=name,
        version="1.0.0",
        task="classification",
        licence="Apache-2.0 (code and weights); training data CC BY 4.0",
        intended_use=USE,
        input=chest_input(SIDE, Scaling(mean=(0.0,) * 3, std=(1.0,) * 3)),
        outputs=(
            OutputSpec("logits", "logits", (2,), "softmax", LABELS, "PNEUMONIA"),
            OutputSpec("features", "features", (FILTERS[-1][0], side, side), "none", (), None),
        ),
        explanation=ExplanationSpec("features", "blocks.3.second", pooling_linear_head=False),
        weights=WeightsSource(f"{name}.safetensors", "Apache-2.0", ATTRIBUTION),
    )


def _build(name: str) -> "nn.Module":
    from .separable_cnn import SeparableCNN

    return SeparableCNN(SIDE)


def _cost(name: str) -> Cost:
    return cost(SIDE)


FAMILY = Family((NAME,), spec, _build, _cost, chest=True, notes=NOTES)
