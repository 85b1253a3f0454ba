"""Which layer of an INT8 artifact loses what, as records."""

from dataclasses import dataclass

from ..runtime.figures import Part
from ..runtime.manifest import Format

SCHEMA = 1


@dataclass(frozen=True)
class LayerLoss:
    """One layer, INT8 against FP32 of the same format on the same films.

    Attributes:
        snr_db: signal-to-noise ratio of its output, all noise of the layers before it included;
            None where the outputs could not be matched.
        noise_added: noise power over signal power at its output less the most at its inputs;
            what this layer itself loses. Below 0 where it smooths noise away.
        share: of the network's multiply-adds, 0..1.
        weight_bytes: of its constants in float32.
        in_float: it was not quantized.
        why: it was not, "" where it was.
    """

    name: str
    operation: str
    snr_db: float | None
    noise_added: float | None
    share: float
    weight_bytes: int
    in_float: bool
    why: str


@dataclass(frozen=True)
class QuantizationReport:
    """All layers of one INT8 artifact, as they run.

    Attributes:
        method: how ranges came from the calibration films.
        data, part, n_films: where the losses were measured.
        float_share: of the multiply-adds that stayed in float, 0..1.
    """

    schema: int
    model: str
    version: str
    artifact: str
    artifact_sha256: str
    format: Format
    recipe: str
    method: str
    safe_on: tuple[str, ...]
    data: str
    part: Part
    n_films: int
    bytes: int
    float_share: float
    layers: tuple[LayerLoss, ...]

    def worst(self, count: int) -> tuple[LayerLoss, ...]:
        """The layers that add most noise, first the most."""
        known = [layer for layer in self.layers if layer.noise_added is not None]
        return tuple(sorted(known, key=lambda x: -(x.noise_added or 0.0))[:count])
