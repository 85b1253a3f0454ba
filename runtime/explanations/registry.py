"""The methods by name, and which of them an artifact can do."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..errors import ExplanationError
from ..manifest import Artifact, Manifest
from . import (
    eigen_cam,
    eigen_grad_cam,
    grad_cam,
    grad_cam_plus_plus,
    hirescam,
    occlusion,
    probability,
    rise,
    score_cam,
    seg_eigen_cam,
)
from .records import MAX_PASSES, MapRequest, Method, Need, Offer
from .targets import label_number

if TYPE_CHECKING:
    from ..bundle import Bundle
    from ..predictor import Predictor

METHODS: dict[str, Method] = {
    module.METHOD.name: module.METHOD
    for module in (
        probability,
        eigen_cam,
        grad_cam,
        grad_cam_plus_plus,
        hirescam,
        eigen_grad_cam,
        seg_eigen_cam,
        score_cam,
        rise,
        occlusion,
    )
}
# Of a pipeline, the members whose map is the pipeline's.
_EXPLAINED = ("classifier", "first", "member", "segmenter")
_MASKS = ("segmentation", "promptable-segmentation")


def offers(predictor: "Predictor", label: str | None = None) -> tuple[Offer, ...]:
    """What can be asked of an opened artifact, and why not the rest.

    Of a pipeline: of the member that answers about the label.

    Raises:
        ExplanationError: there is no such class.
    """
    asked = deciding(predictor, label)
    artifact = asked.bundle.artifact(asked.report.artifact)
    return _offers(asked.bundle.manifest, (artifact,))


def bundle_offers(bundle: "Bundle") -> tuple[Offer, ...]:
    """The same from the manifest alone, nothing opened; what every artifact can do."""
    manifest = bundle.manifest
    if manifest.kind == "pipeline":
        members = bundle.members()
        return bundle_offers(next(b for m, b in members if m.role in _EXPLAINED))
    return _offers(manifest, manifest.artifacts)


def deciding(predictor: "Predictor", label: str | None = None) -> "Predictor":
    """The network whose map stands for the label; the predictor itself where it is no pipeline.

    Raises:
        ExplanationError: no network in it has that class.
    """
    if not predictor.parts:
        if label is not None:
            label_number(predictor.labels, label, predictor.report.model)
        return predictor
    by_role = {part.role: part.predictor for part in predictor.parts}
    if "classifier" in by_role:
        return deciding(by_role["classifier"], label)
    if "segmenter" in by_role:
        deciding(by_role["detector"], label)
        return by_role["segmenter"]
    first = predictor.parts[0].predictor
    second = by_role.get("second")
    if second is None or label is None or label in first.labels:
        return deciding(first, label)
    label_number((*first.labels, *second.labels), label, predictor.report.model)
    return deciding(second, label)


def check_request(predictor: "Predictor", request: MapRequest) -> None:
    """Find out before any film is read whether the map can be made.

    Raises:
        ExplanationError: an unknown method or class, or nothing that this artifact can do.
    """
    asked = deciding(predictor, request.label)
    if asked is predictor and asked.bundle.manifest.task == "promptable-segmentation":
        raise ExplanationError(
            f"'{asked.report.model}' outlines what lies in boxes, and a map is asked of a film "
            "alone. Ask a pipeline that finds the boxes."
        )
    find_method(asked.bundle.manifest, asked.bundle.artifact(asked.report.artifact), request)


def find_method(manifest: Manifest, artifact: Artifact, request: MapRequest) -> Method:
    """The method that a request means for a model.

    Raises:
        ExplanationError: there is none of that name, or the artifact cannot do it.
    """
    name = request.method or usual_method(manifest)
    told = _offers(manifest, (artifact,))
    offer = next((o for o in told if o.method == name), None)
    can = ", ".join(o.method for o in told if o.available)
    if offer is None:
        raise ExplanationError(
            f"no method {name[:80]!r}; artifact {artifact.id} of '{manifest.name}' offers {can}."
        )
    if not offer.available:
        raise ExplanationError(
            f"artifact {artifact.id} of '{manifest.name}' cannot be explained with '{name}': "
            f"{offer.why}. It offers {can}."
        )
    if not 0 <= request.passes <= MAX_PASSES:
        raise ExplanationError(
            f"found {request.passes} passes; expected 1 to {MAX_PASSES}, or 0 for the method's own."
        )
    return METHODS[name]


def usual_method(manifest: Manifest) -> str:
    """The method where none is asked for: the manifest's, else by what the model answers."""
    if manifest.explanation_method is not None:
        return manifest.explanation_method
    if manifest.task == "detection":
        return "occlusion"
    return "probability" if manifest.task in _MASKS else "eigen-cam"


def _offers(manifest: Manifest, artifacts: Iterable[Artifact]) -> tuple[Offer, ...]:
    missing = _missing(manifest, tuple(artifacts))
    told = []
    for method in METHODS.values():
        why = "; ".join(missing[need] for need in method.needs if missing[need])
        if manifest.task == "promptable-segmentation" and "mask" not in method.needs:
            why = "it answers for boxes, so only its own answer is a map"
        told.append(Offer(method.name, method.source, not why, why, method.passes))
    return tuple(told)


def _missing(manifest: Manifest, artifacts: tuple[Artifact, ...]) -> dict[Need, str]:
    """What each need lacks, "" where it is met."""
    spec = manifest.explanation
    found = {o.name for a in artifacts for g in a.graphs for o in g.outputs}
    given = [{o.name for g in a.graphs for o in g.outputs} for a in artifacts]
    features = spec is not None and all(spec.output in names for names in given)
    linear = spec is not None and spec.pooling_linear_head and manifest.head is not None
    mask = manifest.task in _MASKS
    return {
        "features": ""
        if features
        else f"it gives {', '.join(sorted(found)) or 'nothing'} and no feature map (convert it "
        "with a feature output)",
        "pooled head": ""
        if linear
        else "its scores are not global pooling and one linear layer, so it needs gradients",
        "scores": "" if not mask else "it answers with a mask, not with scores",
        "mask": "" if mask else "it answers with scores, not with a mask",
    }
