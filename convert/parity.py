"""When an artifact is the model that it claims to be, and what the manifest says of it."""

import math
from dataclasses import dataclass

from ..runtime.errors import NoNumbersError, ParityError
from ..runtime.figures import Accuracy, BoxAccuracy, Flips, MaskAccuracy, Parity, Reliability
from ..runtime.guarding import PairedLoss
from ..runtime.manifest import Precision, Temperature, Threshold
from ..runtime.spec import Task

FP32_TOLERANCE = 1e-3
# Logits of SAM 2 reach 30 behind two attention networks: torch's own kernels differ by 3e-4 there.
# So do YOLO-NAS' own forms, before and after fusion, in float32; another engine sums otherwise too.
FP32_TOLERANCES: dict[Task, float] = {"promptable-segmentation": 5e-3, "detection": 5e-3}
# The last digits of a difference of two float32 numbers carry nothing.
DIGITS = 9
NOT_SET = "not set on data: 0.5"
FROM_CARD = "not set on data: the threshold of the weights' card"
# Decisions that must be equal where nobody asks for another share. A small lesion's mask falls
# below Dice 0.9 when its outline moves by one pixel.
MIN_AGREEMENT: dict[Task, float] = {"segmentation": 0.7, "promptable-segmentation": 0.7}
USUAL_AGREEMENT = 0.9


@dataclass(frozen=True)
class GraphParity:
    """One graph of several alone, on the source's own inputs.

    `difference`: the largest, of an encoder's maps as a share of the map's largest value, of a
    decoder's masks in logits.
    """

    name: str
    precision: Precision
    difference: float


@dataclass(frozen=True)
class Comparison:
    """What the manifest says of one artifact in one compute precision.

    `losses` and `flips` are against the FP32 artifact of the same format; () for FP32 itself.
    `graphs`: each alone, where an artifact has several.
    """

    parity: Parity
    thresholds: tuple[Threshold, ...]
    accuracy: tuple[Accuracy, ...] = ()
    masks: tuple[MaskAccuracy, ...] = ()
    boxes: tuple[BoxAccuracy, ...] = ()
    temperatures: tuple[Temperature, ...] = ()
    losses: tuple[PairedLoss, ...] = ()
    flips: tuple[Flips, ...] = ()
    reliability: tuple[Reliability, ...] = ()
    graphs: tuple[GraphParity, ...] = ()


def refuse_no_numbers(artifact_id: str, precision: Precision, finite: bool) -> None:
    """Stop where raw scores are NaN or infinite: nothing can be compared then.

    Raises:
        NoNumbersError: of a smaller precision, which a search may mend.
        ParityError: of FP32.
    """
    if finite:
        return
    kind = ParityError if precision == "fp32" else NoNumbersError
    raise kind(
        f"artifact {artifact_id}: some of its outputs on the films of select or guard are NaN or "
        "infinite. It was not written; leave this precision out."
    )


def usual_agreement(task: Task) -> float:
    """The share of equal decisions that an artifact must reach."""
    return MIN_AGREEMENT.get(task, USUAL_AGREEMENT)


def fp32_tolerance(task: Task) -> float:
    """How far raw scores of FP32 may be from the source's."""
    return FP32_TOLERANCES.get(task, FP32_TOLERANCE)


def refuse_disparity(
    artifact_id: str,
    precision: Precision,
    parity: Parity,
    min_agreement: float,
    tolerance: float = FP32_TOLERANCE,
) -> None:
    """Stop where an artifact is not the model that it claims to be.

    Raises:
        ParityError: FP32 farther than the tolerance from the source, scores that are no numbers,
            or too few equal decisions.
    """
    found = parity.max_abs_difference
    if precision == "fp32" and not found <= tolerance:
        raise ParityError(
            f"artifact {artifact_id}: raw scores differ from the source model's by {found:.3g} on "
            f"{parity.n_films} films of {parity.data}, tolerance {tolerance:g}. It was not "
            "written; look for an operation that this format computes otherwise."
        )
    if not math.isfinite(found):
        raise ParityError(
            f"artifact {artifact_id}: some raw scores are not finite numbers on {parity.n_films} "
            f"films of {parity.data}. It was not written; leave this precision out."
        )
    if not parity.decision_agreement >= min_agreement:
        raise ParityError(
            f"artifact {artifact_id}: {parity.decision_flips} decisions on {parity.n_films} films "
            f"of {parity.data} differ from the source model's, agreement "
            f"{parity.decision_agreement:.3f}, at least {min_agreement:g} expected. It was not "
            "written; calibrate on more and more varied films, or leave this precision out."
        )
