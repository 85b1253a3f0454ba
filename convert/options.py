"""What a conversion is asked for, and what it gives back."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..runtime.manifest import Manifest
from .recipes import FORMATS, PRECISIONS

# (what is being done, steps done, steps in all)
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class ConvertOptions:
    """What to make and where.

    Attributes:
        out: folder of bundles; the bundle becomes out/NAME.
        data: a data folder; None calibrates and compares on phantom films.
        calibration_films: films that set the ranges of static int8.
        force: make everything anew, reuse nothing.
        min_agreement: share of guard films that every artifact must decide as the source does.
    """

    out: Path
    formats: tuple[str, ...] = FORMATS
    precisions: tuple[str, ...] = PRECISIONS
    data: Path | None = None
    calibration_films: int = 256
    force: bool = False
    min_agreement: float = 0.9


@dataclass(frozen=True)
class Conversion:
    """A written bundle. `unchanged`: it was there already with the same bytes.

    `made` and `reused` name the steps of this run; `notes` say what a reader should know.
    """

    folder: Path
    manifest: Manifest
    unchanged: bool
    made: tuple[str, ...]
    reused: tuple[str, ...]
    notes: tuple[str, ...]
