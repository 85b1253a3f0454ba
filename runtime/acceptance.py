"""Does this machine reproduce the answers recorded in the bundle?

Each acceptance film is a phantom. Its preprocessed tensor must be the recorded one to the bit;
the raw values must lie within the recorded tolerance, the labels and the score of each must be the
recorded ones, and the decision too wherever the recorded score is farther from the threshold than
that tolerance allows.

Of a mask the values are block means of its logits and the share that is drawn (see
`recorded_values.py`). A network for lung crops has crops as its films. A pipeline has none of its
own: each of its models is asked (`Bundle.models`).

The films are answered in a process of its own (`apart.py`), so an engine built for another
processor ends that one; what came of it is remembered.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from .apart import run_apart
from .bundle import Bundle, check_file
from .choices import processor, state_folder
from .engines import engine_for, require
from .errors import AcceptanceError, ClinicEdgeError, OutputError, SchemaError
from .figures import Compute
from .files import write_atomic
from .records import dump_bytes, from_json
from .trial import FilmResult, Outcome, Trial, expected_output

# Results that could not be written: a read-only box tries each but once in a process.
_unwritten: "dict[Path, AcceptanceResult]" = {}


@dataclass(frozen=True)
class AcceptanceResult:
    """All acceptance films of one artifact in one engine on this processor.

    `problem`: why there are no films' results, "" where there are.
    """

    artifact: str
    compute: Compute
    engine_version: str
    processor: str
    passed: bool
    films: tuple[FilmResult, ...]
    problem: str = ""

    def explain(self) -> str:
        """One sentence for a log or an error."""
        failed = [f for f in self.films if f.problem]
        where = f"{self.artifact} in {self.engine_version}"
        if self.problem:
            return f"{where} on {self.processor}: {self.problem}"
        if not self.films:
            return f"{self.artifact}: the bundle has no acceptance films"
        if not failed:
            worst = max(f.max_difference or 0.0 for f in self.films)
            return f"{where}: passed, difference {worst:.2g}"
        return (
            f"{where} on {self.processor}: {len(failed)} of {len(self.films)} films failed; "
            f"{failed[0].film}: {failed[0].problem}"
        )


@dataclass(frozen=True)
class Asked:
    """An artifact of a bundle, in one compute precision and one engine."""

    bundle: Bundle
    artifact: str
    compute: Compute
    engine: str


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
        cache: take what is remembered by bundle id, artifact hash, engine version, processor and
            the versions that prepare films; False tries anew. The result is remembered either way.

    Raises:
        IntegrityError: a file of the artifact or a film was changed.
        EngineMissingError: the engine is not installed.
        SchemaError: the recorded answers are of an output that the model does not have.
    """
    artifact = bundle.artifact(artifact_id)
    asked = Asked(
        bundle,
        artifact.id,
        compute or artifact.computes[0],
        engine or engine_for(artifact.format),
    )
    return check_acceptances((asked,), cache)[0]


def check_acceptances(asked: Sequence[Asked], cache: bool = True) -> tuple[AcceptanceResult, ...]:
    """As `check_acceptance` for several, with one process an engine; results in their order."""
    memories = [_memory(one) for one in asked]
    results: dict[Path, AcceptanceResult] = {}
    new: dict[Path, Asked] = {}
    for memory, one in zip(memories, asked, strict=True):
        one.bundle.check(one.artifact)
        _check_films(one)
        known = _read(memory) if cache else None
        if known is None:
            new[memory] = one
        else:
            results[memory] = known
    for engine in dict.fromkeys(one.engine for one in new.values()):
        batch = {memory: one for memory, one in new.items() if one.engine == engine}
        outcomes = run_apart([_trial(one) for one in batch.values()])
        for (memory, one), outcome in zip(batch.items(), outcomes, strict=True):
            results[memory] = _result(one, outcome)
            if outcome.lasting:
                _remember(memory, results[memory])
    return tuple(results[memory] for memory in memories)


def try_together(asked: Sequence[Asked], cache: bool) -> None:
    """Try and remember whatever is installed and whole, one process an engine.

    What is not is left to `check_acceptance`, which says why.

    Args:
        cache: False tries again what is remembered.
    """
    check_acceptances([one for one in asked if _to_try(one, cache)], cache)


def _to_try(asked: Asked, cache: bool) -> bool:
    try:
        if cache and _read(_memory(asked)) is not None:
            return False
        asked.bundle.check(asked.artifact)
        _check_films(asked)
    except ClinicEdgeError:
        return False
    return True


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
            f"{result.explain()}. It does not reproduce here what convert recorded and is not "
            "used; use another engine or artifact."
        )
    return result


def _check_films(asked: Asked) -> None:
    """Whether the acceptance films are whole and ask for what the model gives."""
    acceptance = asked.bundle.manifest.acceptance
    for film in acceptance.films if acceptance else ():
        check_file(asked.bundle.folder, film.file, "acceptance film")
        for expected in film.expected:
            expected_output(asked.bundle, expected)


def _trial(asked: Asked) -> Trial:
    folder = str(asked.bundle.folder.resolve())
    return Trial(folder, asked.bundle.id, asked.artifact, asked.compute, asked.engine)


def _result(asked: Asked, outcome: Outcome) -> AcceptanceResult:
    cpu = processor()
    return AcceptanceResult(
        artifact=asked.artifact,
        compute=asked.compute,
        engine_version=require(asked.engine).version() or "",
        processor=f"{cpu.architecture} {cpu.model}".strip(),
        passed=bool(outcome.films) and not any(f.problem for f in outcome.films),
        films=outcome.films,
        problem=outcome.problem,
    )


def _memory(asked: Asked) -> Path:
    cpu = processor()
    artifact = asked.bundle.artifact(asked.artifact)
    version = require(asked.engine).version() or ""
    machine = [cpu.architecture, cpu.model, cpu.flags]
    # These two prepare the film.
    ours = [metadata.version(package) for package in ("clinicedge", "pillow")]
    key = json.dumps([asked.bundle.id, artifact.sha256, asked.compute, version, *ours, *machine])
    digest = hashlib.sha256(key.encode("utf-8")).hexdigest()
    return state_folder() / "acceptance" / f"{digest[:32]}.json"


def _remember(memory: Path, result: AcceptanceResult) -> None:
    try:
        write_atomic(memory, dump_bytes(result))
    except OutputError:
        _unwritten[memory] = result


def _read(memory: Path) -> AcceptanceResult | None:
    """The remembered result; None where there is none or it is damaged."""
    try:
        return from_json(AcceptanceResult, json.loads(memory.read_bytes()), memory.name)
    except (OSError, ValueError, SchemaError):
        return _unwritten.get(memory)
