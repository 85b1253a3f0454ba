"""The end of a segmentation run: figures of the masks on the parts that steered nothing."""

import numpy as np
from torch import nn

from ...profiles.mask_metrics import evaluate_masks
from ...profiles.masks import MaskDataset
from ...profiles.splits import refuse_overlap
from ...runtime.figures import MaskAccuracy
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
        f = evaluate_masks(logits >= 0, arrays.masks, films.patients())
        figures = MaskAccuracy(
            data=data.name,
            part=part,
            compute="f32",
            threshold=THRESHOLD,
            dice=f.dice,
            iou=f.iou,
            precision=float(np.float64(f.precision)),
            recall=float(np.float64(f.recall)),
            false_alarms=f.false_alarms,
        )
        rows.append(MeasuredMasks(what, figures))
    return Judgement(THRESHOLD, RULE, len(data.part("select").films), masks=tuple(rows))
