"""Eigen-CAM: the feature map's first principal component, turned towards the class."""

import numpy as np
from numpy.typing import NDArray

from .components import first_component, signed
from .evidence import class_evidence, halves
from .heat import heat
from .records import Heat, Method, Subject


def eigen_cam(
    features: NDArray[np.float32], evidence: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """The first principal component over the places, rising with the evidence; 0 where flat.

    An eigenvector's sign is arbitrary: half of all maps would light up the healthy side. Here it
    is the one that correlates with the class's evidence at each place.

    Args:
        features: float32 (C, h, w).
        evidence: (h, w), what speaks for the class at each place; None: the strongest value is
            positive.

    Returns:
        float64 (h, w), not scaled.
    """
    return signed(first_component(features), evidence)


def _make(subject: Subject) -> Heat:
    features, row = subject.feature_map, subject.target.row
    if row is not None:
        return heat(eigen_cam(features, class_evidence(features, row)))
    component = first_component(features)
    if not component.any():
        return heat(component)
    found = heat(halves(component, subject))
    return Heat(found.map, found.sign, found.note, passes=2)


METHOD = Method(
    name="eigen-cam",
    source="Muhammad and Yeasin 2020, Eigen-CAM, arXiv:2008.00299",
    needs=("features", "scores"),
    passes=0,
    make=_make,
)
