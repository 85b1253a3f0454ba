"""The class that a map is about, for each kind of answer."""

import numpy as np
from numpy.typing import NDArray

from ..errors import ExplanationError
from ..manifest import Manifest
from ..spec import OutputSpec
from .records import Outputs, Target


def label_number(labels: tuple[str, ...], label: str, model: str) -> int:
    """Where the label stands.

    Raises:
        ExplanationError: the model has no such class.
    """
    if label not in labels:
        raise ExplanationError(
            f"'{model}' has no class {label[:80]!r}; it has {', '.join(labels)}. Name one of these."
        )
    return labels.index(label)


def scored(manifest: Manifest, output: OutputSpec, number: int) -> Target:
    """One label of an output of scores.

    With a softmax over two labels the other's logit counts against it, for the decision hangs on
    the difference alone; everywhere else the label's own logit is meant.
    """
    against = 1 - number if output.activation == "softmax" and len(output.labels) == 2 else None
    name = output.name

    def score(outputs: Outputs) -> float:
        logits = outputs[name][0]
        return float(logits[number]) - (0.0 if against is None else float(logits[against]))

    return Target(output.labels[number], score, _row(manifest, number, against))


def masked(output: OutputSpec, probability: NDArray[np.float32], threshold: float) -> Target:
    """What a mask outlines; the most likely place where it outlines nothing.

    Args:
        probability: float32 (h, w), 0..1, of the film as it is.
    """
    name = output.name
    there = probability >= threshold
    note = ""
    if not there.any():
        there = probability >= probability.max()
        note = "Nothing is outlined on this film; the map is about the most likely place."
    return Target(
        output.labels[0],
        lambda outputs: float(outputs[name][0][0][there].mean(dtype=np.float64)),
        places=probability,
        note=note,
    )


def _row(manifest: Manifest, number: int, against: int | None) -> NDArray[np.float32] | None:
    spec, head = manifest.explanation, manifest.head
    if spec is None or head is None or not spec.pooling_linear_head:
        return None
    row = np.asarray(head.weight[number], np.float32)
    return row if against is None else row - np.asarray(head.weight[against], np.float32)
