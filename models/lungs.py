"""`lungs-128`: the small U-Net that finds the lung fields."""

from typing import TYPE_CHECKING

from ..runtime.spec import (
    IntendedUse,
    MaskRules,
    ModelSpec,
    OutputSpec,
    Scaling,
    WeightsSource,
)
from .family import Family
from .inputs import square_input
from .layers import Cost

if TYPE_CHECKING:
    from torch import nn

NAME = "lungs-128"
SIDE = 128
# Share of the film: what is smaller is no part of a lung.
SMALLEST = 0.01
CHANNELS = (12, 24, 48, 96)
ATTRIBUTION = (
    "films: Kermany, Zhang, Goldbaum 2018, Mendeley Data, doi 10.17632/rscbjbr9sj.2, CC BY 4.0; "
    "lung masks: V7 Labs, covid-19-xray-dataset, CC BY 4.0"
)


def use(statement: str) -> IntendedUse:
    """Of whatever learned the lungs of these children."""
    return IntendedUse(
        statement=statement,
        body_part="CHEST",
        modalities=("CR", "DX"),
        age_years=(1.0, 5.0),
        not_for=(
            "measuring lungs, or finding disease",
            "adults, infants under one year, lateral views, other body parts",
        ),
    )


_USE = use(
    "finds the lung fields on frontal chest films of children of 1 to 5 years, for "
    "cropping, as a gate and for naming lung zones; no finding of its own"
)


def spec(name: str) -> ModelSpec:
    """What the model is before conversion."""
    return ModelSpec(
        name=name,
        version="1.0.0",
        task="segmentation",
        licence="Apache-2.0 (code and weights); training data CC BY 4.0",
        intended_use=_USE,
        input=square_input(SIDE, 1, Scaling(mean=(0.5,), std=(0.5,))),
        outputs=(OutputSpec("mask", "mask", (1, SIDE, SIDE), "sigmoid", ("LUNG",), "LUNG"),),
        explanation=None,
        weights=WeightsSource(f"{name}.safetensors", "Apache-2.0", ATTRIBUTION),
        mask=MaskRules(min_area_share=SMALLEST, max_regions=2, smooth=0.0),
    )


def _build(name: str) -> "nn.Module":
    from .unet import UNet

    return UNet(CHANNELS)


def _cost(name: str) -> Cost:
    """By counting over the definition in `unet.py`."""
    total, trainable, mult_adds, side = 0, 0, 0, SIDE
    inputs = 1
    for channels in CHANNELS:
        kernel = 9 * channels * (inputs + channels)
        trainable += kernel + 4 * channels
        total += kernel + 8 * channels
        mult_adds += kernel * side**2
        inputs, side = channels, side // 2
    side *= 2
    for below, here in zip(CHANNELS[:0:-1], CHANNELS[-2::-1], strict=True):
        side *= 2
        kernel, rise = 9 * here * 3 * here, 4 * below * here
        trainable += kernel + 4 * here + rise + here
        total += kernel + 8 * here + rise + here
        mult_adds += kernel * side**2 + rise * (side // 2) ** 2
    head = CHANNELS[0]
    return Cost(total + head + 1, trainable + head + 1, mult_adds + head * SIDE**2)


FAMILY = Family((NAME,), spec, _build, _cost, chest=False)
