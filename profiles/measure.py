"""What each artifact of a bundle costs on this machine, measured in fresh processes.

One process per engine x artifact x round, the rounds interleaved, so that a busy minute hits all
of them and one engine's threads never disturb another's.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from ..runtime.bundle import Bundle
from ..runtime.engines import engines
from ..runtime.errors import EngineError
from ..runtime.figures import Compute
from ..runtime.manifest import Artifact
from ..runtime.records import from_json, to_json
from .worker import Job, Sample

PROCESS_LIMIT_S = 600
# (done, of, what is being measured)
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Cell:
    """One thing to measure. `validated`: convert set a threshold for this compute precision."""

    artifact: str
    engine: str
    compute: Compute
    threads: int
    validated: bool = True

    @property
    def name(self) -> str:
        """For a progress line, e.g. "openvino/fp32 in openvino, bf16, 2 threads"."""
        return f"{self.artifact} in {self.engine}, {self.compute}, {self.threads} threads"


@dataclass(frozen=True)
class Skipped:
    """What was not measured, and why."""

    artifact: str
    engine: str
    reason: str


@dataclass(frozen=True)
class Rounds:
    """How long to measure: `rounds` fresh processes a cell, each up to `runs` or `seconds`."""

    rounds: int = 5
    seconds: float = 0.5
    runs: int = 200


class Named(Protocol):
    """Something to measure that has a name for the progress line."""

    @property
    def name(self) -> str: ...


Wanted = TypeVar("Wanted", bound=Named)


def cells(
    bundle: Bundle, threads: Iterable[int], bf16: bool = False
) -> tuple[tuple[Cell, ...], tuple[Skipped, ...]]:
    """Every engine x artifact x validated compute x threads that is installed; and the rest.

    Args:
        bf16: also OpenVINO's bf16 of FP32 artifacts, which no threshold was set for.
    """
    found: list[Cell] = []
    skipped: list[Skipped] = []
    for artifact in bundle.manifest.artifacts:
        for name, engine in engines().items():
            if artifact.format not in engine.formats:
                continue
            if engine.version() is None:
                skipped.append(Skipped(artifact.id, name, "engine not installed"))
                continue
            for count in threads:
                found += [Cell(artifact.id, name, c, count) for c in artifact.computes]
                if bf16 and name == "openvino" and _wants_bf16(artifact):
                    found.append(Cell(artifact.id, name, "bf16", count, validated=False))
    return tuple(found), tuple(skipped)


def _wants_bf16(artifact: Artifact) -> bool:
    return artifact.precision == "fp32" and "bf16" not in artifact.computes


def sample(bundle: Bundle, cell: Cell, seconds: float, runs: int) -> Sample:
    """Measure one cell in a fresh process.

    Raises:
        EngineError: the process failed; the message has its last words.
    """
    job = Job(
        bundle=str(bundle.folder.resolve()),
        artifact=cell.artifact,
        engine=cell.engine,
        compute=cell.compute,
        threads=cell.threads,
        seconds=seconds,
        runs=runs,
    )
    return ask_worker("worker", job, cell.name)


def ask_worker(module: str, job: Any, what: str) -> Sample:
    """Run a worker of this package in a fresh process: the job on its stdin, a sample back.

    Args:
        job: the record that the worker reads.
        what: is measured, for messages.

    Raises:
        EngineError: the process failed; the message has its last words.
    """
    try:
        answer = ask_process(("-m", f"{__package__}.{module}"), job)
    except EngineError as err:
        raise EngineError(f"{what}: {err}") from err
    return from_json(Sample, answer, f"sample of {what}")


def ask_process(arguments: Sequence[str], job: Any) -> Any:
    """Run Python afresh: the job as JSON on its stdin, the JSON of its last line back.

    Args:
        arguments: of Python, as ("-m", module) or a script's path.

    Raises:
        EngineError: it failed, with its last words, or took longer than PROCESS_LIMIT_S.
    """
    try:
        done = subprocess.run(
            [sys.executable, *arguments],
            input=json.dumps(to_json(job)),
            capture_output=True,
            text=True,
            timeout=PROCESS_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as err:
        raise EngineError(f"no answer within {PROCESS_LIMIT_S} s") from err
    lines = done.stdout.strip().splitlines()
    if done.returncode != 0 or not lines:
        words = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise EngineError(words[-1])
    return json.loads(lines[-1])


def interleave(
    wanted: Sequence[Wanted], rounds: int, ask: Callable[[Wanted, int], None], progress: Progress
) -> None:
    """Call `ask(cell, round)` for every cell in every round, each round starting elsewhere."""
    total = len(wanted) * rounds
    for number in range(rounds):
        start = number * len(wanted) // max(rounds, 1)
        for place, cell in enumerate((*wanted[start:], *wanted[:start])):
            progress(number * len(wanted) + place, total, cell.name)
            ask(cell, number)
    progress(total, total, "done")
