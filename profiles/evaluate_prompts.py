"""What a promptable model is asked with when its masks are measured."""

import numpy as np
from numpy.typing import NDArray

from ..runtime.boxes import MAX_BOXES, Boxes
from ..runtime.manifest import Manifest
from .box_prompts import JITTER, MOST_JITTER, jittered, true_objects
from .evaluation import Prompts

_SEED = 20230405
_NOTES = {
    "true": "asked with the boxes around the true masks: what it draws where the box is right",
    "moved": (
        "asked with the boxes around the true masks, each edge moved at random (standard deviation "
        f"{JITTER:.0%} of the side, at most {MOST_JITTER:.0%})"
    ),
}


def is_asked(manifest: Manifest) -> bool:
    """Whether its model needs boxes."""
    return manifest.task == "promptable-segmentation"


def note_of(boxes: Prompts | None) -> tuple[str, ...]:
    """What a reader of the figures should know."""
    return () if boxes is None else (_NOTES[boxes],)


def prompts_of(mask: NDArray[np.uint8], boxes: Prompts, number: int) -> Boxes:
    """Boxes in the pixels of a true mask (H, W), the largest regions' first; () without any.

    Args:
        number: of the film, so that the same one is moved alike for every artifact.
    """
    found = true_objects(mask)[:MAX_BOXES]
    if not found:
        return ()
    rows = np.stack([one.box for one in found])
    if boxes == "moved":
        draw = np.random.default_rng((_SEED, number))
        rows = jittered(rows, (mask.shape[0], mask.shape[1]), draw)
    return tuple(tuple(map(float, row)) for row in rows)
