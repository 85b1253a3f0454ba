"""Does this machine reproduce the answers recorded in the bundle?

Each acceptance film is a phantom. Its preprocessed tensor must be the recorded one to the bit;
the raw values must lie within the recorded tolerance, and the decision must be the recorded one
wherever the recorded score is farther from the threshold than that tolerance allows.

Of a mask the values are block means of its logits and the share that is drawn (see
`recorded_values.py`). A network for lung crops has crops as its films. A pipeline has none of its
own: each of its models is asked (`Bundle.models`).
"""

import hashlib
import json
import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .bundle import Bundle, check_file
from .choices import processor, state_folder
from .engines import engine_for, open_session, require
from .errors import AcceptanceError, OutputError, SchemaError
from .figures import Compute
from .files import write_atomic
from .images import prepare, read_film
from .manifest import AcceptanceFilm, Expected
from .recorded_values import acceptance_values, largest_difference, same_decision
from .records import dump_bytes, from_json
from .score_rules import temperatures_of
from .session import Session, SessionOptions
from .spec import OutputSpec


@dataclass(frozen=True)
class FilmResult:
    """One acceptance film on this machine.

    `problem` is empty when it passed; `max_difference` of the raw values is None where there is
    no finite one.
    """

    film: str
    max_difference: float | None
    tolerance: float
    problem: str


@dataclass(frozen=True)
class AcceptanceResult:
    """All acceptance films of one artifact in one engine on this processor."""

    artifact: str
    compute: Compute
    engine_version: str
    processor: str
    passed: bool
    films: tuple[FilmResult, ...]

    def explain(self) -> str:
        """One sentence for a log or an error."""
        failed = [f for f in self.films if f.problem]
        if not self.films:
            return f"{self.artifact}: the bundle has no acceptance films"
        if not failed:
            worst = max(f.max_difference or 0.0 for f in self.films)
            return f"{self.artifact} in {self.engine_version}: passed, difference {worst:.2g}"
        return (
            f"{self.artifact} in {self.engine_version} on {self.processor}: "
            f"{len(failed)} of {len(self.films)} films failed; {failed[0].film}: "
            f"{failed[0].problem}"
        )


def check_acceptance(
    bundle: Bundle,
    artifact_id: str,
    compute: Compute | None = None,
    engine: str | None = None,
    cache: bool = True,
) -> AcceptanceResult:
    """Run the acceptance films of one artifact, or take the remembered result.

    Args:
        compute: None takes the artifact's first validated compute precision.
        engine: None takes the engine of the artifact's format.
        cache: remember by bundle id, artifact hash, engine version and processor; read it back.

    Raises:
        IntegrityError: a file of the artifact or a film was changed.
        EngineError: the engine is missing or cannot open the artifact.
    """
    artifact = bundle.artifact(artifact_id)
    compute = compute or artifact.computes[0]
    engine = engine or engine_for(artifact.format)
    version = require(engine).version() or ""
    bundle.check(artifact.id)
    memory = _memory(bundle, artifact.sha256, compute, version)
    if cache and (known := _read(memory)) is not None:
        return known
    session = open_session(bundle.files(artifact.id), options=_one_thread(compute), engine=engine)
    films = tuple(_films(bundle, artifact.id, compute, session))
    result = AcceptanceResult(
        artifact=artifact.id,
        compute=compute,
        engine_version=version,
        processor=_processor_name(),
        passed=bool(films) and not any(f.problem for f in films),
        films=films,
    )
    if cache:
        # A read-only box still serves; it only measures again at the next start.
        with suppress(OutputError):
            write_atomic(memory, dump_bytes(result))
    return result


def require_acceptance(
    bundle: Bundle, artifact_id: str, compute: Compute, engine: str
) -> AcceptanceResult:
    """As `check_acceptance`.

    Raises:
        AcceptanceError: the artifact did not pass here.
    """
    result = check_acceptance(bundle, artifact_id, compute, engine)
    if not result.passed:
        raise AcceptanceError(
            f"{result.explain()}. This engine or processor answers otherwise than convert "
            "recorded; use another engine or artifact."
        )
    return result


def _one_thread(compute: Compute) -> SessionOptions:
    return SessionOptions(compute=compute, threads=1)


def _films(
    bundle: Bundle, artifact_id: str, compute: Compute, session: Session
) -> Iterator[FilmResult]:
    if bundle.manifest.acceptance is None:
        return
    for film in bundle.manifest.acceptance.films:
        check_file(bundle.folder, film.file, "acceptance film")
        for expected in film.expected:
            if (expected.artifact, expected.compute) == (artifact_id, compute):
                yield _film(bundle, film, expected, session)


def _film(bundle: Bundle, film: AcceptanceFilm, expected: Expected, session: Session) -> FilmResult:
    spec = bundle.manifest.input
    if spec is None:
        raise SchemaError(f"'{bundle.manifest.name}' has acceptance films but no input.")
    tensor = prepare(read_film(bundle.folder / film.file.path), spec)
    name = Path(film.file.path).name
    if hashlib.sha256(tensor.tobytes()).hexdigest() != film.tensor_sha256:
        problem = "the preprocessed pixels differ from the recorded ones"
        return FilmResult(name, None, expected.tolerance, problem)
    output = next((o for o in bundle.manifest.outputs if o.name == expected.output), None)
    if output is None:
        raise SchemaError(
            f"'{bundle.manifest.name}' has acceptance answers of an output '{expected.output}'; it "
            "has none of that name. Convert again."
        )
    raw = session.run({spec.name: tensor})[expected.output]
    thresholds = _thresholds(bundle, expected, output)
    scaled = temperatures_of(bundle.manifest, expected.artifact, expected.compute, output)
    found = acceptance_values(output, raw, next(iter(thresholds.values()), 0.5))
    difference = largest_difference(output, expected.values, found)
    problem = ""
    # `not <=` also refuses NaN.
    if not difference <= expected.tolerance:
        problem = f"scores differ by {difference:.3g}, tolerance {expected.tolerance:.3g}"
    elif not same_decision(output, expected, raw, thresholds, scaled):
        problem = "the decision differs"
    finite = difference if math.isfinite(difference) else None
    return FilmResult(name, finite, expected.tolerance, problem)


def _thresholds(bundle: Bundle, expected: Expected, output: OutputSpec) -> dict[str, float]:
    """By label: of the positive label, or of every label of findings and masks."""
    decided = (output.positive_label,) if output.positive_label else output.labels
    return {
        label: bundle.threshold(expected.artifact, expected.compute, label) for label in decided
    }


def _processor_name() -> str:
    cpu = processor()
    return f"{cpu.architecture} {cpu.model}".strip()


def _memory(bundle: Bundle, artifact_sha256: str, compute: Compute, version: str) -> Path:
    cpu = processor()
    key = json.dumps(
        [bundle.id, artifact_sha256, compute, version, cpu.architecture, cpu.model, cpu.flags]
    )
    digest = hashlib.sha256(key.encode("utf-8")).hexdigest()
    return state_folder() / "acceptance" / f"{digest[:32]}.json"


def _read(memory: Path) -> AcceptanceResult | None:
    """The remembered result; None where there is none or it is damaged."""
    try:
        return from_json(AcceptanceResult, json.loads(memory.read_bytes()), memory.name)
    except (OSError, ValueError, SchemaError):
        return None
