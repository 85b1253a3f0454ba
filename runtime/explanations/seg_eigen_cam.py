"""Eigen-CAM of a network that segments, turned towards what it outlines."""

import numpy as np
from numpy.typing import NDArray

from .components import first_component, signed
from .evidence import outlined
from .heat import heat
from .records import Heat, Method, Subject


def seg_eigen_cam(
    features: NDArray[np.float32], places: NDArray[np.float32]
) -> NDArray[np.float64]:
    """The first principal component over the places, rising with the mask's probability.

    The publication weights the features by the gradient's magnitude and picks the sign by the
    larger of the extremes. An exported network has no gradient at its bottleneck; the sign is
    better known here, from the mask itself.

    Args:
        features: float32 (C, h, w).
        places: float32 (H, W), 0..1, the probability of the mask.

    Returns:
        float64 (h, w), not scaled; 0 where flat.
    """
    evidence = outlined(places, *features.shape[1:])
    return signed(first_component(features), evidence)


def _make(subject: Subject) -> Heat:
    return heat(seg_eigen_cam(subject.feature_map, subject.places))


METHOD = Method(
    name="seg-eigen-cam",
    source="after Chung and Ying 2025, Seg-Eigen-CAM, doi 10.3390/app15137562, without gradients",
    needs=("features", "mask"),
    passes=0,
    make=_make,
)
