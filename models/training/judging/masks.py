"""The end of a segmentation run: figures of the masks on the parts that steered nothing."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import nn

from ....profiles.mask_metrics import evaluate_masks, mask_accuracy
from ....profiles.masks import THERE, MaskDataset
from ....runtime.figures import MaskAccuracy, Part
from ....runtime.spec import ModelSpec
from ..loop import predict_raw
from ..objectives.masks import load_masks
from .judgement import NO_MASK, Judgement, MeasuredMasks, unseen_parts

THRESHOLD = 0.5
RULE = "fixed beforehand"
_BATCH = 8


def judge_masks(module: nn.Module, data: MaskDataset, model: ModelSpec) -> Judgement:
    """Read the test parts; on the network's grid, without cleaning of the masks.

    A part without a mask gets no figures.

    Raises:
        OverlapError: a patient of train is in a test part.
    """
    rows, left_out = [], {}
    for what, part, films in unseen_parts(data):
        arrays = load_masks(films.films, model.input)
        if not (arrays.masks == THERE).any():
            left_out[what] = NO_MASK
            continue
        logits = predict_raw(module, arrays.pixels, model.input, _BATCH)[:, 0]
        figures = drawn_accuracy(logits >= 0, arrays.masks, films.patients(), (data.name, part))
        rows.append(MeasuredMasks(what, figures))
    n_films = len(data.part("select").films)
    return Judgement(THRESHOLD, RULE, n_films, masks=tuple(rows), not_measured=left_out)


def drawn_accuracy(
    drawn: NDArray[np.bool_],
    masks: NDArray[np.uint8],
    patients: Sequence[str],
    where: tuple[str, Part],
) -> MaskAccuracy:
    """Of drawn masks bool (N, H, W) at the fixed threshold; `where`: data folder and part."""
    return mask_accuracy(evaluate_masks(drawn, masks, patients), *where, THRESHOLD)
