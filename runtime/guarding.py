"""What INT8 may cost in clinical terms, and what it did cost: records of guarded quantization."""

from dataclasses import dataclass
from typing import Literal

from .figures import Part

# "agreement": films decided otherwise than by FP32, where no labels are known.
Lost = Literal["sensitivity", "specificity", "auc", "dice", "recall", "ap50", "agreement"]


@dataclass(frozen=True)
class Budget:
    """What an INT8 artifact may lose against FP32 on the same films of the guard part.

    Attributes:
        points: of sensitivity, of specificity and of the recall of boxes, percentage points.
        films: so many films (of recall: boxes) are allowed where they are more than `points`.
        auc, dice, ap50: absolute loss.
    """

    points: float = 0.5
    films: int = 2
    auc: float = 0.005
    dice: float = 0.005
    ap50: float = 0.01


USUAL_BUDGET = Budget()


@dataclass(frozen=True)
class PairedLoss:
    """FP32's figure less the artifact's on the same films; above 0 is a loss.

    `low`, `high`: 95 % interval of a paired bootstrap over patients. `allowed` by the budget.
    """

    figure: Lost
    label: str
    value: float
    low: float
    high: float
    allowed: float
    n: int
    n_patients: int


@dataclass(frozen=True)
class Trial:
    """One quantization that was tried: its calibration method, layers left in float, result.

    Attributes:
        float_layers: reverted by the search, beside those that every recipe leaves in float.
        worst: the loss that used most of its allowance, as a share of it; at most 1 is within
            budget; None: not judged on guard, its scores were noisier than another method's.
        snr_db: signal-to-noise ratio of its raw scores against FP32's on the select part; None
            where it was not measured.
        numbers: False: some of its scores on select or guard were NaN or infinite. Nothing can be
            measured then; `worst` is 1e6, and the budget counts as broken.
        draft: quantized quickly, with less exact biases, to find layers; never published.
        error: why the tool could not quantize the network by this method, else ""; then `bytes`
            is 0.
    """

    method: str
    float_layers: int
    worst: float | None
    bytes: int
    snr_db: float | None = None
    numbers: bool = True
    draft: bool = False
    error: str = ""


@dataclass(frozen=True)
class Guarding:
    """How an INT8 artifact came to keep its budget.

    Attributes:
        data, part, n_films: where the losses were measured.
        losses: of the published artifact.
        trials: everything tried, in order; the last is the published one.
        limit: trials that were allowed.
        plain_bytes: size of the plain static INT8 file.
        float_share: share of the network's multiply-adds that stayed in float.
    """

    data: str
    part: Part
    n_films: int
    losses: tuple[PairedLoss, ...]
    trials: tuple[Trial, ...]
    limit: int
    plain_bytes: int
    float_share: float
