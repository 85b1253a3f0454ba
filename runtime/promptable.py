"""A mask for each box that is given with a film: one network, encoded once, decoded a box."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .box_masks import Drawing, Prompt, draw, lesion
from .boxes import Boxes, Rows, check_prompts, to_input
from .bundle import Bundle
from .errors import ArtifactError, ExplanationError, TensorError
from .explanations.records import USUAL, MapRequest, Outputs, Target
from .film import Film
from .graphs import Answers, TwoGraphs
from .nms import probability
from .predictions import Explanation, Lesion, Segmentation, Timing
from .predictor import ModelPredictor, find_output
from .segmenter import NO_RULES
from .spec import OutputSpec

_NO_MAP = (
    "'{}' outlines what lies in boxes, and a map is asked of a film alone. Ask a pipeline that "
    "finds the boxes."
)


@dataclass(frozen=True, eq=False)
class Drawn:
    """What was drawn for boxes, in their order; arrays and score as in `Segmentation`."""

    lesions: tuple[Lesion, ...]
    probability: NDArray[np.float32]
    raw: NDArray[np.bool_]
    mask: NDArray[np.bool_]
    timing: Timing

    @property
    def note(self) -> str:
        """How many boxes nothing was drawn for, or ""."""
        none = sum(not found.area_px for found in self.lesions)
        return f"Nothing was outlined in {none} of {len(self.lesions)} boxes." if none else ""


class PromptableSegmenter(ModelPredictor):
    """An encoder and a decoder; the decoder's output is one sigmoid logit a pixel for one label."""

    kind = "segmentation"
    positive_label: str

    def _answering(self, bundle: Bundle) -> OutputSpec:
        output = find_output(bundle, "mask")
        if output is None or not isinstance(self._session, TwoGraphs):
            raise ArtifactError(
                f"'{bundle.manifest.name}' has no mask output with a label, or no encoder and "
                "decoder, so it cannot be opened for masks from boxes."
            )
        self._graphs = self._session
        self._rules = bundle.manifest.mask or NO_RULES
        self._quality = next(
            (o.name for o in bundle.manifest.outputs if o.meaning == "quality"), None
        )
        return replace(output, positive_label=output.labels[0])

    def _decided(self) -> tuple[str, ...]:
        return self._output.labels

    @property
    def threshold(self) -> float:
        """A pixel is in where its probability is at least this."""
        return self.thresholds[self.positive_label]

    def predict(self, film: Film, boxes: Boxes = ()) -> Segmentation:
        """One region a box, in the boxes' order; raises as `Predictor.predict`."""
        self._admit_film(film)
        rows = check_prompts(boxes, film.pixels.shape, self.report.model)
        prompts = tuple(
            Prompt((row[0], row[1], row[2], row[3]), self.positive_label) for row in rows.tolist()
        )
        found = self.outlined(film, prompts)
        return Segmentation(
            label=self.positive_label,
            positive=any(one.area_px for one in found.lesions),
            score=float(found.probability.max()),
            threshold=self.threshold,
            lesions=found.lesions,
            probability=found.probability,
            raw=found.raw,
            mask=found.mask,
            report=self.report,
            timing=found.timing,
            note=found.note,
        )

    def predict_crop(self, film: Film) -> Segmentation:
        """Raises TensorError: without boxes there is nothing to outline."""
        return self.predict(film)

    def outlined(self, film: Film, prompts: tuple[Prompt, ...]) -> Drawn:
        """What is drawn for prompts that lie on the film; nothing for none, unasked.

        Raises:
            TensorError: the network answered with something that is no number.
        """
        return self.outlined_each(film, (prompts,))[0]

    def outlined_each(self, film: Film, asked: Sequence[tuple[Prompt, ...]]) -> tuple[Drawn, ...]:
        """As `outlined` for each group of prompts on its own; the film is encoded once.

        `timing` of each is that of all together.
        """
        every = [prompt for prompts in asked for prompt in prompts]
        answers: Answers = {}
        timing = Timing(0.0, 0.0)
        if every:
            boxes = np.array([p.box for p in every])
            answers, timing = self._asked(film, to_input(boxes, film.pixels.shape, self.input))
        drawn, start = [], 0
        for prompts in asked:
            rows = {n: values[start : start + len(prompts)] for n, values in answers.items()}
            drawn.append(self._drawn(film, prompts, rows, timing))
            start += len(prompts)
        return tuple(drawn)

    def _drawn(
        self, film: Film, prompts: tuple[Prompt, ...], answers: Answers, timing: Timing
    ) -> Drawn:
        size = film.pixels.shape
        raw, mask = np.zeros(size, bool), np.zeros(size, bool)
        grid = np.zeros(self._output.shape[1:], np.float32)
        if not prompts:
            return Drawn((), grid, raw, mask, Timing(0.0, 0.0))
        how = Drawing(self.input, self._rules, self.threshold)
        lesions = []
        for number, prompt in enumerate(prompts):
            logits = answers[self._output.name][number, 0]
            patch = draw(logits, size, how)
            patch.put(raw, mask)
            lesions.append(lesion(patch, film, prompt, self._expected(answers, number)))
            np.maximum(grid, probability(logits), out=grid, casting="same_kind")
        return Drawn(tuple(lesions), grid, raw, mask, timing)

    def _asked(self, film: Film, boxes: Rows) -> tuple[Answers, Timing]:
        start = time.perf_counter()
        tensor = self._prepare(film)
        prepared = time.perf_counter()
        answers = self._graphs.run_boxes(tensor, np.asarray(boxes, np.float32))
        done = time.perf_counter()
        if not all(np.isfinite(values).all() for values in answers.values()):
            raise TensorError(
                f"'{self.report.model}' ({self.report.artifact}) answered with values that are no "
                "numbers; expected logits. Use another artifact or engine."
            )
        return answers, Timing((prepared - start) * 1e3, (done - prepared) * 1e3)

    def _expected(self, answers: Answers, number: int) -> float | None:
        if self._quality is None:
            return None
        return float(answers[self._quality][number].reshape(-1)[0])

    def explain(self, film: Film, request: MapRequest = USUAL) -> Explanation:
        """Raises ExplanationError: a map is asked of a film, and this model needs boxes too."""
        raise ExplanationError(_NO_MAP.format(self.report.model))

    def explain_crop(self, film: Film, request: MapRequest = USUAL) -> Explanation:
        """As `explain`."""
        raise ExplanationError(_NO_MAP.format(self.report.model))

    def target(self, label: str | None, outputs: Outputs) -> Target:
        """As `explain`."""
        raise ExplanationError(_NO_MAP.format(self.report.model))
