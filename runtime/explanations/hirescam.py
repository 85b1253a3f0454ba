"""HiResCAM for heads of global pooling and one linear layer."""

import numpy as np
from numpy.typing import NDArray

from .grad_cam import METHOD as GRAD_CAM
from .grad_cam import grad_cam
from .records import Heat, Method, Subject

SAME = "For this head HiResCAM is Grad-CAM: the gradient is the same at every place."


def hirescam(features: NDArray[np.float32], row: NDArray[np.float32]) -> NDArray[np.float64]:
    """Gradient times features at each place, summed over channels, before the ReLU.

    HiResCAM does not average the gradient over the places first, as Grad-CAM does; behind global
    pooling it is the same at all of them, so the two maps are equal.

    Args:
        features: float32 (C, h, w).
        row: float32 (C,), the classifier's row of the class.

    Returns:
        float64 (h, w), not scaled.
    """
    return grad_cam(features, row)


def _make(subject: Subject) -> Heat:
    found = GRAD_CAM.make(subject)
    return Heat(found.map, found.sign, " ".join(filter(None, (found.note, SAME))))


METHOD = Method(
    name="hirescam",
    source="Draelos and Carin 2020, HiResCAM, arXiv:2011.08891",
    needs=("features", "pooled head"),
    passes=0,
    make=_make,
)
