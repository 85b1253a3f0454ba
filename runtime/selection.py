"""Which artifact, engine and thread count a predictor opens."""

from collections.abc import Iterator
from dataclasses import dataclass

from .acceptance import require_acceptance
from .bundle import Bundle
from .choices import Choice, read_choice
from .classifier import Classifier
from .engines import engines, open_session, require
from .errors import AcceptanceError, ArtifactError, EngineError, EngineMissingError
from .figures import Compute
from .findings import FindingsPredictor
from .manifest import Artifact
from .predictor import ModelPredictor
from .segmenter import Segmenter
from .session import SessionOptions
from .spec import Task

# Lightest in memory first; a device profile says better.
DEFAULT_ORDER = ("onnxruntime", "litert", "openvino")
PRECISION_ORDER = ("int8", "fp32", "fp16")
TASKS: dict[Task, type[ModelPredictor]] = {
    "classification": Classifier,
    "findings": FindingsPredictor,
    "segmentation": Segmenter,
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
    """What fits the wish, best first; whether it runs here is not looked at.

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
    return tuple(found) if tuned is None else (tuned, *(c for c in found if c != tuned))


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
    return Candidate(choice.artifact, choice.compute, choice.engine, wish.threads or choice.threads)


def open_model(bundle: Bundle, wish: Wish) -> ModelPredictor:
    """Open the first candidate that is installed, intact and reproduces the recorded answers.

    A candidate passed over is named in the report of every prediction.

    Raises:
        ArtifactError: the bundle is a pipeline, or of a task that nothing here opens.
        EngineMissingError, AcceptanceError, ArtifactError: no candidate is left; says why each.
        IntegrityError: a file was changed.
    """
    manifest = bundle.manifest
    _require_model(bundle)
    if manifest.task not in TASKS:
        raise ArtifactError(
            f"'{manifest.name}' is for the task '{manifest.task}'; this clinicedge opens "
            f"{', '.join(TASKS)}. Update clinicedge."
        )
    passed_over: list[str] = []
    failed_acceptance = False
    for candidate in candidates(bundle, wish):
        try:
            return _open(bundle, candidate, tuple(dict.fromkeys(passed_over)))
        except AcceptanceError as err:
            failed_acceptance = True
            passed_over.append(str(err))
        except EngineError as err:
            passed_over.append(str(err))
    kind = AcceptanceError if failed_acceptance else EngineMissingError
    raise kind(
        f"nothing in '{bundle.manifest.name}' can be used here for engine '{wish.engine}', "
        f"precision '{wish.precision}': " + " | ".join(dict.fromkeys(passed_over))
    )


def _open(bundle: Bundle, candidate: Candidate, notes: tuple[str, ...]) -> ModelPredictor:
    require_acceptance(bundle, candidate.artifact, candidate.compute, candidate.engine)
    options = SessionOptions(candidate.compute, candidate.threads)
    session = open_session(
        bundle.files(candidate.artifact), options=options, engine=candidate.engine
    )
    opened = TASKS[bundle.manifest.task]
    return opened(bundle, candidate.artifact, candidate.compute, session, notes)
