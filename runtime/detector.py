"""Boxes around what a network found on a film."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .boxes import Boxes, clip, to_film
from .bundle import Bundle
from .errors import ArtifactError, TensorError
from .explanations.records import Outputs, Target
from .explanations.targets import label_number
from .film import Film
from .nms import Kept, probability, suppress
from .predictions import Detections, FoundBox, Timing
from .predictor import ModelPredictor, find_output
from .spec import DetectionRules, OutputSpec

# What is left on the film of a box must be a pixel each way.
MIN_SIDE = 1.0
# Of a survey, where the rules allow fewer.
SURVEYED = 100


@dataclass(frozen=True)
class Survey:
    """One look at a film: the answer, and every box from a lower score on, the surest first.

    Precision over recall needs them.
    """

    answer: Detections
    every: tuple[FoundBox, ...]


@dataclass(frozen=True, eq=False)
class _Raw:
    """A network's boxes: float64 (N, 4) on the film and clipped to it; logits float32 (N, K)."""

    boxes: NDArray[np.float64]
    clipped: NDArray[np.float64]
    logits: NDArray[np.float32]

    @property
    def usable(self) -> NDArray[np.bool_]:
        """bool (N,): what lies on the film has an area."""
        sides = self.clipped[:, 2:] - self.clipped[:, :2]
        return np.asarray((sides >= MIN_SIDE).all(axis=1))


class Detector(ModelPredictor):
    """A network that gives N boxes, each with one sigmoid logit a label."""

    kind = "detection"

    def _answering(self, bundle: Bundle) -> OutputSpec:
        manifest = bundle.manifest
        output = find_output(bundle, "logits")
        boxes = next((o for o in manifest.outputs if o.meaning == "boxes"), None)
        if output is None or boxes is None or manifest.detection is None:
            raise ArtifactError(
                f"'{manifest.name}' has no labelled scores with boxes and rules for them, so it "
                "cannot be opened as a detector."
            )
        self._rules: DetectionRules = manifest.detection
        self._boxes = boxes
        return output

    def _decided(self) -> tuple[str, ...]:
        return self._output.labels

    def predict(self, film: Film, boxes: Boxes = ()) -> Detections:
        """The boxes on a whole film; raises as `Predictor.predict`."""
        self._admit(film, boxes)
        return self.predict_crop(film)

    def predict_crop(self, film: Film) -> Detections:
        """The boxes on what was already cut to the region that the network was made for.

        Raises:
            TensorError: the network answered with something that is no number.
        """
        outputs, timing = self._timed_run(film)
        return self._decide(self._read(outputs, film), film, timing)

    def survey(self, film: Film, floor: float) -> Survey:
        """As `predict`, and the boxes of at least `floor` or their own threshold, by one run.

        Up to `SURVEYED` boxes, or as many as the rules allow if they allow more.
        """
        self._admit(film)
        outputs, timing = self._timed_run(film)
        raw = self._read(outputs, film)
        rules = replace(self._rules, max_boxes=max(self._rules.max_boxes, SURVEYED))
        floors = [min(floor, self.thresholds[label]) for label in self.labels]
        kept = suppress(raw.boxes, raw.logits, floors, rules, raw.usable)
        return Survey(self._decide(raw, film, timing), self._found(raw, kept))

    def _decide(self, raw: _Raw, film: Film, timing: Timing) -> Detections:
        floors = [self.thresholds[label] for label in self.labels]
        kept = suppress(raw.boxes, raw.logits, floors, self._rules, raw.usable)
        found = self._found(raw, kept)
        label, score = self._surest(raw)
        height, width = film.pixels.shape
        return Detections(
            boxes=found,
            label=label,
            positive=bool(found),
            score=score,
            threshold=self.thresholds[label],
            height=height,
            width=width,
            report=self.report,
            timing=timing,
            note=_note(len(found), (label, score, self.thresholds[label]), kept.more),
        )

    def _read(self, outputs: Outputs, film: Film) -> _Raw:
        boxes, logits = outputs[self._boxes.name][0], outputs[self._output.name][0]
        if not (np.isfinite(boxes).all() and np.isfinite(logits).all()):
            raise TensorError(
                f"'{self.report.model}' ({self.report.artifact}) answered with values that are no "
                "numbers; expected boxes and logits. Use another artifact or engine."
            )
        placed = to_film(boxes, film.pixels.shape, self.input)
        return _Raw(placed, clip(placed, film.pixels.shape), logits)

    def _found(self, raw: _Raw, kept: Kept) -> tuple[FoundBox, ...]:
        scores = probability(raw.logits[kept.box, kept.label])
        rows = zip(
            raw.clipped[kept.box].tolist(), kept.label.tolist(), scores.tolist(), strict=True
        )
        return tuple(
            FoundBox(
                label=self.labels[label],
                box=(box[0], box[1], box[2], box[3]),
                score=score,
                threshold=self.thresholds[self.labels[label]],
            )
            for box, label, score in rows
        )

    def _surest(self, raw: _Raw) -> tuple[str, float]:
        """The label whose best score is farthest above its threshold, and that score."""
        logits = raw.logits[raw.usable]
        if not len(logits):
            return self.labels[0], 0.0
        scores = probability(logits.max(axis=0)).tolist()
        best = dict(zip(self.labels, scores, strict=True))
        label = max(best, key=lambda name: best[name] - self.thresholds[name])
        return label, best[label]

    def target(self, label: str | None, outputs: Outputs) -> Target:
        """As `ModelPredictor.target`: the box that is surest of the label on the film as it is.

        None: the label whose box is the surest of all.
        """
        name = self._output.name
        logits = outputs[name][0]
        surest = self.labels[int(logits.max(axis=0).argmax())]
        number = label_number(self.labels, label or surest, self.report.model)
        box = int(logits[:, number].argmax())
        return Target(self.labels[number], lambda found: float(found[name][0, box, number]))


def _note(count: int, surest: tuple[str, float, float], more: bool) -> str:
    label, score, threshold = surest
    if not count:
        return (
            f"No box reached its threshold: the surest, of {label}, has {score:.3f}, and "
            f"{threshold:.3f} is needed."
        )
    return f"Only the {count} surest boxes are told; there may be more." if more else ""
