"""What a predictor answers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CAUTION = "second opinion, not a diagnosis; not a medical device"


@dataclass(frozen=True)
class SessionReport:
    """What a session really uses. `notes`: allowed fall-backs and rejected alternatives."""

    engine: str
    engine_version: str
    device: str
    compute: str
    threads: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunReport:
    """Which bundle and artifact answered, and what the session reported."""

    model: str
    model_version: str
    bundle_id: str
    artifact: str
    artifact_sha256: str
    session: SessionReport


@dataclass(frozen=True)
class Timing:
    """Milliseconds of one prediction: resize and scaling, then the engine."""

    preprocess_ms: float
    inference_ms: float


@dataclass(frozen=True)
class Classification:
    """One label per film.

    `score` is the probability of `positive_label`; `positive` means score >= threshold;
    `probabilities` has every label in the manifest's order.
    """

    label: str
    positive: bool
    positive_label: str
    score: float
    threshold: float
    probabilities: tuple[tuple[str, float], ...]
    report: RunReport
    timing: Timing
    caution: str = CAUTION


# Findings, Detections, Segmentation and CascadeResult join here with their models.
Prediction = Classification


@dataclass(frozen=True, eq=False)
class Explanation:
    """A map over the film.

    Attributes:
        map: float32 (h, w), 0..1, stretched or letterboxed as the model's input was.
        method: e.g. "eigen-cam".
        label: the class that it stands for.
        sign: +1 where high values support the label, 0 where the map is flat (says nothing).
        note: a sentence where the map needs one, else "".
    """

    map: NDArray[np.float32]
    method: str
    label: str
    sign: int
    note: str
    report: RunReport
