"""The 16 MobileNetV1 variants: their specs and the published figures."""

from dataclasses import dataclass
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
from .layers import Cost, cost, feature_shape

if TYPE_CHECKING:
    from torch import nn

WIDTHS = (1.0, 0.75, 0.5, 0.25)
RESOLUTIONS = (224, 192, 160, 128)


@dataclass(frozen=True)
class Published:
    """What the MobileNet paper's tables say of the ImageNet network with 1000 classes."""

    mult_adds_millions: int
    params_millions: float


@dataclass(frozen=True)
class ZooEntry:
    """A model's figures. `cost` is of the two-class network, `cost_1000` of the published one.

    `published_note` says where the published figure is wrong, "" where it holds.
    """

    name: str
    width: float
    resolution: int
    cost: Cost
    cost_1000: Cost
    published: Published
    published_note: str


_PUBLISHED_MULT_ADDS = {
    1.0: (569, 418, 291, 186),
    0.75: (317, 233, 162, 104),
    0.5: (150, 110, 77, 49),
    0.25: (41, 34, 21, 14),
}
_PUBLISHED_PARAMS = {1.0: 4.24, 0.75: 2.59, 0.5: 1.34, 0.25: 0.47}
_NOTE_075 = "2.6 % too low: exactly the first convolution is missing"
_NOTE_025_192 = "12.5 % too high: reads as a misprint of 30"


def spec(name: str) -> ModelSpec:
    """What the model is before conversion."""
    width, resolution = VARIANTS[name]
    scaling = Scaling(mean=(0.5,) * 3, std=(0.5,) * 3)
    return ModelSpec(
        name=name,
        version="1.0.0",
        task="classification",
        licence="Apache-2.0 (code and weights); training data CC BY 4.0",
        intended_use=USE,
        input=chest_input(resolution, scaling),
        outputs=(
            OutputSpec("logits", "logits", (2,), "softmax", LABELS, "PNEUMONIA"),
            OutputSpec("features", "features", feature_shape(width, resolution), "none", (), None),
        ),
        explanation=ExplanationSpec("features", "backbone.pw13", pooling_linear_head=True),
        weights=WeightsSource(f"{name}.safetensors", "Apache-2.0", ATTRIBUTION),
    )


def entry(name: str) -> ZooEntry:
    """Parameters, mult-adds and the published figures of a MobileNet."""
    width, resolution = VARIANTS[name]
    mult_adds = _PUBLISHED_MULT_ADDS[width][RESOLUTIONS.index(resolution)]
    note = _NOTE_075 if width == 0.75 else ""
    if (width, resolution) == (0.25, 192):
        note = _NOTE_025_192
    return ZooEntry(
        name=name,
        width=width,
        resolution=resolution,
        cost=cost(width, resolution, len(LABELS)),
        cost_1000=cost(width, resolution, 1000),
        published=Published(mult_adds, _PUBLISHED_PARAMS[width]),
        published_note=note,
    )


def _build(name: str) -> "nn.Module":
    from .mobilenet import MobileNetV1

    return MobileNetV1(VARIANTS[name][0])


def _cost(name: str) -> Cost:
    width, resolution = VARIANTS[name]
    return cost(width, resolution, len(LABELS))


def _name(width: float, resolution: int) -> str:
    return f"mobilenet-{width}-{resolution}"


VARIANTS = {_name(w, r): (w, r) for w in WIDTHS for r in RESOLUTIONS}
FAMILY = Family(tuple(VARIANTS), spec, _build, _cost, chest=True)
