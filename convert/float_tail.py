"""What stays in float in a quantized artifact, the same in all three formats.

After a pooled feature map: pooling and classifier. Of a mask: the last convolution, which gives
the logits. Of a promptable model's encoder: attention's softmax and its two products of
activations, and what is computed from weights alone (position embeddings). Keys have two clusters
after their linear layer and softmax gives values from 1e-6 to 1 on one scale (PTQ4SAM, Lv et al.
2024, arXiv:2405.03144). Of a detector: the last convolutions of its heads and all that makes
boxes of their values: a distance is a mean over a softmax, and pixels over the whole film share one
scale. Of any other network: the last linear layers where they are small; a batch
normalization folded into them spreads their weights over hundreds of steps of one scale.
"""

from collections.abc import Sequence

from ..runtime.spec import ModelSpec
from .source import pooled_features

# The trailing linear layers hold together less than this share of the network's weights.
TAIL_SHARE = 0.1
_POOLED = "pooling and classifier: their rounding would move decisions, their cost is nothing"
_MASK = "the last convolution: its rounding would move every outline, its cost is nothing"
_ATTENTION = "attention and position embeddings: their ranges do not fit one scale of 8 bits"
_DECODING = "the heads' last convolutions and the decoding of boxes: their rounding moves every box"
_LINEAR = "a small last linear layer: its rounding would move decisions, its cost is nothing"


def why(spec: ModelSpec) -> str:
    """The reason that the manifest gives."""
    if spec.task == "segmentation":
        return _MASK
    if spec.task == "promptable-segmentation":
        return _ATTENTION
    if spec.task == "detection":
        return _DECODING
    return _POOLED if pooled_features(spec) is not None else _LINEAR


def trailing(sizes: Sequence[int], total: int) -> tuple[int, ...]:
    """Which linear layers stay in float: the last ones, as many as are small together.

    Args:
        sizes: weights of each linear layer, in the order that they run; 0: not a constant.
        total: weights of the whole network.
    """
    kept: list[int] = []
    held = 0
    for i in range(len(sizes) - 1, -1, -1):
        held += sizes[i]
        if held >= TAIL_SHARE * total:
            break
        if sizes[i]:
            kept.append(i)
    return tuple(reversed(kept))
