"""Figures that convert measures and the manifest keeps: accuracy, parity, flips, reliability."""

from dataclasses import dataclass
from typing import Literal

Compute = Literal["f32", "bf16", "f16", "int8"]
Part = Literal["train", "select", "guard", "test", "official-test"]


@dataclass(frozen=True)
class Figure:
    """A measured share or area with its 95 % interval; `n` counts films, `n_patients` patients."""

    value: float
    low: float
    high: float
    n: int
    n_patients: int


@dataclass(frozen=True)
class Accuracy:
    """What an artifact scored on a named part of a named data set at one threshold.

    `label`: the finding that it is about where a model has several, "" for a binary model.
    """

    data: str
    part: Part
    compute: Compute
    threshold: float
    accuracy: Figure
    sensitivity: Figure
    specificity: Figure
    auc: Figure
    label: str = ""


@dataclass(frozen=True)
class MaskAccuracy:
    """How well an artifact's masks fit on a named part of a named data set.

    Means over films that have a mask; `precision` and `recall` over all pixels of the part;
    `false_alarms` the share of films without a mask on which something was drawn, None where
    the part has no such film. Over all pixels too, None where they were not kept: their share
    that is right, the mean IoU of mask and background, F1, and 95 % intervals of all five.
    """

    data: str
    part: Part
    compute: Compute
    threshold: float
    dice: Figure
    iou: Figure
    precision: float
    recall: float
    false_alarms: Figure | None
    pixel_accuracy: float | None = None
    mean_iou: float | None = None
    f1: float | None = None
    precision_range: tuple[float, float] | None = None
    recall_range: tuple[float, float] | None = None
    f1_range: tuple[float, float] | None = None
    pixel_accuracy_range: tuple[float, float] | None = None
    mean_iou_range: tuple[float, float] | None = None


@dataclass(frozen=True)
class BoxAccuracy:
    """How well an artifact finds the boxes of one label on a named part of a named data set.

    A found box hits a true one where their intersection over union is at least 0.5. `ap50` is the
    area under precision over recall of every score; the rest is at the threshold: `recall` of true
    boxes, `precision` of found ones (None where nothing was found), `overlap` the mean IoU of hits
    (None without), `false_alarms` the share of films without a true box on which one was found,
    None where the part has no such film.
    """

    data: str
    part: Part
    compute: Compute
    threshold: float
    label: str
    ap50: Figure
    recall: Figure
    precision: Figure | None
    overlap: Figure | None
    false_alarms: Figure | None


@dataclass(frozen=True)
class Parity:
    """How far the raw scores are from the source model's on the same inputs.

    `decision_agreement` is the share of films that both decide alike, each at its own threshold
    (findings: of films and labels; masks: of films whose two masks overlap with Dice >= 0.9;
    boxes: of films on which each box has one of its label that overlaps it with IoU >= 0.5);
    `features_cosine` the mean cosine of the feature maps, None where there are none.
    """

    data: str
    n_films: int
    max_abs_difference: float
    mean_abs_difference: float
    cosine: float
    features_cosine: float | None
    decision_agreement: float
    decision_flips: int


@dataclass(frozen=True)
class Flips:
    """Decisions that differ from the FP32 artifact's on the same films, each at its own threshold.

    Of masks and boxes a film's decision is whether anything is drawn.

    `mended` were wrong in FP32 and are right here, `spoilt` the other way round; `p` is the exact
    two-sided probability of McNemar's test on these two (McNemar 1947, Psychometrika 12).
    Without known labels `mended`, `spoilt` and `p` are None.
    """

    label: str
    data: str
    part: Part
    n_films: int
    to_positive: int
    to_negative: int
    mended: int | None
    spoilt: int | None
    p: float | None


@dataclass(frozen=True)
class ReliabilityBin:
    """Films whose score lies in [low, high): their mean score and the share that is positive."""

    low: float
    high: float
    n_films: int
    mean_score: float
    positive_share: float


@dataclass(frozen=True)
class Reliability:
    """How far scores are from shares on a named part (reliability diagram).

    `ece`: expected calibration error over the bins, 0..1 (Naeini et al. 2015, AAAI); `unscaled`:
    the same before temperature scaling, None where there is none.
    """

    label: str
    data: str
    part: Part
    ece: Figure
    bins: tuple[ReliabilityBin, ...]
    unscaled: Figure | None = None
