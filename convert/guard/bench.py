"""The search's work on one format: every step is reused from the cache or made in a child."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...runtime.errors import NoNumbersError
from ...runtime.spec import ModelSpec
from ..asking import asked, with_boxes
from ..films import FilmSet
from ..isolated import call
from ..parity import Comparison
from ..recipes import Export, Recipe
from ..running import Runnable
from .budget import Losses
from .driver import Driver, Layer, Quantization, Snr, driver_for, few_films

if TYPE_CHECKING:
    from ..steps import Steps

# Films that layers' noise and scores' noise are measured on.
NOISE_FILMS = 16
SCORE_FILMS = 64


@dataclass(frozen=True)
class _Layers:
    layers: tuple[Layer, ...]


@dataclass(frozen=True)
class _Noise:
    db: Mapping[str, float]


@dataclass(frozen=True)
class _Numbers:
    finite: bool


class FormatBench:
    """See `search.Bench`."""

    def __init__(self, steps: "Steps", recipe: Recipe) -> None:
        """`recipe`: under whose name what is made is compared."""
        self._steps, self._recipe = steps, recipe
        self._spec: ModelSpec = steps.spec
        # What the driver sees: of a promptable model the encoder alone.
        self._network: ModelSpec = steps.network.spec
        self.driver: Driver = driver_for(recipe.format)

    @property
    def methods(self) -> tuple[str, ...]:
        """The driver's."""
        return self.driver.METHODS

    @property
    def _start(self) -> Export:
        """The FP32 file that the driver quantizes."""
        return self._steps.export(
            Recipe("tflite" if self._recipe.format == "tflite" else "onnx", "fp32")
        )

    def layers(self) -> tuple[Layer, ...]:
        """The network's layers as they run."""
        start = self._start
        key = self._key("layers", start)

        def work() -> _Layers:
            return _Layers(call(self.driver.layers, start, self._network))

        return self._steps.cache.record(self._step("layers"), key, _Layers, work).layers

    @property
    def drafts(self) -> bool:
        """The driver's."""
        return self.driver.drafts(self._start)

    def quantize(self, settings: Quantization, draft: bool = False) -> Export:
        """One INT8; the calibration films are read where its ranges come from them."""
        start = self._start
        films = self._steps.films.calibration
        # No films set its ranges; "2": since ONNX's leaves linear layers in float, too.
        calibrated = "2" if settings.recipe == "int8-dynamic" else films.sha256
        key = self._key("draft" if draft else "quantize", start, settings, calibrated)
        words = f"{settings.recipe}, {settings.method}, {len(settings.float_layers)} in float"
        make = self.driver.draft if draft else self.driver.quantize
        return self._steps.cache.export(
            self._step(f"draft of {words}" if draft else words),
            key,
            lambda: call(make, start, self._network, films, settings),
        )

    def scores_db(self, made: Export) -> float:
        """SNR of the raw scores against FP32's, on films of select."""
        fp32, ready = self._fp32, self._ready(made)
        films = few_films(self._steps.films.select, SCORE_FILMS)
        key = self._key("scores", fp32.export, made, films.sha256)

        def work() -> _Noise:
            return _Noise({"": call(scores_noise, fp32, ready, self._spec, films)})

        return self._steps.cache.record(self._step("noise of scores"), key, _Noise, work).db[""]

    def noise(self, made: Export) -> Mapping[str, float]:
        """SNR of each layer's output, on some calibration films."""
        start = self._start
        films = few_films(self._steps.films.calibration, NOISE_FILMS)
        key = self._key("noise", start, made, films.sha256)

        def work() -> _Noise:
            found = call(self.driver.noise, start, made, self._network, films)
            return _Noise({name: round(db, 2) for name, db in found.items()})

        return self._steps.cache.record(self._step("noise of layers"), key, _Noise, work).db

    def compare(self, made: Export) -> Comparison:
        """Against the source and FP32."""
        return self._steps.compare(self._recipe, self._ready(made), self._fp32)

    def losses(self, made: Export) -> Losses:
        """Against FP32 on guard; None: its scores are no numbers."""
        films = self._steps.films
        key = self._key("numbers", made, films.select.sha256, films.guard.sha256)

        def work() -> _Numbers:
            try:
                self.compare(made)
            except NoNumbersError:
                return _Numbers(False)
            return _Numbers(True)

        known = self._steps.cache.record(self._step("numbers"), key, _Numbers, work)
        return self.compare(made).losses if known.finite else None

    @property
    def _fp32(self) -> Runnable:
        recipe = Recipe(self._recipe.format, "fp32")
        return self._steps.ready(recipe, self._steps.export(recipe))

    def _ready(self, made: Export) -> Runnable:
        return self._steps.ready(self._recipe, made)

    def _key(self, step: str, *parts: object) -> str:
        """By what goes in; recipes of one format share their steps."""
        plain = Recipe(self._recipe.format, "fp32")
        known = [_identity(p) if isinstance(p, Export) else p for p in parts]
        return self._steps.key(step, plain, *known)

    def _step(self, words: str) -> str:
        return f"{self._recipe.format}: {words}"


def _identity(export: Export) -> list[str]:
    from ...runtime.files import sha256_bytes

    return [sha256_bytes(data) for _, data in export.files]


def scores_noise(fp32: Runnable, int8: Runnable, spec: ModelSpec, films: FilmSet) -> float:
    """SNR in dB of INT8's raw scores as a device computes them; in a child process."""
    total = Snr()
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        exact, found = fp32.open(Path(one)), int8.open(Path(other))
        for tensor, boxes in with_boxes(films):
            one_answer, other_answer = (asked(s, spec, tensor, boxes) for s in (exact, found))
            total = total.add(one_answer, other_answer)
    return total.db
