"""The end of a findings run: a threshold a label, and the one reading of the test parts."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ...profiles.datasets import Dataset
from ...profiles.metrics import pick_threshold_f1
from ...profiles.splits import refuse_overlap
from ...runtime.figures import Part
from ...runtime.spec import ModelSpec
from .cropping import Crop
from .judgement import NEW_PATIENTS, TEST_PARTS, Judgement, Measured, measure_label
from .scoring import film_logits

NOT_SET = "not set: no label has films with and without it"
_UNSET = 0.5


def judge_findings(
    module: nn.Module, data: Dataset, model: ModelSpec, cropped: Crop | None
) -> Judgement:
    """Set each label's threshold by F1 on select, then read the test parts.

    A label that a part has on all films or on none gets no threshold or figures from it.

    Raises:
        OverlapError: a patient of train is in a test part.
    """
    labels = model.outputs[0].labels
    select = data.part("select")
    scores = _scores(module, select, model, cropped)
    seen = np.isfinite(scores[:, 0])
    truth = select.findings(labels)
    thresholds, rule = {}, NOT_SET
    for k, label in enumerate(labels):
        if _both_ways(truth[seen, k]):
            thresholds[label], rule = pick_threshold_f1(scores[seen, k], truth[seen, k])
    train = data.part("train").key_hashes()
    parts: list[tuple[str, Part, Dataset]] = [
        (what, part, data.part(part)) for what, part in TEST_PARTS
    ]
    parts.append((NEW_PATIENTS, "official-test", data.official_test_new_patients()))
    rows: list[Measured] = []
    for what, part, films in parts:
        if not films.films:
            continue
        refuse_overlap(train, films.key_hashes(), ("train", part))
        found = _scores(module, films, model, cropped)
        rows += _rows((what, part), films, found, {k: thresholds.get(k, _UNSET) for k in labels})
    first = next(iter(thresholds.values()), _UNSET)
    return Judgement(first, rule, int(seen.sum()), tuple(rows), thresholds=thresholds)


def _rows(
    where: tuple[str, Part],
    films: Dataset,
    scores: NDArray[np.float64],
    thresholds: dict[str, float],
) -> Iterator[Measured]:
    seen = np.isfinite(scores[:, 0])
    truth = films.findings(tuple(thresholds))
    for k, rule in enumerate(thresholds.items()):
        if _both_ways(truth[seen, k]):
            yield measure_label(where, films, scores[:, k], truth[:, k], rule)


def _both_ways(truth: NDArray[np.bool_]) -> bool:
    return bool(truth.any()) and not bool(truth.all())


def _scores(
    module: nn.Module, films: Dataset, model: ModelSpec, cropped: Crop | None
) -> NDArray[np.float64]:
    """Probability (N, K) of each label; a row of NaN where `cropped` finds no lungs."""
    logits = film_logits(module, films, model.input, len(model.outputs[0].labels), cropped)
    return torch.sigmoid(torch.from_numpy(logits)).numpy()
