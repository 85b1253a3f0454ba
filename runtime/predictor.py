"""Film in, typed result out."""

import math
import time
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .bundle import Bundle
from .errors import ArtifactError, TensorError
from .film import Film
from .images import prepare, resize, scale
from .intended_use import refuse_outside
from .manifest import Compute
from .predictions import Classification, Explanation, RunReport, Timing
from .session import Session
from .spec import ExplanationSpec, InputSpec, OutputSpec


class Predictor:
    """A classifier's session with its preprocessing and post-processing.

    One thread at a time; open one predictor a thread.
    """

    def __init__(
        self,
        bundle: Bundle,
        artifact_id: str,
        compute: Compute,
        session: Session,
        notes: tuple[str, ...] = (),
    ) -> None:
        """`notes` join the session's own in every prediction's report."""
        manifest = bundle.manifest
        artifact = bundle.artifact(artifact_id)
        self.bundle = bundle
        self.input: InputSpec = _input(bundle)
        self._session = session
        self._buffer = np.empty((1, *self.input.shape), np.float32)
        self._scores = _binary_output(bundle)
        self._positive = self._scores.labels.index(self._scores.positive_label or "")
        self.threshold = bundle.threshold(artifact.id, compute, self._scores.labels[self._positive])
        self.report = RunReport(
            model=manifest.name,
            model_version=manifest.version,
            bundle_id=bundle.id,
            artifact=artifact.id,
            artifact_sha256=artifact.sha256,
            session=replace(session.report, notes=(*session.report.notes, *notes)),
        )

    def tensor(self, film: Film) -> NDArray[np.float32]:
        """The network's input float32 (1, C, H, W)."""
        return prepare(film, self.input)

    def run(self, film: Film) -> dict[str, NDArray[np.float32]]:
        """The graph's raw outputs by the manifest's names, batch axis included."""
        return self._session.run({self.input.name: self._prepare(film)})

    def _prepare(self, film: Film) -> NDArray[np.float32]:
        """As `tensor`, into memory that is used again: fresh pages cost more than scaling."""
        return scale(resize(film.pixels, self.input), self.input, self._buffer)

    def predict(self, film: Film, boxes: tuple[tuple[float, ...], ...] = ()) -> Classification:
        """Score a film.

        Args:
            boxes: prompts (x0, y0, x1, y1); a classifier takes none.

        Raises:
            TensorError: boxes were given.
            OutsideUseError: the film declares another modality or body part.
        """
        if boxes:
            raise TensorError(
                f"'{self.report.model}' classifies whole films; found {len(boxes)} boxes, "
                "expected none."
            )
        refuse_outside(film, self.bundle.manifest.intended_use, self.report.model)
        start = time.perf_counter()
        tensor = self._prepare(film)
        prepared = time.perf_counter()
        logits = self._session.run({self.input.name: tensor})[self._scores.name]
        done = time.perf_counter()
        timing = Timing((prepared - start) * 1e3, (done - prepared) * 1e3)
        return self._classification(logits, timing)

    def _classification(self, logits: NDArray[np.float32], timing: Timing) -> Classification:
        shares = probabilities(logits[0].tolist(), self._scores)
        labels = self._scores.labels
        score = shares[self._positive]
        positive = score >= self.threshold
        chosen = self._positive if positive else 1 - self._positive
        return Classification(
            label=labels[chosen],
            positive=positive,
            positive_label=labels[self._positive],
            score=score,
            threshold=self.threshold,
            probabilities=tuple(zip(labels, shares, strict=True)),
            report=self.report,
            timing=timing,
        )

    def explain(self, film: Film) -> Explanation:
        """Eigen-CAM of a film, its sign tied to the positive label where the head allows.

        Raises:
            ArtifactError: the model gives no feature map.
        """
        from .explain import eigen_cam

        spec = self._explanation()
        features = self.run(film)[spec.output][0]
        head = self.bundle.manifest.head
        weights = None
        if spec.pooling_linear_head and head is not None:
            rows = np.asarray(head.weight, np.float32)
            weights = rows[self._positive] - rows[1 - self._positive]
        result = eigen_cam(features, weights)
        return Explanation(
            map=result.map,
            method="eigen-cam",
            label=self._scores.labels[self._positive],
            sign=result.sign,
            note=result.note,
            report=self.report,
        )

    def _explanation(self) -> ExplanationSpec:
        spec = self.bundle.manifest.explanation
        names = [t.name for t in self._session.outputs]
        if spec is None or spec.output not in names:
            raise ArtifactError(
                f"artifact {self.report.artifact} of '{self.report.model}' gives "
                f"{', '.join(names)} and no feature map, so there is no explanation. "
                "Convert it with a feature output."
            )
        return spec


def probabilities(logits: list[float], output: OutputSpec) -> list[float]:
    """Softmax, sigmoid or identity of the K raw scores, in float64."""
    if output.activation == "softmax":
        top = max(logits)
        parts = [math.exp(value - top) for value in logits]
        total = math.fsum(parts)
        return [part / total for part in parts]
    if output.activation == "sigmoid":
        return [_sigmoid(value) for value in logits]
    return logits


def _sigmoid(value: float) -> float:
    if value >= 0:
        return 1.0 / (1.0 + math.exp(-value))
    grown = math.exp(value)
    return grown / (1.0 + grown)


def _input(bundle: Bundle) -> InputSpec:
    if bundle.manifest.input is None:
        raise ArtifactError(
            f"'{bundle.manifest.name}' is a {bundle.manifest.kind} without an input of its own."
        )
    return bundle.manifest.input


def _binary_output(bundle: Bundle) -> OutputSpec:
    for output in bundle.manifest.outputs:
        if output.meaning == "logits" and len(output.labels) == 2 and output.positive_label:
            return output
    raise ArtifactError(
        f"'{bundle.manifest.name}' has no two-label output with a positive label, so it cannot "
        "be opened as a classifier."
    )
