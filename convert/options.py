"""What a conversion is asked for, and what it gives back."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..runtime.manifest import Manifest
from .quantization_records import QuantizationReport
from .recipes import FORMATS, PRECISIONS

# (what is being done, steps done, steps in all)
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class ConvertOptions:
    """What to make and where.

    Attributes:
        out: folder of bundles; the bundle becomes out/NAME.
        precisions: each stands for its usual recipe.
        recipes: by name, beside those of the precisions.
        data: the data folder of the model that is asked for.
        folders: data folders that each model chooses from where `data` is None; without any
            that fits it is calibrated and compared on phantom films.
        weights: folders to look for weights in, before the clone's own.
        calibration_films: films that set the ranges of static int8.
        force: make everything anew, reuse nothing.
        min_agreement: share of guard decisions that every artifact must take as the source does;
            None takes the task's usual.
        keep_going: leave an artifact that fails out and say so, instead of stopping.
        trials: quantizations that the search for one INT8 artifact may make.
        temperature: fit one to each artifact's scores on select; masks have none.
        explain_quantization: write beside the bundle which layer of each INT8 artifact loses what.
    """

    out: Path
    formats: tuple[str, ...] = FORMATS
    precisions: tuple[str, ...] = PRECISIONS
    recipes: tuple[str, ...] = ()
    data: Path | None = None
    folders: tuple[Path, ...] = ()
    weights: tuple[Path, ...] = ()
    calibration_films: int = 256
    force: bool = False
    min_agreement: float | None = None
    keep_going: bool = False
    temperature: bool = False
    trials: int = 20
    explain_quantization: bool = False


@dataclass(frozen=True)
class Failed:
    """An artifact that could not be made, and why, in the tool's own words."""

    artifact: str
    reason: str


@dataclass(frozen=True)
class Conversion:
    """A written bundle. `unchanged`: it was there already with the same bytes.

    `made` and `reused` name the steps of this run; `notes` say what a reader should know;
    `members` are the conversions that a pipeline is made of; `quantization` tells of each INT8
    artifact's layers where that was asked for.
    """

    folder: Path
    manifest: Manifest
    unchanged: bool
    made: tuple[str, ...]
    reused: tuple[str, ...]
    notes: tuple[str, ...]
    failed: tuple[Failed, ...] = ()
    members: tuple["Conversion", ...] = ()
    quantization: tuple[QuantizationReport, ...] = ()

    @property
    def models(self) -> tuple["Conversion", ...]:
        """The conversions of models, each once: itself, or those of its members."""
        if not self.members:
            return (self,)
        found = (model for member in self.members for model in member.models)
        return tuple({model.manifest.name: model for model in found}.values())
