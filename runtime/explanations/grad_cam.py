"""Grad-CAM for heads of global pooling and one linear layer: no gradient has to be computed.

There the gradient of the class's score is the class's row over the number of places, at every
place, so Grad-CAM is the class activation map of Zhou et al. 2016, arXiv:1512.04150.
"""

import numpy as np
from numpy.typing import NDArray

from .evidence import class_evidence
from .heat import heat
from .records import Heat, Method, Subject


def grad_cam(features: NDArray[np.float32], row: NDArray[np.float32]) -> NDArray[np.float64]:
    """The row times the features at each place, before the ReLU.

    Args:
        features: float32 (C, h, w).
        row: float32 (C,), the classifier's row of the class (minus the other's of a softmax).

    Returns:
        float64 (h, w), not scaled; negative where the place speaks against the class.
    """
    return class_evidence(features, row)


def _make(subject: Subject) -> Heat:
    features, row = subject.feature_map, subject.row
    size = float(class_evidence(np.abs(features), np.abs(row)).max())
    return heat(grad_cam(features, row), size)


METHOD = Method(
    name="grad-cam",
    source="Selvaraju et al. 2017, Grad-CAM, arXiv:1610.02391",
    needs=("features", "pooled head"),
    passes=0,
    make=_make,
)
