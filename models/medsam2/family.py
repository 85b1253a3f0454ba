"""MedSAM2 and its siblings in the zoo: what they are before conversion; needs no torch."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...runtime.spec import (
    IntendedUse,
    MaskRules,
    ModelSpec,
    OutputSpec,
    Scaling,
    WeightsSource,
)
from .. import attention_unets, lungs
from ..family import Family
from ..inputs import square_input
from ..layers import Cost
from . import sizes
from .sizes import Sam2Size

if TYPE_CHECKING:
    from torch import nn

_IMAGENET = Scaling(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
# Medical-SAM2's 2D training divides by 255 and does no more.
_PLAIN = Scaling(mean=(0.0,) * 3, std=(1.0,) * 3)
_OURS = "Apache-2.0 (code and weights)"
LICENCE = (
    "MedSAM2's own checkpoints (wanglab/MedSAM2) are CC BY-SA 4.0: name their authors, and pass on "
    "what is made of them under the same licence, bundles too. SAM 2.1's are Apache-2.0; whoever "
    "made others says under what terms"
)
_ANYTHING = IntendedUse(
    statement="outlines what lies in a box that a clinician or a detector draws on a film, with "
    "the checkpoint that the user brings; a clinician decides",
    body_part="",
    modalities=("CR", "DX", "CT", "MR", "US"),
    age_years=None,
    not_for=(
        "finding anything: it outlines something in every box that it is given",
        "deciding alone, or naming what it outlines",
    ),
)
_TUMOURS = IntendedUse(
    statement="outlines what looks like a primary bone tumour inside a box on a bone radiograph of "
    "limbs, shoulder or pelvis; the box comes from a clinician or a detector",
    body_part="EXTREMITY",
    modalities=("CR", "DX"),
    age_years=None,
    not_for=(
        "skull, spine, ribs and chest",
        "finding a tumour: it outlines something in every box that it is given",
        "telling benign from malignant, or naming the tumour",
        "fractures, infection, metastases: they were not labelled",
        "measuring growth or planning an operation",
    ),
)
_LUNGS = lungs.use(
    "outlines the lung inside a box on a frontal chest film of a child of 1 to 5 years; "
    "the box comes from a clinician or a detector"
)
NOTES = {
    "Not MedSAM2's own training": (
        "The network is MedSAM2's 2D path, SAM 2.1 with an image encoder Hiera; its weights are "
        "not MedSAM2's. They begin with random values and learned from the films named above "
        "alone, with the box around each true mask, moved and stretched, as the prompt. MedSAM2 "
        "was trained on 455,000 3D masks: where its weights may be used, expect more of those. "
        f"{LICENCE}."
    ),
    "Boxes": (
        "Dice is given for the box around the true mask and for the same box moved at random: what "
        "a detector's boxes give is between the two or below."
    ),
}
# Trains on two processor cores.
MINI = Sam2Size(
    side=192,
    trunk="hiera mini",
    widths=(24, 48, 96, 192),
    blocks=(1, 2, 3, 1),
    windows=(8, 4, 12, 6),
    global_blocks=(4, 5),
    hidden=64,
    mlp=256,
    quality=64,
)


@dataclass(frozen=True)
class Variant:
    """One model: its size, what it outlines, and whose weights it has (`attribution` "": the
    user's). `smallest`: share of the film below which a region is a speck."""

    size: Sam2Size
    label: str = "OBJECT"
    use: IntendedUse = _ANYTHING
    scaling: Scaling = _IMAGENET
    attribution: str = ""
    smallest: float = 0.0


VARIANTS = {
    "medsam2-512": Variant(Sam2Size(512)),
    "medical-sam2-tiny-1024": Variant(Sam2Size(1024, "2.0"), scaling=_PLAIN),
    "medical-sam2-small-1024": Variant(
        Sam2Size(
            1024,
            "2.0",
            trunk="hiera small",
            blocks=(1, 2, 11, 2),
            global_blocks=(7, 10, 13),
        ),
        scaling=_PLAIN,
    ),
    "medsam2-256": Variant(
        Sam2Size(256), "TUMOUR", _TUMOURS, attribution=attention_unets.ATTRIBUTION
    ),
    "medsam2-256-lungs": Variant(
        Sam2Size(256), "LUNG", _LUNGS, attribution=lungs.ATTRIBUTION, smallest=lungs.SMALLEST
    ),
    "medsam2-mini-192-lungs": Variant(
        MINI, "LUNG", _LUNGS, attribution=lungs.ATTRIBUTION, smallest=lungs.SMALLEST
    ),
}
USERS = frozenset(name for name, variant in VARIANTS.items() if not variant.attribution)


def spec(name: str) -> ModelSpec:
    """What the model is before conversion."""
    variant = VARIANTS[name]
    size, own = variant.size, name not in USERS
    theirs = "of the checkpoint that the user brings"
    return ModelSpec(
        name=name,
        version="1.0.0",
        task="promptable-segmentation",
        licence=f"{_OURS}; training data CC BY 4.0"
        if own
        else f"Apache-2.0 (code); weights: {theirs}. {LICENCE}",
        intended_use=variant.use,
        input=square_input(size.side, 3, variant.scaling),
        outputs=(
            OutputSpec("mask", "mask", size.mask, "sigmoid", (variant.label,), variant.label),
            OutputSpec("quality", "quality", (1,), "none", (), None),
        ),
        explanation=None,
        weights=WeightsSource(
            f"{name}.safetensors", "Apache-2.0" if own else theirs, variant.attribution or theirs
        ),
        mask=MaskRules(min_area_share=variant.smallest, max_regions=0, smooth=0.0),
    )


def _build(name: str) -> "nn.Module":
    from .network import MedSam2

    return MedSam2(VARIANTS[name].size)


def _cost(name: str) -> Cost:
    return sizes.cost(VARIANTS[name].size)


FAMILY = Family(
    tuple(VARIANTS),
    spec,
    _build,
    _cost,
    chest=False,
    user_weights=USERS,
    notes=NOTES,
    checkpoint_note=LICENCE,
    telltale="image_encoder.trunk.patch_embed.proj.weight",
)
