"""Open whatever a bundle is: a model, or a pipeline with all its members.

Members lie in the pipeline's own folder and may be pipelines themselves. Nothing is opened
before every member is there, is the bundle that the manifest names, and lies within the depth.
"""

from dataclasses import dataclass, field
from typing import cast

from .bundle import Bundle
from .cascade import Cascade
from .detector import Detector
from .ensemble import Ensemble, takes_crops
from .errors import ArtifactError
from .lesions import Lesions
from .lungs import CropRule
from .manifest import PipelineRules
from .on_lungs import LungFinder, OnLungs
from .pipeline import CropPredictor
from .predictor import Predictor
from .promptable import PromptableSegmenter
from .segmenter import Segmenter
from .selection import Wish, open_model, try_first


@dataclass
class _Opening:
    """One act of opening: members that look for the same lungs share the search."""

    wish: Wish
    finders: dict[tuple[str, CropRule], LungFinder] = field(default_factory=dict)


def open_predictor(bundle: Bundle, wish: Wish) -> Predictor:
    """Open a model or a pipeline; the wish goes to every member.

    Raises:
        ArtifactError: nothing fits the wish, a member is missing, or members do not fit together.
        IntegrityError: a member is another bundle than the one named, or a file was changed.
        SchemaError: a circle, or pipelines too deep in each other.
        EngineMissingError, AcceptanceError: as `open_model`.
    """
    models = bundle.models()
    if len(models) > 1:
        try_first((model for _, model in models), wish)
    return _open(bundle, _Opening(wish))


def _open(bundle: Bundle, opening: _Opening) -> Predictor:
    rules = bundle.manifest.pipeline
    if bundle.manifest.kind == "model" or rules is None:
        return open_model(bundle, opening.wish)
    members = bundle.members()
    if rules.kind == "ensemble":
        return Ensemble(bundle, tuple(_open(b, opening) for _, b in members))
    by_role = {member.role: b for member, b in members}
    if rules.kind == "cascade":
        first, second = (_open(by_role[role], opening) for role in ("first", "second"))
        return Cascade(bundle, first, second)
    if rules.kind == "lesions":
        return _lesions(bundle, by_role, opening)
    return _on_lungs(bundle, by_role, rules, opening)


def _on_lungs(
    bundle: Bundle, by_role: dict[str, Bundle], rules: PipelineRules, opening: _Opening
) -> OnLungs:
    lungs, rule = by_role["lungs"], rules.crop or CropRule()
    finder = opening.finders.get((lungs.id, rule))
    if finder is None:
        segmenter = _open(lungs, opening)
        if not isinstance(segmenter, Segmenter):
            raise ArtifactError(
                f"pipeline '{bundle.manifest.name}': its lungs member '{lungs.manifest.name}' "
                f"gives {segmenter.kind}; expected a segmentation model."
            )
        finder = opening.finders[(lungs.id, rule)] = LungFinder(segmenter, rule)
    classifier = _open(by_role["classifier"], opening)
    if not takes_crops(classifier) or classifier.kind not in ("classification", "findings"):
        raise ArtifactError(
            f"pipeline '{bundle.manifest.name}': its classifier "
            f"'{classifier.report.model}' gives {classifier.kind} and was made for "
            f"{classifier.input.region}; expected a classifier made for films cropped to the lungs."
        )
    return OnLungs(bundle, finder, cast(CropPredictor, classifier))


def _lesions(bundle: Bundle, by_role: dict[str, Bundle], opening: _Opening) -> Lesions:
    detector, segmenter = (_open(by_role[role], opening) for role in ("detector", "segmenter"))
    name = f"pipeline '{bundle.manifest.name}'"
    if not isinstance(detector, Detector) or detector.input.region != "film":
        raise ArtifactError(
            f"{name}: its detector '{detector.report.model}' gives {detector.kind} of "
            f"{detector.input.region}; expected a model of the task detection for whole films."
        )
    if not isinstance(segmenter, PromptableSegmenter) or segmenter.input.region != "film":
        raise ArtifactError(
            f"{name}: its segmenter '{segmenter.report.model}' is of the task "
            f"{segmenter.bundle.manifest.task}; expected promptable-segmentation of whole films."
        )
    return Lesions(bundle, detector, segmenter)
