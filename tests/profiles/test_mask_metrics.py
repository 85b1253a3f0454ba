"""Figures of masks over all pixels: their intervals resample patients, all in the same draws."""

import numpy as np
import pytest

from clinicedge.profiles.mask_metrics import MaskFigures, PixelCounts, mask_figures
from clinicedge.profiles.resampling import draw_patients

RNG = np.random.default_rng(4)
COUNTS = RNG.integers(1, 400, (4, 24)).astype(np.float64)
PATIENTS = tuple(f"p{i // 2:02}" for i in range(24))


def _of(sums: np.ndarray) -> dict[str, float]:  # type: ignore[type-arg]
    h, e, m, r = sums
    p, c = h / (h + e), h / (h + m)
    return {
        "precision": p,
        "recall": c,
        "f1": 2 * p * c / (p + c),
        "pixel_accuracy": (h + r) / (h + e + m + r),
        "mean_iou": (h / (h + e + m) + r / (r + e + m)) / 2,
    }


@pytest.fixture(scope="module")
def figures() -> MaskFigures:
    return mask_figures(PixelCounts(*COUNTS), PATIENTS)


@pytest.mark.parametrize("name", ["precision", "recall", "f1", "pixel_accuracy", "mean_iou"])
def test_each_figure_has_the_interval_of_resampled_patients(
    name: str, figures: MaskFigures
) -> None:
    by_patient = COUNTS.reshape(4, 12, 2).sum(axis=2)
    again = [_of(by_patient @ draw)[name] for draw in draw_patients(12)]
    low, high = getattr(figures, f"{name}_range")
    assert getattr(figures, name) == pytest.approx(_of(COUNTS.sum(axis=1))[name])
    assert (low, high) == pytest.approx(tuple(np.percentile(again, (2.5, 97.5))))


def test_nothing_drawn_has_no_precision() -> None:
    nothing = COUNTS.copy()
    nothing[:2] = 0
    found = mask_figures(PixelCounts(*nothing), PATIENTS)
    assert (found.precision, found.recall, found.f1) == (0.0, 0.0, 0.0)
    assert found.precision_range is None
    assert found.recall_range is not None
    assert found.recall_range[1] > 0.2, "Wilson's interval, where all resamples agree"
    assert found.mean_iou_range is not None
