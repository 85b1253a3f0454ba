"""The end of a detector's run: a threshold a label, and the one reading of the test parts."""

from torch import nn

from ....profiles.box_matching import box_accuracy
from ....profiles.box_metrics import F1_RULE, FilmMatch, pick_box_threshold
from ....profiles.boxes import BoxDataset
from ....profiles.paired import Place
from ....runtime.spec import DetectionRules, ModelSpec
from ..loop import predict_raw
from ..objectives.boxes import load_boxes, matches
from .judgement import Judgement, MeasuredBoxes, unseen_parts

NOT_SET = "not set: nothing was found on select"
_UNSET = 0.5
_BATCH = 8
_USUAL = DetectionRules(nms_iou=0.7, max_candidates=1000, max_boxes=100)


def judge_boxes(module: nn.Module, data: BoxDataset, model: ModelSpec) -> Judgement:
    """On the network's grid. A label that a part has on no film gets no figures from it.

    Raises:
        OverlapError: a patient of train is in a test part.
    """
    labels = model.output("logits").labels
    select = data.part("select")
    thresholds, rule = {}, NOT_SET
    for label, films in zip(labels, _found(module, select, model), strict=True):
        value = pick_box_threshold(films)
        if value is not None:
            thresholds[label], rule = value, F1_RULE
    rows: list[MeasuredBoxes] = []
    left_out: dict[str, str] = {}
    for what, part, chosen in unseen_parts(data):
        for label, films in zip(labels, _found(module, chosen, model), strict=True):
            at, place = thresholds.get(label, _UNSET), Place(label, data.name, part)
            figures = box_accuracy(films, chosen.patients(), place, at, "f32")
            if figures is None:
                left_out[f"{what}, {label}"] = "no film has a box"
            else:
                rows.append(MeasuredBoxes(what, figures))
    first = next(iter(thresholds.values()), _UNSET)
    return Judgement(
        first,
        rule,
        len(select.films),
        boxes=tuple(rows),
        thresholds=thresholds,
        not_measured=left_out,
    )


def _found(module: nn.Module, data: BoxDataset, model: ModelSpec) -> list[list[FilmMatch]]:
    arrays = load_boxes(data, model)
    raw = predict_raw(module, arrays.pixels, model.input, _BATCH)
    return matches(raw, arrays.truth, model.detection or _USUAL)
