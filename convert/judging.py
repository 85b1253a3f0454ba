"""Who compares the artifacts of a model with its source, by the model's task."""

from pathlib import Path
from typing import Protocol

from .films import ConversionFilms
from .label_judge import LabelJudge
from .mask_judge import MaskJudge
from .parity import Comparison
from .running import Runnable
from .source import Source


class Judge(Protocol):
    """Compares artifacts with one source."""

    def compare(self, artifact: Runnable) -> Comparison:
        """Set the thresholds on select, then look at guard."""
        ...


def judge_for(source: Source, films: ConversionFilms, scratch: Path) -> Judge:
    """The judge of the source's task; `scratch` is a folder for what is too large to hold."""
    if source.spec.task == "segmentation":
        return MaskJudge(source, films, scratch)
    return LabelJudge(source, films)
