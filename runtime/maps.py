"""The map of a label from one run of a classifying network."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .errors import ArtifactError
from .film import Film
from .predictions import Explanation

if TYPE_CHECKING:
    from .predictor import ModelPredictor


def class_map(
    predictor: "ModelPredictor", film: Film, label: int, against: int | None
) -> Explanation:
    """Eigen-CAM of a film, its sign tied to the label of that number.

    Args:
        against: the other label of two, whose row of the head counts against; None where every
            label has a score of its own.

    Raises:
        ArtifactError: the model gives no feature map.
    """
    return map_of_features(predictor, feature_map(predictor, predictor.run(film)), label, against)


def feature_map(
    predictor: "ModelPredictor", outputs: dict[str, NDArray[np.float32]]
) -> NDArray[np.float32]:
    """float32 (C, h, w) out of the raw outputs of a run.

    Raises:
        ArtifactError: the model gives none.
    """
    spec = predictor.bundle.manifest.explanation
    if spec is None or spec.output not in outputs:
        report = predictor.report
        raise ArtifactError(
            f"artifact {report.artifact} of '{report.model}' gives {', '.join(outputs)} and no "
            "feature map, so there is no explanation. Convert it with a feature output."
        )
    features: NDArray[np.float32] = outputs[spec.output][0]
    return features


def map_of_features(
    predictor: "ModelPredictor", features: NDArray[np.float32], label: int, against: int | None
) -> Explanation:
    """As `class_map`, from a feature map that is there already."""
    from .explain import eigen_cam

    manifest = predictor.bundle.manifest
    weights = None
    if manifest.explanation and manifest.explanation.pooling_linear_head and manifest.head:
        rows = np.asarray(manifest.head.weight, np.float32)
        weights = rows[label] if against is None else rows[label] - rows[against]
    result = eigen_cam(features, weights)
    return Explanation(
        map=result.map,
        method="eigen-cam",
        label=predictor.labels[label],
        sign=result.sign,
        note=result.note,
        report=predictor.report,
    )
