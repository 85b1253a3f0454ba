"""What a predictor answers."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .lungs import Box

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
class Member:
    """A member of a pipeline that was asked, and what answered.

    `role` is the path to it, e.g. "first/lungs"; in an ensemble the member's name.
    """

    role: str
    report: RunReport


@dataclass(frozen=True)
class Classification:
    """One label per film.

    `score` is the probability of `positive_label`; `positive` means score >= threshold;
    `probabilities` has every label in the manifest's order. `crop` is the part of the film that
    was looked at, None for all of it; `members` the parts of a pipeline, () for a model alone.
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
    crop: Box | None = None
    members: tuple[Member, ...] = ()


@dataclass(frozen=True)
class Finding:
    """One finding of several; `positive` means score >= threshold."""

    label: str
    score: float
    threshold: float
    positive: bool


@dataclass(frozen=True)
class Findings:
    """Every finding in the manifest's order, each with its own threshold.

    `main` is the label whose score is farthest above its threshold, None where none is positive.
    """

    findings: tuple[Finding, ...]
    main: str | None
    report: RunReport
    timing: Timing
    caution: str = CAUTION
    crop: Box | None = None
    members: tuple[Member, ...] = ()


@dataclass(frozen=True)
class Lesion:
    """One connected region; of a promptable model all that it drew for one box.

    Attributes:
        outline: closed polygons (x, y) in film pixels, outer ones first, then holes; () where
            nothing was drawn for a box.
        box: (x0, y0, x1, y1) around it in film pixels, x1 and y1 beyond the last pixel; the prompt
            where nothing was drawn.
        area_mm2: None where the film tells no spacing.
        score: mean probability inside, 0 where nothing was drawn.
        location: (vertical, horizontal) third of the film: "upper" | "middle" | "lower",
            "left" | "centre" | "right" as the picture lies.
        prompt: the box (x0, y0, x1, y1) in film pixels that was asked about, None without one.
        confidence: the score of that box, None where no detector found it.
        quality: the intersection over union with the truth that the model expects, 0..1.
    """

    label: str
    outline: tuple[tuple[tuple[float, float], ...], ...]
    box: tuple[int, int, int, int]
    area_px: int
    area_mm2: float | None
    score: float
    location: tuple[str, str]
    prompt: tuple[float, float, float, float] | None = None
    confidence: float | None = None
    quality: float | None = None


@dataclass(frozen=True, eq=False)
class Segmentation:
    """A mask over the film and its regions, the largest first; of boxes one a box, in their order.

    Attributes:
        positive: whether a region is left after cleaning; of a detector's boxes, whether there are
            any.
        score: the largest probability on the film, or a box's, see `score_of`.
        probability: float32 (h, w), 0..1, on the network's grid, as its input was laid; of boxes
            the largest of theirs.
        raw: bool (H, W) of the film's size: probability >= threshold.
        mask: bool (H, W): the regions that were kept, smoothed.
        score_of: "mask": label, score and threshold are of a pixel; "box": of the detector's box
            that is farthest above its threshold, or least below where there is none.
        note: a sentence where the answer is empty or was bounded, else "".
    """

    label: str
    positive: bool
    score: float
    threshold: float
    lesions: tuple[Lesion, ...]
    probability: NDArray[np.float32]
    raw: NDArray[np.bool_]
    mask: NDArray[np.bool_]
    report: RunReport
    timing: Timing
    caution: str = CAUTION
    members: tuple[Member, ...] = ()
    score_of: Literal["mask", "box"] = "mask"
    note: str = ""


@dataclass(frozen=True)
class FoundBox:
    """What a detector found: (x0, y0, x1, y1) in film pixels, on the film; score >= threshold."""

    label: str
    box: tuple[float, float, float, float]
    score: float
    threshold: float


@dataclass(frozen=True)
class Detections:
    """The boxes of a film, the surest first.

    Attributes:
        positive: whether there are any.
        label, score, threshold: of the box that is farthest above its threshold, or least below
            where there is none.
        height, width: of the film in pixels.
        note: a sentence where the answer is empty or was bounded, else "".
    """

    boxes: tuple[FoundBox, ...]
    label: str
    positive: bool
    score: float
    threshold: float
    height: int
    width: int
    report: RunReport
    timing: Timing
    note: str = ""
    caution: str = CAUTION
    members: tuple[Member, ...] = ()


@dataclass(frozen=True)
class CascadeResult:
    """A first answer and, only where it is positive, a second model's findings."""

    first: Classification
    second: Findings | None
    report: RunReport
    timing: Timing
    caution: str = CAUTION
    members: tuple[Member, ...] = ()


Prediction = Classification | Findings | Detections | Segmentation | CascadeResult


@dataclass(frozen=True, eq=False)
class Explanation:
    """A map over the film.

    Attributes:
        map: float32 (h, w), 0..1, stretched or letterboxed as the model's input was.
        method: e.g. "eigen-cam".
        label: the class that it stands for.
        sign: +1 where high values support the label, 0 where the map is flat (says nothing).
        note: a sentence where the map needs one, else "".
        crop: the part of the film that the map lies over, None for all of it.
        passes: runs of the network beyond the first that the map took.
    """

    map: NDArray[np.float32]
    method: str
    label: str
    sign: int
    note: str
    report: RunReport
    crop: Box | None = None
    passes: int = 0
