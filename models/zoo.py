"""The zoo: names and specs of the models. Torch is not needed before `build`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..runtime.errors import UnknownModelError
from ..runtime.spec import (
    DicomRules,
    ExplanationSpec,
    InputSpec,
    IntendedUse,
    ModelSpec,
    OutputSpec,
    Scaling,
    WeightsSource,
)
from .layers import Cost, cost, feature_shape

if TYPE_CHECKING:
    from .mobilenet import MobileNetV1

LABELS = ("NORMAL", "PNEUMONIA")
WIDTHS = (1.0, 0.75, 0.5, 0.25)
RESOLUTIONS = (224, 192, 160, 128)
ATTRIBUTION = (
    "Kermany, Zhang, Goldbaum 2018, Labeled Optical Coherence Tomography (OCT) and Chest X-Ray "
    "Images for Classification, Mendeley Data, doi 10.17632/rscbjbr9sj.2, CC BY 4.0"
)
_USE = IntendedUse(
    statement="second opinion on frontal chest films of children of 1 to 5 years: "
    "NORMAL or PNEUMONIA; a clinician decides",
    body_part="CHEST",
    modalities=("CR", "DX"),
    age_years=(1.0, 5.0),
    not_for=(
        "adults, infants under one year, lateral views, other body parts",
        "deciding alone, or ruling out pneumonia",
        "other findings: effusion, pneumothorax, tuberculosis and the like are not looked for",
        "telling bacterial from viral pneumonia",
    ),
)


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


def names() -> tuple[str, ...]:
    """All names, widest and largest first."""
    return tuple(_VARIANTS)


def spec(name: str) -> ModelSpec:
    """What the model is before conversion.

    Raises:
        UnknownModelError: the zoo has no such name.
    """
    width, resolution = _variant(name)
    scaling = Scaling(mean=(0.5,) * 3, std=(0.5,) * 3)
    return ModelSpec(
        name=name,
        version="1.0.0",
        task="classification",
        licence="Apache-2.0 (code and weights); training data CC BY 4.0",
        intended_use=_USE,
        input=InputSpec(
            name="film",
            height=resolution,
            width=resolution,
            channels=3,
            resize="stretch",
            filter="bilinear",
            pad_value=None,
            scaling=scaling,
            dicom=DicomRules(voi="file"),
        ),
        outputs=(
            OutputSpec("logits", "logits", (2,), "softmax", LABELS, "PNEUMONIA"),
            OutputSpec("features", "features", feature_shape(width, resolution), "none", (), None),
        ),
        explanation=ExplanationSpec("features", "backbone.pw13", pooling_linear_head=True),
        weights=WeightsSource(f"{name}.safetensors", "Apache-2.0", ATTRIBUTION),
    )


def entry(name: str) -> ZooEntry:
    """Parameters, mult-adds and the published figures.

    Raises:
        UnknownModelError: the zoo has no such name.
    """
    width, resolution = _variant(name)
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


def build(name: str) -> "MobileNetV1":
    """The torch network with fresh weights.

    Raises:
        UnknownModelError: the zoo has no such name.
    """
    width, _ = _variant(name)
    from .mobilenet import MobileNetV1

    return MobileNetV1(width)


def _name(width: float, resolution: int) -> str:
    return f"mobilenet-{width}-{resolution}"


_VARIANTS = {_name(w, r): (w, r) for w in WIDTHS for r in RESOLUTIONS}


def _variant(name: str) -> tuple[float, int]:
    if name not in _VARIANTS:
        raise UnknownModelError(
            f"no model {name!r} in the zoo; expected one of {', '.join(_VARIANTS)}. "
            "`clinicedge models` lists them."
        )
    return _VARIANTS[name]
