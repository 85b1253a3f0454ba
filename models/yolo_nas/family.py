"""`yolo-nas-{s,m,l}-640` and our small forms: what they are before conversion; needs no torch."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...runtime.spec import (
    DetectionRules,
    IntendedUse,
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

if TYPE_CHECKING:
    from torch import nn

PAD = 114
TUMOUR, LUNG = ("TUMOUR",), ("LUNG",)
# What a film holds at most in our data is 10; lungs are two.
_FEW = DetectionRules(nms_iou=0.5, max_candidates=300, max_boxes=20)
_PAIR = replace(_FEW, max_boxes=2)
COCO_LICENCE = (
    "Deci's COCO weights (yolo_nas_*_coco.pth), and what was fine-tuned from them, are under "
    "Deci's own licence of 2023: no use in production, no redistribution. Convert them to try "
    "them out; for a clinic use weights trained from the beginning on your own films"
)
_LESIONS = IntendedUse(
    statement="second opinion on bone radiographs of limbs, shoulder and pelvis: draws a box "
    "around what looks like a primary bone tumour; a clinician decides",
    body_part="EXTREMITY",
    modalities=("CR", "DX"),
    age_years=None,
    not_for=(
        "skull, spine, ribs and chest",
        "telling benign from malignant, or naming the tumour",
        "ruling a tumour out, or deciding alone",
        "fractures, infection, metastases: they were not labelled",
    ),
)
_LUNGS = lungs.use(
    "draws a box around each lung on frontal chest films of children of 1 to 5 years, "
    "as a prompt for a segmenter; no finding of its own"
)
NOTES = {
    "Other people's weights": (
        f"The architecture is YOLO-NAS (Deci-AI 2023, super-gradients); its code is Apache-2.0 and "
        f"this implementation is our own. {COCO_LICENCE}. None of them is in ours: they begin with "
        "random values. Theirs learned from pictures scaled to 636 pixels and padded to 640; here "
        "a film fills the 640, so that what lies on it comes 0.6 % larger."
    ),
    "Boxes": (
        "Places of the network's grid answer with a box and a score a label; of boxes that overlap "
        "the surest is kept. A box is where to look, not an outline."
    ),
}


@dataclass(frozen=True)
class Variant:
    """One model: its size, the side of its input, what it looks for, and whose weights it has."""

    size: sizes.Size
    side: int
    labels: tuple[str, ...] = TUMOUR
    use: IntendedUse = _LESIONS
    rules: DetectionRules = _FEW
    attribution: str = attention_unets.ATTRIBUTION


VARIANTS = {
    "yolo-nas-s-640": Variant(sizes.S, 640),
    "yolo-nas-m-640": Variant(sizes.M, 640),
    "yolo-nas-l-640": Variant(sizes.L, 640),
    "yolo-nas-s-256": Variant(sizes.S, 256),
    "yolo-nas-s-256-lungs": Variant(sizes.S, 256, LUNG, _LUNGS, _PAIR, lungs.ATTRIBUTION),
}
# Full size is for the user's own checkpoints: our films came as 256 x 256.
USERS = frozenset(name for name, variant in VARIANTS.items() if variant.side == 640)


def spec(name: str) -> ModelSpec:
    """What the model is before conversion."""
    variant = VARIANTS[name]
    places, labels = sizes.positions(variant.side), variant.labels
    users = "of the checkpoint that the user brings"
    licence = "Apache-2.0 (code and weights); training data CC BY 4.0"
    if name in USERS:
        licence = f"Apache-2.0 (code); weights: {users}. {COCO_LICENCE}"
    return ModelSpec(
        name=name,
        version="1.0.0",
        task="detection",
        licence=licence,
        intended_use=variant.use,
        input=square_input(variant.side, 3, Scaling(mean=(0.0,) * 3, std=(1.0,) * 3), PAD),
        outputs=(
            OutputSpec("scores", "logits", (places, len(labels)), "sigmoid", labels, None),
            OutputSpec("boxes", "boxes", (places, 4), "none", (), None),
        ),
        explanation=None,
        weights=WeightsSource(
            f"{name}.safetensors",
            users if name in USERS else "Apache-2.0",
            variant.attribution,
        ),
        detection=variant.rules,
    )


def _build(name: str) -> "nn.Module":
    from .network import YoloNas

    return YoloNas(VARIANTS[name].size, len(VARIANTS[name].labels))


def _cost(name: str) -> Cost:
    variant = VARIANTS[name]
    return sizes.cost(variant.size, variant.side, len(variant.labels))


FAMILY = Family(
    tuple(VARIANTS),
    spec,
    _build,
    _cost,
    chest=False,
    user_weights=USERS,
    notes=NOTES,
    checkpoint_note=COCO_LICENCE,
)
