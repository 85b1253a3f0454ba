"""One label of two for a film."""

import numpy as np
from numpy.typing import NDArray

from .boxes import Boxes
from .bundle import Bundle
from .errors import ArtifactError
from .explanations.records import Outputs, Target
from .explanations.targets import label_number, scored
from .film import Film
from .predictions import Classification, Timing
from .predictor import ModelPredictor, Predictor, probabilities
from .spec import OutputSpec


class Classifier(ModelPredictor):
    """A two-label network: softmax over both, or a sigmoid each."""

    kind = "classification"
    positive_label: str

    def _answering(self, bundle: Bundle) -> OutputSpec:
        for output in bundle.manifest.outputs:
            if output.meaning == "logits" and len(output.labels) == 2 and output.positive_label:
                self._positive = output.labels.index(output.positive_label)
                return output
        raise ArtifactError(
            f"'{bundle.manifest.name}' has no two-label output with a positive label, so it "
            "cannot be opened as a classifier."
        )

    def _decided(self) -> tuple[str, ...]:
        return (self._output.labels[self._positive],)

    @property
    def threshold(self) -> float:
        """Positive means score >= threshold."""
        return self.thresholds[self.positive_label]

    def predict(self, film: Film, boxes: Boxes = ()) -> Classification:
        """Score a whole film; raises as `Predictor.predict`."""
        self._admit(film, boxes)
        return self.predict_crop(film)

    def predict_crop(self, film: Film) -> Classification:
        """Score what was already cut to the region that the network was made for."""
        return self._classification(*self._timed(film))

    def _classification(self, logits: NDArray[np.float32], timing: Timing) -> Classification:
        shares = probabilities(logits.tolist(), self._output, self._temperatures)
        labels = self.labels
        score, threshold = shares[self._positive], self.threshold
        positive = score >= threshold
        return Classification(
            label=labels[self._positive if positive else 1 - self._positive],
            positive=positive,
            positive_label=self.positive_label,
            score=score,
            threshold=threshold,
            probabilities=tuple(zip(labels, shares, strict=True)),
            report=self.report,
            timing=timing,
        )

    def target(self, label: str | None, outputs: Outputs) -> Target:
        """As `ModelPredictor.target`; None: the positive label."""
        number = label_number(self.labels, label or self.positive_label, self.report.model)
        return scored(self.bundle.manifest, self._output, number)


def as_classifier(predictor: Predictor) -> Classifier:
    """The predictor, where it is a two-label model and no pipeline.

    Raises:
        ArtifactError: it is something else.
    """
    if not isinstance(predictor, Classifier):
        raise ArtifactError(
            f"'{predictor.report.model}' is a {predictor.bundle.manifest.kind} that gives "
            f"{predictor.kind}; expected a two-label classifier."
        )
    return predictor
