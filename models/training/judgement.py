"""What the end of a run finds out about weights: thresholds, and figures on the test parts."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...runtime.figures import Accuracy, MaskAccuracy, Part


@dataclass(frozen=True)
class Measured:
    """Figures on films that steered nothing. `what` names them in words.

    `no_score`: films left out because no lungs were found on them.
    """

    what: str
    figures: Accuracy
    no_score: int = 0


@dataclass(frozen=True)
class MeasuredMasks:
    """As `Measured`, of masks."""

    what: str
    figures: MaskAccuracy


@dataclass(frozen=True)
class Judgement:
    """`threshold` by `rule` on `n_films` of the part select; `thresholds` a label where a model
    has several findings, of which `threshold` is the first's."""

    threshold: float
    rule: str
    n_films: int
    measured: tuple[Measured, ...] = ()
    masks: tuple[MeasuredMasks, ...] = ()
    thresholds: Mapping[str, float] = field(default_factory=dict)


TEST_PARTS: tuple[tuple[str, Part], ...] = (
    ("internal test, other patients", "test"),
    ("official test, all", "official-test"),
)
NEW_PATIENTS = "official test, patient numbers that training has not"
