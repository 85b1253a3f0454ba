"""Who compares the artifacts of a model with its source, by the model's task."""

from pathlib import Path
from typing import Protocol

from .box_judge import BoxJudge
from .films import ConversionFilms
from .label_judge import LabelJudge
from .mask_judge import MaskJudge
from .parity import Comparison
from .prompt_judge import PromptJudge
from .running import Runnable
from .source import Source


class Judge(Protocol):
    """Compares artifacts with one source.

    Attributes:
        decides: how thresholds come about; part of the cache's key.
    """

    decides: str

    def compare(self, artifact: Runnable, fp32: Runnable | None = None) -> Comparison:
        """Set the thresholds on select, then look at guard.

        Args:
            fp32: the FP32 artifact of the same format; None for that itself.
        """
        ...


def judge_for(
    source: Source, films: ConversionFilms, scratch: Path, temperature: bool = False
) -> Judge:
    """The judge of the source's task; `scratch` is a folder for what is too large to hold.

    `temperature`: fit one to each artifact's scores; masks have none.
    """
    if source.spec.task == "segmentation":
        return MaskJudge(source, films, scratch)
    if source.spec.task == "promptable-segmentation":
        return PromptJudge(source, films)
    if source.spec.task == "detection":
        return BoxJudge(source, films, scratch)
    return LabelJudge(source, films, temperature)
