"""Film in, typed result out: what every predictor gives, and the part that models share.

`Bundle.predictor` opens a `Classifier`, a `FindingsPredictor`, a `Detector`, a `Segmenter` or a
`PromptableSegmenter` (models), or a pipeline of them. A caller that only predicts and explains
needs `Predictor`.
"""

import math
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from .boxes import Boxes
from .bundle import Bundle
from .errors import ArtifactError, TensorError, WholeFilmError
from .explanations.records import USUAL, MapRequest, Outputs, Target
from .figures import Compute
from .film import Film
from .images import prepare, resize, scale
from .intended_use import refuse_outside
from .manifest import Threshold
from .own_thresholds import in_force
from .predictions import Explanation, Prediction, RunReport, Timing
from .score_rules import Temperatures, temperatures_of
from .session import Session
from .spec import InputSpec, Meaning, OutputSpec

Kind = Literal["classification", "findings", "detection", "segmentation", "cascade"]


class Predictor(Protocol):
    """A model or a pipeline, opened. One thread at a time; open one predictor a thread.

    Attributes:
        kind: which of the predictions it gives.
        input: of the member whose answer counts (a model's own).
        labels: of that member, in the manifest's order; of a cascade's first.
        positive_label: what the score stands for; None where there are several findings.
        thresholds: by label; a binary answer has one, of its positive label.
        parts: what a pipeline consists of; () for a model.
    """

    @property
    def bundle(self) -> Bundle: ...

    @property
    def kind(self) -> Kind: ...

    @property
    def input(self) -> InputSpec: ...

    @property
    def labels(self) -> tuple[str, ...]: ...

    @property
    def positive_label(self) -> str | None: ...

    @property
    def thresholds(self) -> Mapping[str, float]: ...

    @property
    def report(self) -> RunReport: ...

    @property
    def parts(self) -> "tuple[Part, ...]": ...

    def predict(self, film: Film, boxes: Boxes = ()) -> Prediction:
        """Answer for a film.

        Args:
            boxes: prompts (x0, y0, x1, y1) in film pixels, of a promptable model 1 to 100, of
                everything else none.

        Raises:
            TensorError: boxes that are not taken, none where some are needed, or one without area
                or beside the film.
            OutsideUseError: the film declares another modality or body part.
            NoLungsError: a chest pipeline finds no lungs; there is no score.
            WholeFilmError: a network for lung crops was asked alone.
        """
        ...

    def explain(self, film: Film, request: MapRequest = USUAL) -> Explanation:
        """A map over the film for what `predict` answers, or for the class that is asked for.

        Raises:
            ExplanationError: no such class, or a method that the artifact cannot do.
            FilmError, WholeFilmError, TensorError: as `predict`.
        """
        ...


@dataclass(frozen=True, eq=False)
class Part:
    """A member of a pipeline, opened, and its role there."""

    role: str
    predictor: Predictor


class ModelPredictor(ABC):
    """One network's session with its preprocessing; each task adds what the outputs mean.

    It keeps the memory of its input tensor from film to film, and the outputs of the film that it
    answered last, for the map that may be asked for next. `rules` are the records of the
    thresholds in force: the bundle's, or the clinic's own.
    """

    kind: Kind
    parts: tuple[Part, ...] = ()

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
        self._film: weakref.ref[Film] | None = None
        self._outputs: dict[str, NDArray[np.float32]] = {}
        self._output = self._answering(bundle)
        self.labels = self._output.labels
        self.positive_label = self._output.positive_label
        self._temperatures = temperatures_of(manifest, artifact.id, compute, self._output)
        decided = [in_force(bundle, artifact, compute, label) for label in self._decided()]
        self.rules: tuple[Threshold, ...] = tuple(d.threshold for d in decided)
        self.thresholds: Mapping[str, float] = {t.label: t.value for t in self.rules}
        told = (*notes, *(d.note for d in decided if d.note))
        self.report = RunReport(
            model=manifest.name,
            model_version=manifest.version,
            bundle_id=bundle.id,
            artifact=artifact.id,
            artifact_sha256=artifact.sha256,
            session=replace(session.report, notes=(*session.report.notes, *told)),
        )

    @abstractmethod
    def _answering(self, bundle: Bundle) -> OutputSpec:
        """The output that the answer is read from."""

    @abstractmethod
    def _decided(self) -> tuple[str, ...]:
        """The labels that have a threshold."""

    @abstractmethod
    def predict(self, film: Film, boxes: Boxes = ()) -> Prediction:
        """Answer for a whole film; raises as `Predictor.predict`."""

    @abstractmethod
    def predict_crop(self, film: Film) -> Prediction:
        """Answer for what was already cut to the region that the network was made for."""

    @abstractmethod
    def target(self, label: str | None, outputs: Outputs) -> Target:
        """The class that an explanation is about.

        Args:
            label: None: what the answer is about.
            outputs: of a run on the film as it is.

        Raises:
            ExplanationError: the model has no such class.
        """

    def explain(self, film: Film, request: MapRequest = USUAL) -> Explanation:
        """A map over a whole film; raises as `Predictor.explain`."""
        self._admit(film)
        return self.explain_crop(film, request)

    def explain_crop(self, film: Film, request: MapRequest = USUAL) -> Explanation:
        """A map over what was already cut to the region that the network was made for."""
        from .explanations.making import make_map

        return make_map(self, film, request)

    def tensor(self, film: Film) -> NDArray[np.float32]:
        """The network's input float32 (1, C, H, W)."""
        return prepare(film, self.input)

    def run(self, film: Film) -> dict[str, NDArray[np.float32]]:
        """The graph's raw outputs by the manifest's names, batch axis included."""
        return self.run_tensor(self._prepare(film))

    def run_tensor(self, tensor: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """As `run`, for an input float32 (1, C, H, W) that is there already."""
        return self._session.run({self.input.name: tensor})

    def remembered(self, film: Film) -> dict[str, NDArray[np.float32]] | None:
        """What `run` gave where the film, the same object, was the last to be answered."""
        return self._outputs if self._film is not None and self._film() is film else None

    def _prepare(self, film: Film) -> NDArray[np.float32]:
        """As `tensor`, into memory that is used again: fresh pages cost more than scaling."""
        return scale(resize(film.pixels, self.input), self.input, self._buffer)

    def _timed(self, film: Film) -> tuple[NDArray[np.float32], Timing]:
        """The answering output of one run without its batch axis, and how long it took."""
        outputs, timing = self._timed_run(film)
        return outputs[self._output.name][0], timing

    def _timed_run(self, film: Film) -> tuple[dict[str, NDArray[np.float32]], Timing]:
        """As `run`, and how long it took."""
        start = time.perf_counter()
        tensor = self._prepare(film)
        prepared = time.perf_counter()
        outputs = self.run_tensor(tensor)
        done = time.perf_counter()
        self._film, self._outputs = weakref.ref(film), outputs
        return outputs, Timing((prepared - start) * 1e3, (done - prepared) * 1e3)

    def _admit(self, film: Film, boxes: Boxes = ()) -> None:
        """Refuse what a whole film may not be asked with; see `Predictor.predict`."""
        if boxes:
            raise TensorError(
                f"'{self.report.model}' looks at whole films; found {len(boxes)} boxes, "
                "expected none."
            )
        self._admit_film(film)

    def _admit_film(self, film: Film) -> None:
        if self.input.region == "lungs":
            base = self.report.model.removesuffix("-lung-crop")
            raise WholeFilmError(
                f"'{self.report.model}' was made for films cropped to the lungs; on a whole film "
                f"its score would mean nothing. Use the pipeline '{base}-on-lungs', which finds "
                "the lungs and crops."
            )
        refuse_outside(film, self.bundle.manifest.intended_use, self.report.model)


def probabilities(
    logits: list[float], output: OutputSpec, temperatures: Temperatures = ()
) -> list[float]:
    """Softmax, sigmoid or identity of the K raw scores, in float64.

    Args:
        temperatures: what each raw score is divided by first; () leaves them as they are.
    """
    if temperatures:
        logits = [value / by for value, by in zip(logits, temperatures, strict=True)]
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


def find_output(bundle: Bundle, meaning: Meaning) -> OutputSpec | None:
    """The first output of that meaning that has labels."""
    found = (o for o in bundle.manifest.outputs if o.meaning == meaning and o.labels)
    return next(found, None)
