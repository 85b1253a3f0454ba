"""What one detector loses against another on the same films, label by label."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..runtime.errors import DataError
from ..runtime.guarding import USUAL_BUDGET, Budget, PairedLoss
from .box_metrics import FilmMatch, resampled_precision
from .paired import interval_of
from .resampling import draw_patients, number_patients


@dataclass(frozen=True, eq=False)
class Found:
    """What one artifact found of a label, a match a film, and its threshold."""

    films: Sequence[FilmMatch]
    threshold: float

    def hits(self) -> list[int]:
        """True boxes found on each film."""
        return [int((f.hit & (f.scores >= self.threshold)).sum()) for f in self.films]


def box_losses(
    fp32: Found,
    artifact: Found,
    patients: Sequence[str],
    label: str,
    budget: Budget = USUAL_BUDGET,
) -> tuple[PairedLoss, PairedLoss]:
    """Losses of recall, each at its own threshold, and of AP50; intervals as `label_losses`.

    Raises:
        DataError: other lengths, other true boxes, or none.
    """
    true = np.array([film.n_true for film in fp32.films], np.float64)
    theirs = [film.n_true for film in artifact.films]
    if true.tolist() != theirs or len(true) != len(patients) or not true.any():
        raise DataError(
            f"{len(true)} and {len(theirs)} films of {len(patients)} patients with "
            f"{int(true.sum())} and {sum(theirs)} true boxes; expected the same, at least one box."
        )
    patient = number_patients(patients)
    n = int(patient.max()) + 1
    draws = draw_patients(n)
    lost = np.array(fp32.hits()) - np.array(artifact.hits())
    sums = draws @ np.bincount(patient, weights=lost, minlength=n)
    counts = draws @ np.bincount(patient, weights=true, minlength=n)
    value, boxes = float(lost.sum() / true.sum()), int(true.sum())
    people = len(np.unique(patient[true > 0]))
    low, high = interval_of(value, sums[counts > 0] / counts[counts > 0], people)
    allowed = max(budget.points / 100, budget.films / boxes)
    recall = PairedLoss("recall", label, value, low, high, allowed, boxes, people)
    before, now = (resampled_precision(one.films, patient, draws) for one in (fp32, artifact))
    whole = np.ones((1, n), np.int32)
    areas = [float(resampled_precision(o.films, patient, whole)[0]) for o in (fp32, artifact)]
    difference, known = areas[0] - areas[1], np.isfinite(before)
    low, high = interval_of(difference, (before - now)[known], people)
    area = PairedLoss("ap50", label, difference, low, high, budget.ap50, len(true), n)
    return recall, area
