"""The end of a segmentation run: figures of the masks on the parts that steered nothing."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import nn

from ...profiles.mask_metrics import evaluate_masks
from ...profiles.masks import MaskDataset
from ...profiles.splits import refuse_overlap
from ...runtime.figures import MaskAccuracy, Part
from ...runtime.spec import ModelSpec
from .judgement import TEST_PARTS, Judgement, MeasuredMasks
from .loop import predict_raw
from .masks import load_masks

THRESHOLD = 0.5
RULE = "fixed beforehand"
_BATCH = 8


def judge_masks(module: nn.Module, data: MaskDataset, model: ModelSpec) -> Judgement:
    """Read the test parts; on the network's grid, without cleaning of the masks.

    Raises:
        OverlapError: a patient of train is in a test part.
    """
    train = data.part("train").key_hashes()
    rows = []
    for what, part in TEST_PARTS:
        films = data.part(part)
        if not films.films:
            continue
        refuse_overlap(train, films.key_hashes(), ("train", part))
        arrays = load_masks(films.films, model.input)
        logits = predict_raw(module, arrays.pixels, model.input, _BATCH)[:, 0]
        figures = mask_accuracy(logits >= 0, arrays.masks, films.patients(), (data.name, part))
        rows.append(MeasuredMasks(what, figures))
    return Judgement(THRESHOLD, RULE, len(data.part("select").films), masks=tuple(rows))


def mask_accuracy(
    drawn: NDArray[np.bool_],
    masks: NDArray[np.uint8],
    patients: Sequence[str],
    where: tuple[str, Part],
) -> MaskAccuracy:
    """Of drawn masks bool (N, H, W) at the fixed threshold; `where`: data folder and part."""
    f = evaluate_masks(drawn, masks, patients)
    return MaskAccuracy(
        data=where[0],
        part=where[1],
        compute="f32",
        threshold=THRESHOLD,
        dice=f.dice,
        iou=f.iou,
        precision=float(np.float64(f.precision)),
        recall=float(np.float64(f.recall)),
        false_alarms=f.false_alarms,
        pixel_accuracy=f.pixel_accuracy,
        mean_iou=f.mean_iou,
        f1=f.f1,
        precision_range=f.precision_range,
        recall_range=f.recall_range,
    )
