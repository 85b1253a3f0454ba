"""A mask over a film, and its regions."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .boxes import Boxes
from .bundle import Bundle
from .errors import ArtifactError, TensorError
from .explanations.records import Outputs, Target
from .explanations.targets import label_number, masked
from .film import Film
from .masks import Drawn, film_mask
from .predictions import Segmentation, Timing
from .predictor import ModelPredictor, find_output
from .spec import MaskRules, OutputSpec

# For a bundle that says nothing: every region as it is.
NO_RULES = MaskRules(min_area_share=0.0, max_regions=0, smooth=0.0)


class Segmenter(ModelPredictor):
    """A network whose output is one sigmoid logit a pixel for one label."""

    kind = "segmentation"
    positive_label: str

    def _answering(self, bundle: Bundle) -> OutputSpec:
        output = find_output(bundle, "mask")
        if output is None or output.activation != "sigmoid" or len(output.labels) != 1:
            raise ArtifactError(
                f"'{bundle.manifest.name}' has no mask output of one label with a sigmoid, so it "
                "cannot be opened for its mask."
            )
        self._rules = bundle.manifest.mask or NO_RULES
        return replace(output, positive_label=output.labels[0])

    def _decided(self) -> tuple[str, ...]:
        return self._output.labels

    @property
    def threshold(self) -> float:
        """A pixel is in where its probability is at least this."""
        return self.thresholds[self.positive_label]

    def probabilities(self, film: Film) -> tuple[NDArray[np.float32], Timing]:
        """float32 (h, w), 0..1, on the network's grid as its input was laid; nothing cleaned."""
        logits, timing = self._timed(film)
        return sigmoid(logits[0]), timing

    def predict(self, film: Film, boxes: Boxes = ()) -> Segmentation:
        """The mask over a whole film; raises as `Predictor.predict`."""
        self._admit(film, boxes)
        return self.predict_crop(film)

    def predict_crop(self, film: Film) -> Segmentation:
        """The mask over what was already cut to the region that the network was made for.

        Raises:
            TensorError: the network answered with something that is no number.
        """
        grid, timing = self.probabilities(film)
        if not np.isfinite(grid).all():
            raise TensorError(
                f"'{self.report.model}' ({self.report.artifact}) answered with values that are no "
                "numbers; expected logits. Use another artifact or engine."
            )
        drawn = Drawn(self.positive_label, self.threshold)
        found = film_mask(grid, film, self.input, self._rules, drawn)
        return Segmentation(
            label=self.positive_label,
            positive=bool(found.lesions),
            score=found.score,
            threshold=self.threshold,
            lesions=found.lesions,
            probability=grid,
            raw=found.raw,
            mask=found.mask,
            report=self.report,
            timing=timing,
        )

    def target(self, label: str | None, outputs: Outputs) -> Target:
        """As `ModelPredictor.target`: what is outlined on the film."""
        label_number(self.labels, label or self.positive_label, self.report.model)
        grid = sigmoid(outputs[self._output.name][0][0])
        return masked(self._output, grid, self.threshold)


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """1 / (1 + exp(-x)), without overflow."""
    grown = np.exp(-np.abs(logits))
    shares = np.where(logits >= 0, np.float32(1.0), grown) / (np.float32(1.0) + grown)
    return np.asarray(shares, np.float32)
