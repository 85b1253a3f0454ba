"""Score-CAM: what of the class's score is left when the film is seen through each channel."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .growing import grow
from .heat import heat
from .records import Heat, Method, Progress, Subject

USUAL_PASSES = 128


def score_cam(
    features: NDArray[np.float32],
    tensor: NDArray[np.float32],
    score: Callable[[NDArray[np.float32]], float],
    passes: int = USUAL_PASSES,
    progress: Progress | None = None,
) -> NDArray[np.float64]:
    """Channels weighted by the softmax of the scores that they leave as masks, before the ReLU.

    A mask is a channel enlarged to the input and brought to 0..1; it multiplies the scaled input.
    Of more channels than `passes`, those with the largest deviation over the places are asked:
    the others hardly mask anything. With all of them it is the publication's map.

    Args:
        features: float32 (C, h, w).
        tensor: float32 (1, channels, H, W), the network's input.
        score: the class's logit for an input; one run of the network.

    Returns:
        float64 (h, w), not scaled; zeros where no channel varies.
    """
    height, width = tensor.shape[2:]
    asked = asked_channels(features, passes)
    scores = np.zeros(len(asked))
    for number, channel in enumerate(asked):
        mask = grow(features[channel], height, width)
        mask -= mask.min()
        mask /= mask.max() + np.float32(1e-8)
        scores[number] = score(tensor * mask)
        if progress is not None:
            progress(number + 1, len(asked))
    if not len(asked):
        return np.zeros(features.shape[1:])
    weights = np.exp(scores - scores.max())
    kept = features[asked].astype(np.float64)
    return np.asarray(np.tensordot(weights / weights.sum(), kept, axes=1))


def asked_channels(features: NDArray[np.float32], passes: int) -> NDArray[np.intp]:
    """The numbers of at most `passes` channels that vary, the most varying first."""
    deviations = features.reshape(len(features), -1).std(axis=1, dtype=np.float64)
    order = np.argsort(-deviations, kind="stable")[:passes]
    varying: NDArray[np.intp] = order[deviations[order] > 0]
    return varying


def _make(subject: Subject) -> Heat:
    features = subject.feature_map
    values = score_cam(features, subject.tensor, subject.score, subject.passes, subject.progress)
    found = heat(values)
    passes = len(asked_channels(features, subject.passes))
    return Heat(found.map, found.sign, found.note, passes)


METHOD = Method(
    name="score-cam",
    source="Wang et al. 2020, Score-CAM, arXiv:1910.01279",
    needs=("features",),
    passes=USUAL_PASSES,
    make=_make,
)
