"""Which of a detector's raw boxes are answered: non-maximum suppression, in numpy.

A candidate is a pair of a box and a label whose score is at least the label's threshold, so one
box can stand for several labels. Candidates are ordered by their logit, the highest first; equal
logits by the number of the box, then of the label, the lowest first. The first `max_candidates`
are looked at in that order: one is kept unless a kept one of the same label overlaps it by more
than `nms_iou`. So no order of arithmetic, thread or engine decides between equals. The first
`max_boxes` that are kept are the answer, in the same order.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .boxes import Rows, iou
from .spec import DetectionRules


@dataclass(frozen=True, eq=False)
class Kept:
    """The answered pairs: numbers of their boxes and labels, intp (M,), the surest first.

    `more`: candidates or boxes were left out by the bounds of the rules.
    """

    box: NDArray[np.intp]
    label: NDArray[np.intp]
    more: bool


def suppress(
    boxes: Rows,
    logits: NDArray[np.float32],
    thresholds: Sequence[float],
    rules: DetectionRules,
    usable: NDArray[np.bool_] | None = None,
) -> Kept:
    """Non-maximum suppression a label.

    Args:
        boxes: (N, 4) x0, y0, x1, y1.
        logits: float32 (N, K), finite.
        thresholds: K probabilities; a candidate's sigmoid is at least its label's.
        usable: bool (N,), boxes that can be answered at all; None: all.
    """
    found = at_least(logits, thresholds)
    if usable is not None:
        found &= usable[:, None]
    box, label = np.nonzero(found)
    more = len(box) > rules.max_candidates
    box, label = _surest(logits, box, label, rules.max_candidates)
    kept = _greedy(boxes[box], label, rules)
    more = more or len(kept) > rules.max_boxes
    kept = kept[: rules.max_boxes]
    return Kept(box[kept], label[kept], more)


def _surest(
    logits: NDArray[np.float32], box: NDArray[np.intp], label: NDArray[np.intp], most: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The first `most` pairs in order; of thousands, those that cannot be among them are not
    sorted."""
    values = logits[box, label]
    if len(values) > most:
        least = np.partition(values, len(values) - most)[len(values) - most]
        near = values >= least
        box, label, values = box[near], label[near], values[near]
    order = np.lexsort((label, box, -values))[:most]
    return box[order], label[order]


def at_least(logits: NDArray[np.float32], thresholds: Sequence[float]) -> NDArray[np.bool_]:
    """Where sigmoid(logits) >= threshold, label by label: bool (N, K); in float64."""
    return np.asarray(probability(logits) >= np.asarray(thresholds, np.float64))


def probability(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """1 / (1 + exp(-x)) in float64, without overflow."""
    values = logits.astype(np.float64)
    grown = np.exp(-np.abs(values))
    return np.where(values >= 0.0, 1.0, grown) / (1.0 + grown)


def _greedy(boxes: Rows, label: NDArray[np.intp], rules: DetectionRules) -> NDArray[np.intp]:
    """Numbers of the kept candidates, at most one more than `max_boxes`."""
    alive = np.ones(len(boxes), bool)
    kept: list[int] = []
    for number in range(len(boxes)):
        if not alive[number]:
            continue
        kept.append(number)
        if len(kept) > rules.max_boxes:
            break
        after = slice(number + 1, None)
        overlap = iou(boxes[number : number + 1], boxes[after])[0]
        alive[after] &= (overlap <= rules.nms_iou) | (label[after] != label[number])
    return np.array(kept, np.intp)
