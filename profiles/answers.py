"""What a bundle answers, and in which variants it can be opened, read from its manifest alone."""

from dataclasses import dataclass

from ..runtime.bundle import Bundle
from ..runtime.errors import ArtifactError, WholeFilmError
from ..runtime.spec import InputSpec
from .evaluation import Kind
from .measure import Skipped


@dataclass(frozen=True)
class Answer:
    """What comes out.

    Attributes:
        labels: of the answer; of a cascade, its first stage's.
        positive_label: None where there are several findings, or boxes.
        second: the findings of a cascade's second stage, else ().
    """

    kind: Kind
    labels: tuple[str, ...]
    positive_label: str | None
    second: tuple[str, ...] = ()


def answer_of(bundle: Bundle) -> Answer:
    """What a model or pipeline answers.

    Raises:
        ArtifactError: it has no figures of accuracy: no labels, or more than two without a
            threshold each.
    """
    rules = bundle.manifest.pipeline
    if rules is None:
        return _model_answer(bundle)
    members = {member.role: inner for member, inner in bundle.members()}
    if rules.kind == "cascade":
        first, second = answer_of(members["first"]), answer_of(members["second"])
        return Answer("cascade", first.labels, first.positive_label, second.labels)
    if rules.kind == "lesions":
        outputs = members["detector"].manifest.outputs
        labels = next(o.labels for o in outputs if o.meaning == "logits")
        return Answer("segmentation", labels, labels[0])
    return answer_of(members["classifier" if rules.kind == "on-lungs" else "member"])


def _model_answer(bundle: Bundle) -> Answer:
    manifest = bundle.manifest
    for output in manifest.outputs:
        draws = manifest.task in ("segmentation", "promptable-segmentation")
        if draws and output.meaning == "mask" and output.labels:
            return Answer("segmentation", output.labels, output.labels[0])
        if manifest.task == "detection" and output.meaning == "logits" and output.labels:
            return Answer("detection", output.labels, None)
        if manifest.task == "findings" and output.meaning == "logits" and output.labels:
            return Answer("findings", output.labels, None)
        if manifest.task == "classification" and output.positive_label is not None:
            return Answer("classification", output.labels, output.positive_label)
    raise ArtifactError(
        f"'{manifest.name}' has no output with a positive label, findings, boxes or a mask, so "
        "there is nothing to compare with labels; expected a two-label classifier, findings, boxes "
        "or a mask."
    )


def film_input(bundle: Bundle) -> InputSpec | None:
    """The input of a model that takes whole films, None for a pipeline.

    Raises:
        WholeFilmError: the model takes films cropped to the lungs.
    """
    spec = bundle.manifest.input
    if bundle.manifest.kind == "pipeline" or spec is None:
        return None
    if spec.region == "lungs":
        base = bundle.manifest.name.removesuffix("-lung-crop")
        raise WholeFilmError(
            f"'{bundle.manifest.name}' takes films cropped to the lungs; found whole films. "
            f"Evaluate the pipeline '{base}-on-lungs', which crops."
        )
    return spec


def variants(bundle: Bundle, wanted: tuple[str, ...]) -> tuple[tuple[str, ...], list[Skipped]]:
    """The artifact ids to open, and those that not every member of a pipeline has.

    A pipeline has no artifacts of its own: its variants are format/precision, opened by each
    member with the recipe that it means.

    Raises:
        ArtifactError: a wanted one does not exist.
    """
    models = [model for _, model in bundle.models()]
    if bundle.manifest.kind == "model":
        ids = tuple(bundle.artifact(w).id for w in wanted)
        return ids or tuple(a.id for a in bundle.manifest.artifacts), []
    for name in wanted:
        for model in models:
            model.artifact(name)
    if wanted:
        return wanted, []
    every = dict.fromkeys(
        f"{a.format}/{a.precision}" for model in models for a in model.manifest.artifacts
    )
    found, skipped = [], []
    for name in every:
        without = [m.manifest.name for m in models if not _has(m, name)]
        if without:
            skipped.append(Skipped(name, "auto", f"not made for {', '.join(without)}"))
        else:
            found.append(name)
    return tuple(found), skipped


def _has(model: Bundle, name: str) -> bool:
    try:
        model.artifact(name)
    except ArtifactError:
        return False
    return True
