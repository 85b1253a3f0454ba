"""The records of an evaluation: what is asked, and what comes out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar, get_args

from ..runtime.figures import Figure, Part, ReliabilityBin
from ..runtime.guarding import PairedLoss
from .box_metrics import BoxFigures
from .machine import Machine
from .mask_metrics import MaskFigures
from .measure import Skipped
from .metrics import BinaryFigures

ACCURACY_SCHEMA = 2
# What a user may ask for: the parts of the split, all films, and the official test films whose
# patient number does not occur in the official train part.
Wanted = Literal[
    "train", "select", "guard", "test", "official-test", "official-test-new-patients", "all"
]
WANTED: tuple[Wanted, ...] = get_args(Wanted)
TEST_PARTS: tuple[Wanted, ...] = ("test", "official-test", "official-test-new-patients")
USED_PARTS: tuple[Part, ...] = ("train", "select", "guard")
Kind = Literal["classification", "findings", "cascade", "detection", "segmentation"]
Prompts = Literal["true", "moved"]


@dataclass(frozen=True)
class Question:
    """What to evaluate.

    Attributes:
        parts: () takes the test parts where the bundle was trained on patients of this folder,
            else all films.
        artifacts: artifact ids; () takes all. Of a pipeline: the id that each member opens.
        boxes: what a promptable model is asked with, the boxes around the true masks or these
            moved at random; says nothing to others.
    """

    parts: tuple[Wanted, ...] = ()
    artifacts: tuple[str, ...] = ()
    threads: int = 0
    boxes: Prompts = "true"


@dataclass(frozen=True)
class Ran:
    """What answered: an artifact of a model, or of a pipeline's members.

    `engine_version` and `compute` are of the member whose answer counts.
    """

    artifact: str
    artifact_sha256: str
    engine_version: str
    compute: str


@dataclass(frozen=True)
class Against:
    """What an artifact decides otherwise than the FP32 one of its format, on films both scored.

    `mended`, `spoilt` and `p` (McNemar's exact test) as in the manifest's `Flips`; `losses` of
    sensitivity, specificity and AUC with paired intervals, () where scored films are of one label.
    """

    artifact: str
    n_films: int
    to_positive: int
    to_negative: int
    mended: int | None
    spoilt: int | None
    p: float | None
    losses: tuple[PairedLoss, ...] = ()


@dataclass(frozen=True)
class ArtifactFigures:
    """One artifact on one part.

    Attributes:
        figures: of the films that got a score.
        flips: films that it decides otherwise than the reference, a score against none included.
        label: the finding that it is about, "" where there is one score a film.
        f1: of a finding.
        no_score: films without a score: no lungs found, outside the intended use, or the second
            stage of a cascade was not asked.
        accuracy_with_no_score: such films counted as wrong; None where there are none.
        against: the FP32 artifact of the same format; None for itself or where it did not run.
        ece: expected calibration error of the scores over `bins`.
    """

    artifact: str
    artifact_sha256: str
    engine_version: str
    compute: str
    threshold: float
    figures: BinaryFigures
    flips: int
    agreement: float
    label: str = ""
    f1: Figure | None = None
    no_score: int = 0
    accuracy_with_no_score: Figure | None = None
    against: Against | None = None
    ece: Figure | None = None
    bins: tuple[ReliabilityBin, ...] = ()


@dataclass(frozen=True)
class ArtifactBoxes:
    """One artifact's boxes of one label on one part.

    Attributes:
        flips: films on which it finds a box and the reference none, or the reverse.
        against: the FP32 artifact of the same format; "" for itself or where it did not run.
        losses: of recall and AP50 against that, with paired intervals.
    """

    artifact: str
    artifact_sha256: str
    engine_version: str
    compute: str
    threshold: float
    label: str
    figures: BoxFigures
    flips: int
    agreement: float
    against: str = ""
    losses: tuple[PairedLoss, ...] = ()


@dataclass(frozen=True)
class MaskLoss:
    """Mean Dice of `against` less the row's own on the same films; above 0 is a loss.

    `against`: the FP32 artifact of the same format, or "true boxes", what the same artifact draws
    in the boxes around the true masks. Interval as in `PairedLoss`; films with a mask count.
    """

    against: str
    value: float
    low: float
    high: float
    n: int
    n_patients: int


@dataclass(frozen=True)
class ArtifactMasks:
    """One artifact's masks on one part, at each film's own resolution.

    `figures` are of the mask as it is shown, after cleaning; `raw` of the threshold alone.
    `flips`: films on which one finds something and the reference does not, or the reverse.
    `boxes`: what the masks were drawn in, "found", "true" or "moved" boxes; "" where in none.
    """

    artifact: str
    artifact_sha256: str
    engine_version: str
    compute: str
    threshold: float
    figures: MaskFigures
    raw: MaskFigures
    flips: int
    agreement: float
    boxes: str = ""
    losses: tuple[MaskLoss, ...] = ()


@dataclass(frozen=True)
class PartFigures:
    """All artifacts on one part of the data.

    Attributes:
        n_positive: films with the positive label, any finding, a box or a mask.
        reference: the artifact that flips count from.
        rows: an artifact and label each; () for masks and boxes.
        masks: an artifact each; () for labels and boxes.
        not_measured: findings or labels without figures, and why.
        boxes: an artifact and label each, of a detector or a lesion pipeline's.
        given_boxes: of a lesion pipeline what its segmenter draws in true boxes and in moved ones,
            an artifact each.
    """

    part: Wanted
    n_films: int
    n_positive: int
    n_patients: int
    reference: str
    rows: tuple[ArtifactFigures, ...]
    masks: tuple[ArtifactMasks, ...] = ()
    not_measured: tuple[str, ...] = ()
    boxes: tuple[ArtifactBoxes, ...] = ()
    given_boxes: tuple[ArtifactMasks, ...] = ()


@dataclass(frozen=True)
class EvaluationReport:
    """A bundle on a data folder, whose patients it never saw in training or tuning.

    `notes`: what the opened artifacts said of themselves, a clinic's own threshold among it.
    `boxes`: "true" or "moved", of a promptable model what it was asked with; "" for others.
    """

    schema: int
    model: str
    bundle_id: str
    kind: Kind
    data: str
    n_films: int
    machine: Machine
    date: str
    parts: tuple[PartFigures, ...]
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...] = ()
    boxes: str = ""


class _HasRun(Protocol):
    @property
    def ran(self) -> Ran: ...


Scored = TypeVar("Scored", bound=_HasRun)


def fp32_of(one: Scored, scored: Sequence[Scored]) -> Scored | None:
    """The FP32 artifact of the same format, None where it is `one` itself or was not scored."""
    wanted = f"{one.ran.artifact.partition('/')[0]}/fp32"
    found = (s for s in scored if s.ran.artifact == wanted and s is not one)
    return next(found, None)


def reference_of(scored: Sequence[Scored]) -> Scored:
    """ONNX FP32 where it was scored, else any FP32, else the first."""
    return min(
        scored,
        key=lambda s: (s.ran.artifact != "onnx/fp32", not s.ran.artifact.endswith("fp32")),
    )
