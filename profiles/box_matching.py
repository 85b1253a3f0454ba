"""What a detector finds on films against what is there, label by label, and the record of it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..runtime.figures import BoxAccuracy, Compute
from ..runtime.nms import probability, suppress
from ..runtime.spec import DetectionRules
from .box_metrics import FilmMatch, box_figures, match
from .paired import Place

# Average precision counts boxes of every score; below this one nothing is left to gain.
FLOOR = 0.01
_MOST = 100


def film_matches(
    boxes: NDArray[np.float32],
    logits: NDArray[np.float32],
    truth: NDArray[np.float32],
    rules: DetectionRules,
) -> list[FilmMatch]:
    """One film, label by label: what the runtime would answer at the threshold `FLOOR`.

    A higher threshold takes the first of these away from the end, and changes no other: a box is
    suppressed by surer ones alone.

    Args:
        boxes, logits: (N, 4) in pixels of the network's input, (N, K).
        truth: (T, 5), the label's number and x0 y0 x1 y1 in the same pixels.
    """
    labels = logits.shape[1]
    every = replace(rules, max_boxes=max(rules.max_boxes, _MOST))
    kept = suppress(boxes, logits, (FLOOR,) * labels, every)
    scores = probability(logits)[kept.box, kept.label]
    found = boxes[kept.box].astype(np.float64)
    return [
        match(
            found[kept.label == label],
            scores[kept.label == label],
            truth[truth[:, 0] == label][:, 1:].astype(np.float64),
        )
        for label in range(labels)
    ]


def by_label(films: Sequence[Sequence[FilmMatch]], count: int) -> list[list[FilmMatch]]:
    """From one list a film to one list a label."""
    return [[film[label] for film in films] for label in range(count)]


def box_accuracy(
    films: Sequence[FilmMatch],
    patients: Sequence[str],
    place: Place,
    threshold: float,
    compute: Compute,
) -> BoxAccuracy | None:
    """The record of one label on a part; None where the part has no box of it."""
    if not any(film.n_true for film in films):
        return None
    figures = box_figures(films, patients, threshold)
    return BoxAccuracy(
        data=place.data,
        part=place.part,
        compute=compute,
        threshold=threshold,
        label=place.label,
        ap50=figures.ap50,
        recall=figures.recall,
        precision=figures.precision,
        overlap=figures.overlap,
        false_alarms=figures.false_alarms,
    )
