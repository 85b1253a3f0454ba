"""Eigen-Grad-CAM for heads of global pooling and one linear layer."""

import numpy as np
from numpy.typing import NDArray

from .components import first_component, signed
from .evidence import class_evidence
from .heat import heat
from .records import Heat, Method, Subject


def eigen_grad_cam(features: NDArray[np.float32], row: NDArray[np.float32]) -> NDArray[np.float64]:
    """The first principal component of gradient times features, rising with their sum.

    The gradient of a channel is its row over the number of places, the same at all of them, so
    only the row matters. Class-specific where Eigen-CAM is not.

    Args:
        features: float32 (C, h, w).
        row: float32 (C,), the classifier's row of the class.

    Returns:
        float64 (h, w), not scaled; 0 where flat.
    """
    weighted = features * row[:, None, None]
    return signed(first_component(weighted), class_evidence(features, row))


def _make(subject: Subject) -> Heat:
    return heat(eigen_grad_cam(subject.feature_map, subject.row))


METHOD = Method(
    name="eigen-grad-cam",
    source="Gildenblat 2021, Eigen-Grad-CAM of the package grad-cam; after arXiv:2008.00299",
    needs=("features", "pooled head"),
    passes=0,
    make=_make,
)
