"""Several findings for a film, each with its own threshold."""

import numpy as np
from numpy.typing import NDArray

from .boxes import Boxes
from .bundle import Bundle
from .errors import ArtifactError
from .explanations.records import Outputs, Target
from .explanations.targets import label_number, scored
from .film import Film
from .predictions import Finding, Findings
from .predictor import ModelPredictor, find_output, probabilities
from .spec import OutputSpec


class FindingsPredictor(ModelPredictor):
    """A network with one sigmoid score a finding; none excludes another."""

    kind = "findings"

    def _answering(self, bundle: Bundle) -> OutputSpec:
        output = find_output(bundle, "logits")
        if output is None or output.activation != "sigmoid":
            raise ArtifactError(
                f"'{bundle.manifest.name}' has no output of labelled sigmoid scores, so it cannot "
                "be opened for its findings."
            )
        return output

    def _decided(self) -> tuple[str, ...]:
        return self._output.labels

    def predict(self, film: Film, boxes: Boxes = ()) -> Findings:
        """Score a whole film; raises as `Predictor.predict`."""
        self._admit(film, boxes)
        return self.predict_crop(film)

    def predict_crop(self, film: Film) -> Findings:
        """Score what was already cut to the region that the network was made for."""
        logits, timing = self._timed(film)
        found = self._findings(logits)
        return Findings(found, main_finding(found), self.report, timing)

    def _findings(self, logits: NDArray[np.float32]) -> tuple[Finding, ...]:
        scores = probabilities(logits.tolist(), self._output, self._temperatures)
        return decide(dict(zip(self.labels, scores, strict=True)), dict(self.thresholds))

    def target(self, label: str | None, outputs: Outputs) -> Target:
        """As `ModelPredictor.target`; None: the main finding, or the nearest to its threshold."""
        if label is None:
            found = self._findings(outputs[self._output.name][0])
            label = max(found, key=lambda finding: finding.score - finding.threshold).label
        number = label_number(self.labels, label, self.report.model)
        return scored(self.bundle.manifest, self._output, number)


def decide(scores: dict[str, float], thresholds: dict[str, float]) -> tuple[Finding, ...]:
    """One finding a label, in the order of `scores`."""
    return tuple(
        Finding(label, score, thresholds[label], score >= thresholds[label])
        for label, score in scores.items()
    )


def main_finding(findings: tuple[Finding, ...]) -> str | None:
    """The positive one whose score is farthest above its threshold; the first of equals."""
    positive = [f for f in findings if f.positive]
    if not positive:
        return None
    return max(positive, key=lambda f: f.score - f.threshold).label
