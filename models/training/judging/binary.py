"""The end of a binary classifier's run: its threshold, and the one reading of the test parts."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ....profiles.datasets import Dataset
from ....profiles.metrics import pick_threshold
from ....runtime.spec import InputSpec, ModelSpec
from ..cropping import Crop
from .judgement import Judgement, measure_label, one_sided, unseen_parts
from .scoring import film_logits


def judge_binary(
    module: nn.Module, data: Dataset, model: ModelSpec, cropped: Crop | None
) -> Judgement:
    """Set the threshold on select, then read the test parts; one of one label gets no figures.

    Raises:
        DataError: select lacks one of the labels.
        OverlapError: a patient of train is in a test part.
    """
    positive = model.outputs[0].positive_label or ""
    select = data.part("select")
    scores = score_films(module, select, model.input, cropped)
    seen = np.isfinite(scores)
    labels = np.array(select.positives(positive))
    threshold, rule = pick_threshold(scores[seen], labels[seen])
    rows, left_out = [], {}
    for what, part, films in unseen_parts(data):
        found = score_films(module, films, model.input, cropped)
        truth = np.array(films.positives(positive))
        reason = one_sided(truth[np.isfinite(found)])
        if reason:
            left_out[what] = f"{reason} {positive}"
        else:
            rows.append(measure_label((what, part), films, found, truth, ("", threshold)))
    return Judgement(threshold, rule, int(seen.sum()), tuple(rows), not_measured=left_out)


def score_films(
    module: nn.Module, data: Dataset, spec: InputSpec, cropped: Crop | None = None
) -> NDArray[np.float64]:
    """Probability (N,) of the second label, film by film on the runtime's path.

    NaN where `cropped` finds no lungs.
    """
    logits = film_logits(module, data, spec, 2, cropped)
    return torch.softmax(torch.from_numpy(logits), dim=1)[:, 1].numpy()
