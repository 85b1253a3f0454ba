"""The short TOML that says what a user's model is: read, checked, and made a `ModelSpec`.

    name = "my-classifier"
    task = "classification"              # or "findings", "segmentation"
    labels = ["NORMAL", "PNEUMONIA"]     # in the order of the network's scores
    positive = "PNEUMONIA"               # of a classification

    [input]
    width = 224
    height = 224
    channels = 3
    mean = [0.485, 0.456, 0.406]         # (pixel / 255 - mean) / std
    std = [0.229, 0.224, 0.225]

    [use]
    statement = "second opinion on ...; a clinician decides"
    body_part = "CHEST"

What may be left out: version, licence; input.resize ("stretch" or "letterbox" with pad),
input.filter, input.region ("lungs" for crops); use.modalities, use.age_years, use.not_for;
[mask] with min_area_share, max_regions, smooth; [budget] with what INT8 may lose against FP32:
points (of sensitivity, of specificity and of the recall of boxes), films (as many always may), auc,
dice, ap50. With a network of the zoo everything may be. A detector is of the zoo: `labels` are its
classes in order, [input] width and height any multiples of 32, [detection] may set nms_iou,
max_candidates and max_boxes. So is a promptable segmenter: one label, the network's own side.
"""

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from ..runtime.boxes import MAX_BOXES
from ..runtime.errors import ModelError
from ..runtime.guarding import USUAL_BUDGET, Budget
from ..runtime.spec import (
    DetectionRules,
    DicomRules,
    InputSpec,
    IntendedUse,
    MaskRules,
    ModelSpec,
    OutputSpec,
    Region,
    Resize,
    ResizeFilter,
    Scaling,
    WeightsSource,
)

# Tasks that only networks of the zoo answer.
OF_ZOO = {"detection": "a detector", "promptable-segmentation": "a promptable segmenter"}
TASKS = ("classification", "findings", "segmentation", *OF_ZOO)
MAX_SIDE = 2048
# A detector's coarsest place, in pixels of its input.
_COARSEST = 32
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_NOT_STATED = "not stated"
_MASK = MaskRules(min_area_share=0.0005, max_regions=0, smooth=0.0)
_ABSENT: Any = object()
_KINDS: dict[str, tuple[Any, str]] = {
    "text": (str, "text"),
    "whole": (int, "a whole number"),
    "number": ((int, float), "a number"),
    "list": (list, "a list"),
    "table": (dict, "a table"),
}


class _Table:
    """A table of the file; what is not taken out of it is unknown."""

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self._values, self._where = dict(values), where

    def take(self, key: str, kind: str, default: Any = _ABSENT) -> Any:
        """A value of that kind; without a default it must be there."""
        value = self._values.pop(key, default)
        if value is _ABSENT:
            raise ModelError(f"{self._where}: no `{key}`; expected {_KINDS[kind][1]}. Add it.")
        python, words = _KINDS[kind]
        if value is not default and (not isinstance(value, python) or isinstance(value, bool)):
            raise self.wrong(key, value, words)
        return value

    def choice(self, key: str, allowed: tuple[str, ...], default: Any = _ABSENT) -> Any:
        """One of some words."""
        value = self.take(key, "text", default)
        if value not in allowed:
            raise self.wrong(key, value, "one of " + ", ".join(map(repr, allowed)))
        return value

    def items(self, key: str, kind: str, default: Any = _ABSENT) -> Any:
        """A list of values of one kind, as a tuple."""
        found = self.take(key, "list", default)
        if found is default:
            return found
        python, words = _KINDS[kind]
        if not all(isinstance(v, python) and not isinstance(v, bool) for v in found):
            raise self.wrong(key, found, f"a list of {words}")
        return tuple(found)

    def table(self, key: str, needed: bool) -> "_Table":
        """A table inside; empty where it is not needed and not there."""
        found = self.take(key, "table", _ABSENT if needed else {})
        return _Table(found, f"{self._where}, [{key}]")

    def wrong(self, key: str, value: Any, expected: str) -> ModelError:
        """An error that names the place."""
        return ModelError(f"{self._where}: `{key}` is {value!r}; expected {expected}.")

    def end(self) -> None:
        """Refuse what nobody asked for."""
        if self._values:
            raise ModelError(
                f"{self._where}: unknown {', '.join(map(repr, sorted(self._values)))}; expected "
                "the fields of the guide 'your own model' alone. Look for a typing error."
            )


def read_spec(path: Path, base: ModelSpec | None) -> ModelSpec:
    """Read a spec file.

    Args:
        base: the zoo's spec of the same network, which says all that the file leaves out.

    Raises:
        ModelError: the file is missing, no TOML, or a field is missing, unknown or wrong.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as err:
        raise ModelError(f"cannot read the spec {path}: {err}. Expected TOML in UTF-8.") from err
    table = _Table(raw, str(path))
    name = table.take("name", "text", base.name if base else _ABSENT)
    if not _NAME.fullmatch(name):
        raise table.wrong("name", name, "small letters, digits, dots and hyphens")
    task = table.choice("task", TASKS, base.task if base else _ABSENT)
    film = _input(table.table("input", base is None), base.input if base else None)
    outputs = _outputs(table, task, film, base)
    licence = table.take("licence", "text", base.licence if base else _NOT_STATED)
    spec = ModelSpec(
        name=name,
        version=table.take("version", "text", base.version if base else "1.0.0"),
        task=task,
        licence=licence,
        intended_use=_use(table.table("use", base is None), base.intended_use if base else None),
        input=film,
        outputs=outputs,
        explanation=base.explanation if base else None,
        weights=WeightsSource("", licence, _NOT_STATED),
        mask=_mask(table.table("mask", False), task, base),
        budget=_budget(table.table("budget", False), base),
        detection=_rules(table.table("detection", False), task, base),
    )
    table.end()
    return spec


def _input(table: _Table, base: InputSpec | None) -> InputSpec:
    def of(field: str) -> Any:
        return getattr(base, field) if base else _ABSENT

    sides = {side: table.take(side, "whole", of(side)) for side in ("height", "width")}
    for side, value in sides.items():
        if not 32 <= value <= MAX_SIDE:
            raise table.wrong(side, value, f"32 to {MAX_SIDE} pixels")
    channels = table.take("channels", "whole", of("channels"))
    if channels not in (1, 3):
        raise table.wrong("channels", channels, "1 or 3")
    resize: Resize = table.choice("resize", get_args(Resize), base.resize if base else "stretch")
    pad = table.take("pad", "whole", base.pad_value if base else None)
    if (resize == "letterbox") != (pad is not None) or not 0 <= (pad or 0) <= 255:
        raise table.wrong("pad", pad, "0 to 255 with a letterbox, nothing with stretch")
    found = InputSpec(
        name="film",
        height=sides["height"],
        width=sides["width"],
        channels=channels,
        resize=resize,
        filter=table.choice("filter", get_args(ResizeFilter), base.filter if base else "bilinear"),
        pad_value=pad,
        scaling=_scaling(table, channels, base.scaling if base else None),
        dicom=base.dicom if base else DicomRules(voi="file"),
        region=table.choice("region", get_args(Region), base.region if base else "film"),
    )
    table.end()
    return found


def _scaling(table: _Table, channels: int, base: Scaling | None) -> Scaling:
    pairs = {}
    for key in ("mean", "std"):
        values = table.items(key, "number", getattr(base, key) if base else _ABSENT)
        if len(values) != channels or not all(math.isfinite(v) for v in values):
            raise table.wrong(key, list(values), f"{channels} numbers, one a channel")
        pairs[key] = tuple(float(v) for v in values)
    if min(pairs["std"]) <= 0:
        raise table.wrong("std", list(pairs["std"]), "numbers above 0")
    return Scaling(pairs["mean"], pairs["std"])


def _outputs(
    table: _Table, task: str, film: InputSpec, base: ModelSpec | None
) -> tuple[OutputSpec, ...]:
    """What the network gives; of a detector and a promptable segmenter the zoo knows it."""
    if base is not None and base.task in OF_ZOO and task != base.task:
        raise table.wrong("task", task, f"'{base.task}', which is what {base.name} does")
    if film.region == "lungs" and task not in ("classification", "findings"):
        raise table.wrong("task", task, "classification or findings where region is 'lungs'")
    if task in OF_ZOO:
        if base is None or base.task != task:
            raise table.wrong("task", task, f"{OF_ZOO[task]} of the zoo, named with --model")
        return (_boxes if task == "detection" else _prompted)(table, film, base)
    features = tuple(o for o in base.outputs if o.meaning == "features") if base else ()
    return (_output(table, task, film, base), *features)


def _output(table: _Table, task: str, film: InputSpec, base: ModelSpec | None) -> OutputSpec:
    default = base.outputs[0].labels if base else _ABSENT
    labels = table.items("labels", "text", default)
    if len(set(labels)) != len(labels) or not labels or not all(labels):
        raise table.wrong("labels", list(labels), "different names, one a score")
    counts = {"classification": 2, "segmentation": 1}
    if len(labels) != counts.get(task, len(labels)):
        raise table.wrong(
            "labels",
            list(labels),
            f"{counts[task]} of a {task}; several findings with a threshold each are task = "
            "'findings'",
        )
    known = base.outputs[0].positive_label if base and base.task == task else None
    positive = table.take("positive", "text", known if known in labels else labels[-1])
    if positive not in labels:
        raise table.wrong("positive", positive, f"one of {', '.join(labels)}")
    if task == "segmentation":
        shape = (1, film.height, film.width)
        return OutputSpec("mask", "mask", shape, "sigmoid", labels, positive)
    binary = task == "classification"
    return OutputSpec(
        "logits",
        "logits",
        (len(labels),),
        "softmax" if binary else "sigmoid",
        labels,
        positive if binary else None,
    )


def _boxes(table: _Table, film: InputSpec, base: ModelSpec) -> tuple[OutputSpec, ...]:
    """A detector's outputs for its own labels and side: places are a share of the pixels."""
    labels = table.items("labels", "text", base.outputs[0].labels)
    if len(set(labels)) != len(labels) or not labels or not all(labels):
        raise table.wrong("labels", list(labels), "different names, one a class")
    if film.height % _COARSEST or film.width % _COARSEST:
        raise table.wrong(
            "input", f"{film.width} x {film.height}", f"multiples of {_COARSEST} pixels"
        )
    pixels, known = film.height * film.width, base.input.height * base.input.width
    scores, boxes = base.output("logits"), base.output("boxes")
    places = scores.shape[0] * pixels // known
    return (
        replace(scores, shape=(places, len(labels)), labels=labels),
        replace(boxes, shape=(places, 4)),
    )


def _prompted(table: _Table, film: InputSpec, base: ModelSpec) -> tuple[OutputSpec, ...]:
    """A promptable segmenter's mask and its expected quality: the maps are of the side that the
    network was built for."""
    labels = table.items("labels", "text", base.outputs[0].labels)
    if len(labels) != 1 or not labels[0]:
        raise table.wrong("labels", list(labels), "one name, of whatever lies in a box")
    if film.shape != base.input.shape:
        given, wanted = (" x ".join(map(str, shape)) for shape in (film.shape, base.input.shape))
        raise table.wrong("input", given, f"{wanted} (channels, height, width) of {base.name}")
    mask = replace(base.output("mask"), labels=labels, positive_label=labels[0])
    return (mask, base.output("quality"))


def _rules(table: _Table, task: str, base: ModelSpec | None) -> DetectionRules | None:
    """What a detector's boxes are chosen by."""
    usual = base.detection if base is not None and task == "detection" else None
    if usual is None:
        table.end()
        return None
    rules = DetectionRules(
        nms_iou=float(table.take("nms_iou", "number", usual.nms_iou)),
        max_candidates=table.take("max_candidates", "whole", usual.max_candidates),
        max_boxes=table.take("max_boxes", "whole", usual.max_boxes),
    )
    table.end()
    bounded = 1 <= rules.max_boxes <= MAX_BOXES and rules.max_boxes <= rules.max_candidates <= 10000
    if not (0 < rules.nms_iou <= 1 and bounded):
        raise table.wrong(
            "detection",
            rules,
            f"nms_iou above 0 and at most 1, max_boxes in 1..{MAX_BOXES}, max_candidates from "
            "max_boxes to 10000",
        )
    return rules


def _use(table: _Table, base: IntendedUse | None) -> IntendedUse:
    age = table.items("age_years", "number", base.age_years if base else None)
    if age is not None and not (len(age) == 2 and 0 <= age[0] <= age[1] <= 150):
        raise table.wrong("age_years", list(age), "two numbers, from and to")
    found = IntendedUse(
        statement=table.take("statement", "text", base.statement if base else _ABSENT),
        body_part=table.take("body_part", "text", base.body_part if base else _ABSENT),
        modalities=table.items("modalities", "text", base.modalities if base else ("CR", "DX")),
        age_years=None if age is None else (float(age[0]), float(age[1])),
        not_for=table.items("not_for", "text", base.not_for if base else ("deciding alone",)),
    )
    table.end()
    return found


def _mask(table: _Table, task: str, base: ModelSpec | None) -> MaskRules | None:
    usual = (base.mask if base else None) or _MASK
    rules = MaskRules(
        min_area_share=float(table.take("min_area_share", "number", usual.min_area_share)),
        max_regions=table.take("max_regions", "whole", usual.max_regions),
        smooth=float(table.take("smooth", "number", usual.smooth)),
    )
    table.end()
    if not (0 <= rules.min_area_share <= 1 and 0 <= rules.smooth <= 0.1 and rules.max_regions >= 0):
        raise table.wrong(
            "mask", rules, "min_area_share in 0..1, smooth in 0..0.1 and max_regions from 0"
        )
    return rules if task.endswith("segmentation") else None


def _budget(table: _Table, base: ModelSpec | None) -> Budget:
    usual = base.budget if base else USUAL_BUDGET
    found = Budget(
        points=float(table.take("points", "number", usual.points)),
        films=table.take("films", "whole", usual.films),
        auc=float(table.take("auc", "number", usual.auc)),
        dice=float(table.take("dice", "number", usual.dice)),
        ap50=float(table.take("ap50", "number", usual.ap50)),
    )
    table.end()
    if not (0 <= found.points <= 100 and found.films >= 0):
        raise table.wrong("budget", found, "points in 0..100 and films from 0")
    if not all(0 <= share <= 1 for share in (found.auc, found.dice, found.ap50)):
        raise table.wrong("budget", found, "auc, dice and ap50 in 0..1")
    return found


def with_weights(spec: ModelSpec, file: str) -> ModelSpec:
    """The same with the name of the weights' file."""
    return replace(spec, weights=replace(spec.weights, file=file))
