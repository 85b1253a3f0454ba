"""What guarded quantization asks of a format: its layers, quantize with some left in float, noise.

A driver is a module with these names at its top level; every function runs in a child process
(`isolated.call`), so its heavy imports stand inside the functions.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Literal, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from ...runtime.manifest import Format
from ...runtime.spec import ModelSpec
from ..films import FilmSet
from ..recipes import Export

# Families of processors whose int8 arithmetic differs; `Artifact.safe_on` names those of them on
# which sums cannot saturate.
Processor = Literal["x86-64 AVX2", "x86-64 VNNI", "ARMv8.0", "ARMv8.2 dot product"]
PROCESSORS: tuple[Processor, ...] = (
    "x86-64 AVX2",
    "x86-64 VNNI",
    "ARMv8.0",
    "ARMv8.2 dot product",
)
# An output without noise, and one without signal.
MOST_DB = 120.0
LEAST_DB = -MOST_DB


@dataclass(frozen=True)
class Layer:
    """An operation that a recipe quantizes, or could.

    Attributes:
        name: as the format's tools call it; unique in the network.
        operation: the format's word, e.g. "Conv".
        multiply_adds: for one film; 0 for what only moves, adds or activates.
        weight_bytes: of its constants in float32.
        inputs: the layers whose outputs it reads, through operations that are no layers; () reads
            the film.
        tail: stays in float in any case, see `float_tail`.
    """

    name: str
    operation: str
    multiply_adds: int
    weight_bytes: int
    inputs: tuple[str, ...] = ()
    tail: bool = False


@dataclass(frozen=True)
class Quantization:
    """One way to quantize a network.

    Attributes:
        recipe: "int8-static", "int8-static-u8" or "int8-dynamic".
        method: how ranges come from the calibration films, one of the driver's METHODS.
        float_layers: names of layers that stay in float beside the tail.
    """

    recipe: str
    method: str
    float_layers: tuple[str, ...] = ()


class Driver(Protocol):
    """One format's means. `fp32` is the file that its INT8 starts from: TFLite's own, for ONNX
    and OpenVINO the ONNX file.

    Attributes:
        RECIPES: what `quantize` has means for.
        METHODS: calibration methods by short names ("minmax", "entropy", "percentile-99.99"),
            the usual one first; a dynamic recipe takes the first.
    """

    @property
    def RECIPES(self) -> tuple[str, ...]: ...

    @property
    def METHODS(self) -> tuple[str, ...]: ...

    def layers(self, fp32: Export, spec: ModelSpec) -> tuple[Layer, ...]:
        """Every layer that a static recipe would quantize, the tail's too, as they run."""
        ...

    def quantize(
        self, fp32: Export, spec: ModelSpec, films: FilmSet, settings: Quantization
    ) -> Export:
        """INT8 of the network; the same arguments give the same bytes.

        `Export.float_layers` names the tail alone; the search adds what it reverted.

        Raises:
            ConversionError: a layer's name is unknown, or no means for the recipe.
        """
        ...

    def drafts(self, fp32: Export) -> bool:
        """Whether `draft` is so much quicker than `quantize` that layers are sought with it."""
        ...

    def draft(
        self, fp32: Export, spec: ModelSpec, films: FilmSet, settings: Quantization
    ) -> Export:
        """As `quantize`, quicker and less exact: to find layers with, never published."""
        ...

    def noise(
        self, fp32: Export, int8: Export, spec: ModelSpec, films: FilmSet
    ) -> Mapping[str, float]:
        """SNR in dB of each layer's output over all films, INT8 against float; see `Snr`.

        Both networks get the same films, so a layer's noise holds what came in. Layers whose
        outputs cannot be matched are left out.
        """
        ...

    def in_float(self, fp32: Export, int8: Export) -> tuple[str, ...]:
        """Layers that the INT8 file itself shows to be computed in float, as they run.

        A dynamic recipe quantizes products with constants alone. What a file cannot tell is left
        out: the layers that were asked to stay are known anyway.
        """
        ...

    def words(self, settings: Quantization) -> str:
        """What `Calibration.method` says: method, tool, types."""
        ...

    def safe_on(self, settings: Quantization) -> tuple[Processor, ...]:
        """The processors on which integer sums cannot saturate with these settings.

        Not that answers are equal there: kernels of another processor round float32 and int8
        otherwise. What they may differ by is the acceptance films' tolerance.
        """
        ...


@dataclass(frozen=True)
class Snr:
    """Signal-to-noise ratio, summed up film by film: 10 log10(sum x^2 / sum (x - y)^2)."""

    signal: float = 0.0
    noise: float = 0.0

    def add(self, exact: NDArray[np.floating], found: NDArray[np.floating]) -> "Snr":
        """With one more pair of arrays of the same shape; found in real units, dequantized."""
        x, y = exact.ravel().astype(np.float64), found.ravel().astype(np.float64)
        difference = x - y
        return Snr(self.signal + float(x @ x), self.noise + float(difference @ difference))

    @property
    def db(self) -> float:
        """In LEAST_DB..MOST_DB; a value that is no number counts as noise alone."""
        if not math.isfinite(self.noise):
            return LEAST_DB
        if self.noise == 0.0:
            return MOST_DB
        if self.signal == 0.0:
            return LEAST_DB
        return min(max(10 * math.log10(self.signal / self.noise), LEAST_DB), MOST_DB)


def driver_for(format_: Format) -> Driver:
    """The driver of a format."""
    return cast(Driver, import_module(f".{format_}_driver", __package__))


def few_films(films: FilmSet, count: int) -> FilmSet:
    """At most `count` films, spread evenly over the set."""
    if len(films) <= count:
        return films
    chosen = np.linspace(0, len(films) - 1, count).round().astype(int)
    truth = None if films.truth is None else films.truth[chosen]
    patients = tuple(films.patients[i] for i in chosen)
    boxes = tuple(films.boxes[i] for i in chosen) if films.boxes else ()
    return replace(films, pixels=films.pixels[chosen], truth=truth, patients=patients, boxes=boxes)
