"""Which artifact, engine and thread count a predictor opens."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from .acceptance import Asked, require_acceptance, try_together
from .bundle import Bundle
from .choices import Choice, processor, read_choice
from .classifier import Classifier
from .detector import Detector
from .engines import engines, require
from .errors import AcceptanceError, ArtifactError, EngineError, EngineMissingError
from .figures import Compute
from .findings import FindingsPredictor
from .graphs import open_artifact
from .manifest import Artifact
from .predictor import ModelPredictor
from .promptable import PromptableSegmenter
from .segmenter import Segmenter
from .session import SessionOptions
from .spec import Task

# Lightest in memory first; a device profile says better.
DEFAULT_ORDER = ("onnxruntime", "litert", "openvino")
PRECISION_ORDER = ("int8", "fp32", "fp16")
_PASSED_OVER = "passed over: "
TASKS: dict[Task, type[ModelPredictor]] = {
    "classification": Classifier,
    "findings": FindingsPredictor,
    "detection": Detector,
    "segmentation": Segmenter,
    "promptable-segmentation": PromptableSegmenter,
}


@dataclass(frozen=True)
class Wish:
    """What the caller asked for; see `Bundle.predictor`."""

    engine: str = "auto"
    precision: str = "auto"
    threads: int = 0
    order: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Candidate:
    """One way to open the bundle."""

    artifact: str
    compute: Compute
    engine: str
    threads: int


def candidates(bundle: Bundle, wish: Wish) -> tuple[Candidate, ...]:
    """What fits the wish, best first, what can saturate on this processor last.

    Whether it runs here is not looked at.

    Raises:
        ArtifactError: nothing in the bundle fits, or it is a pipeline.
        EngineMissingError: no such engine.
    """
    _require_model(bundle)
    names = wish.order or DEFAULT_ORDER
    if wish.engine != "auto":
        require(wish.engine)
        names = (wish.engine,)
    found = [
        Candidate(artifact.id, artifact.computes[0], name, wish.threads)
        for name in names
        if name in engines()
        for artifact in _artifacts(bundle, wish.precision)
        if artifact.format in engines()[name].formats
    ]
    if not found:
        raise ArtifactError(
            f"'{bundle.manifest.name}' has nothing for engine '{wish.engine}' and precision "
            f"'{wish.precision}'; it has {', '.join(a.id for a in bundle.manifest.artifacts)}."
        )
    tuned = _tuned(bundle, wish)
    ranked = found if tuned is None else [tuned, *(c for c in found if c != tuned)]
    # What can saturate here might pass a few films and fail on the next one.
    return tuple(sorted(ranked, key=lambda c: bool(_saturation(bundle, c))))


def _saturation(bundle: Bundle, candidate: Candidate) -> str:
    """That the artifact's sums can saturate on this processor; "" where the manifest does not
    say or it is safe."""
    safe_on = bundle.artifact(candidate.artifact).safe_on
    family = processor().family
    if not safe_on or not family or family in safe_on:
        return ""
    return (
        f"{candidate.artifact}: its integer sums can saturate on this processor ({family}); the "
        f"manifest says that they cannot on {', '.join(safe_on)}"
    )


def _require_model(bundle: Bundle) -> None:
    manifest = bundle.manifest
    if manifest.kind == "pipeline":
        raise ArtifactError(
            f"'{manifest.name}' is a pipeline; expected a model. Take one of its members, "
            f"{', '.join(m.name for m in manifest.members)}, or open the whole with "
            "`Bundle.predictor`."
        )


def _artifacts(bundle: Bundle, precision: str) -> Iterator[Artifact]:
    """Artifacts of a precision, or the one artifact of that id; "auto" gives all in order."""
    manifest = bundle.manifest
    if "/" in precision:
        yield bundle.artifact(precision)
        return
    wanted = PRECISION_ORDER if precision == "auto" else (precision,)
    for name in wanted:
        recipe = manifest.defaults.get(name, name)
        yield from (a for a in manifest.artifacts if a.recipe == recipe)


def _tuned(bundle: Bundle, wish: Wish) -> Candidate | None:
    """The remembered choice where nothing was asked for and the engine is still the same."""
    if wish.engine != "auto" or wish.precision != "auto":
        return None
    choice: Choice | None = read_choice(bundle.id)
    if choice is None or choice.engine not in engines():
        return None
    if engines()[choice.engine].version() != choice.engine_version:
        return None
    known = {(a.id, c, a.format) for a in bundle.manifest.artifacts for c in a.computes}
    opens = engines()[choice.engine].formats
    if not any((choice.artifact, choice.compute, format_) in known for format_ in opens):
        return None
    return Candidate(choice.artifact, choice.compute, choice.engine, wish.threads or choice.threads)


def try_first(models: Iterable[Bundle], wish: Wish) -> None:
    """Acceptance of what each model would open first, in one process an engine.

    Opened one after the other each would start its own. What cannot be tried is left to
    `open_model`, which says why.
    """
    asked = []
    for model in models:
        with suppress(ArtifactError, EngineError):
            first = candidates(model, wish)[0]
            asked.append(Asked(model, first.artifact, first.compute, first.engine))
    try_together(asked, cache=True)


def open_model(bundle: Bundle, wish: Wish) -> ModelPredictor:
    """Open the first candidate that is installed, intact and reproduces the recorded answers.

    Each candidate passed over is named, with the reason, in the report of every prediction.

    Raises:
        ArtifactError: the bundle is a pipeline.
        EngineMissingError, AcceptanceError, ArtifactError: no candidate is left; says why each.
        IntegrityError: a file was changed.
    """
    manifest = bundle.manifest
    _require_model(bundle)
    tried = candidates(bundle, wish)
    passed_over = [_PASSED_OVER + note for c in tried if (note := _saturation(bundle, c))]
    failed_acceptance = False
    for candidate in tried:
        try:
            return _open(bundle, candidate, passed_over)
        except AcceptanceError as err:
            failed_acceptance = True
            passed_over.append(_PASSED_OVER + str(err))
        except EngineError as err:
            passed_over.append(_PASSED_OVER + str(err))
    kind = AcceptanceError if failed_acceptance else EngineMissingError
    raise kind(
        f"nothing in '{manifest.name}' can be used here for engine '{wish.engine}', "
        f"precision '{wish.precision}': " + " | ".join(dict.fromkeys(passed_over))
    )


def _open(bundle: Bundle, candidate: Candidate, passed_over: list[str]) -> ModelPredictor:
    require_acceptance(bundle, candidate.artifact, candidate.compute, candidate.engine)
    options = SessionOptions(candidate.compute, candidate.threads)
    try:
        session = open_artifact(bundle.files(candidate.artifact), options, candidate.engine)
    except ArtifactError as err:
        # It passed a moment ago, or long ago in another state of this machine.
        raise AcceptanceError(f"{candidate.artifact} cannot be opened any more: {err}") from err
    opened = TASKS[bundle.manifest.task]
    notes = _notes(bundle, candidate, passed_over)
    return opened(bundle, candidate.artifact, candidate.compute, session, notes)


def _notes(bundle: Bundle, used: Candidate, passed_over: list[str]) -> tuple[str, ...]:
    """What every answer says of the choice: each thing once."""
    own = _saturation(bundle, used)
    if not own:
        return tuple(dict.fromkeys(passed_over))
    others = (note for note in passed_over if note != _PASSED_OVER + own)
    return (f"used, for want of another: {own}", *dict.fromkeys(others))
