"""The end of a findings run: a threshold a label, and the one reading of the test parts."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ....profiles.datasets import Dataset
from ....profiles.metrics import pick_threshold_f1
from ....runtime.figures import Part
from ....runtime.spec import ModelSpec
from ..cropping import Crop
from .judgement import Judgement, Measured, measure_label, one_sided, unseen_parts
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
        if not one_sided(truth[seen, k]):
            thresholds[label], rule = pick_threshold_f1(scores[seen, k], truth[seen, k])
    at = {k: thresholds.get(k, _UNSET) for k in labels}
    rows: list[Measured] = []
    left_out: dict[str, str] = {}
    for what, part, films in unseen_parts(data):
        found = _scores(module, films, model, cropped)
        measured, reasons = _rows((what, part), films, found, at)
        rows += measured
        left_out |= reasons
    first = next(iter(thresholds.values()), _UNSET)
    return Judgement(
        first,
        rule,
        int(seen.sum()),
        tuple(rows),
        thresholds=thresholds,
        not_measured=left_out,
    )


def _rows(
    where: tuple[str, Part],
    films: Dataset,
    scores: NDArray[np.float64],
    thresholds: dict[str, float],
) -> tuple[list[Measured], dict[str, str]]:
    """Figures a label, and why there are none."""
    seen = np.isfinite(scores[:, 0])
    truth = films.findings(tuple(thresholds))
    rows, reasons = [], {}
    for k, rule in enumerate(thresholds.items()):
        reason = one_sided(truth[seen, k])
        if reason:
            reasons[f"{where[0]}, {rule[0]}"] = reason
        else:
            rows.append(measure_label(where, films, scores[:, k], truth[:, k], rule))
    return rows, reasons


def _scores(
    module: nn.Module, films: Dataset, model: ModelSpec, cropped: Crop | None
) -> NDArray[np.float64]:
    """Probability (N, K) of each label; a row of NaN where `cropped` finds no lungs."""
    logits = film_logits(module, films, model.input, len(model.outputs[0].labels), cropped)
    return torch.sigmoid(torch.from_numpy(logits)).numpy()
