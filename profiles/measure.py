"""What each artifact of a bundle costs on this machine, measured in fresh processes.

One process per engine x artifact x round, the rounds interleaved, so that a busy minute hits all
of them and one engine's threads never disturb another's.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from ..runtime.bundle import Bundle
from ..runtime.engines import engines
from ..runtime.errors import EngineError, SchemaError
from ..runtime.files import write_atomic
from ..runtime.manifest import Artifact, Compute, Precision
from ..runtime.records import dump_bytes, from_json, to_json
from .devices import Budget, DeviceProfile
from .machine import Machine, room, this_machine
from .worker import Job, Sample

LATENCY_SCHEMA = 1
NOT_VALIDATED = "decisions not validated"
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


@dataclass(frozen=True)
class Cost:
    """What one cell costs here.

    Attributes:
        bytes: size of the artifact's files.
        import_ms, load_ms, first_ms: medians over the rounds.
        p50_ms, p90_ms, p99_ms: of the steady engine runs of all rounds together.
        round_p50_ms: the median of each round, in the order measured.
        peak_rss_mb: the highest of the rounds; a process with the runtime and this session.
        over_budget: what exceeds the device profile's budget, in words.
    """

    artifact: str
    artifact_sha256: str
    precision: Precision
    engine: str
    engine_version: str
    device: str
    compute: str
    threads: int
    validated: bool
    bytes: int
    rounds: int
    runs: int
    import_ms: float
    load_ms: float
    first_ms: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    round_p50_ms: tuple[float, ...]
    peak_rss_mb: float
    over_budget: tuple[str, ...]


@dataclass(frozen=True)
class CostReport:
    """All cells of a bundle on this machine. `load`: 1-minute load average at the start."""

    schema: int
    model: str
    bundle_id: str
    device: str
    machine: Machine
    date: str
    load: float
    costs: tuple[Cost, ...]
    skipped: tuple[Skipped, ...]


@dataclass(frozen=True)
class MachineLatency:
    """One machine's entry in `measurements/HASH-latency.json`."""

    machine: Machine
    date: str
    load: float
    costs: tuple[Cost, ...]


@dataclass(frozen=True)
class LatencyRecord:
    """`measurements/HASH-latency.json`: what an artifact cost, one entry a machine."""

    schema: int
    artifact: str
    artifact_sha256: str
    entries: tuple[MachineLatency, ...]


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
        graph=bundle.artifact(cell.artifact).graphs[0].name,
        engine=cell.engine,
        compute=cell.compute,
        threads=cell.threads,
        seconds=seconds,
        runs=runs,
    )
    try:
        done = subprocess.run(
            [sys.executable, "-m", f"{__package__}.worker"],
            input=json.dumps(to_json(job)),
            capture_output=True,
            text=True,
            timeout=PROCESS_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as err:
        raise EngineError(f"{cell.name}: no answer within {PROCESS_LIMIT_S} s") from err
    lines = done.stdout.strip().splitlines()
    if done.returncode != 0 or not lines:
        words = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise EngineError(f"{cell.name}: {words[-1]}")
    return from_json(Sample, json.loads(lines[-1]), f"sample of {cell.name}")


def interleave(
    wanted: Sequence[Cell], rounds: int, ask: Callable[[Cell, int], None], progress: Progress
) -> None:
    """Call `ask(cell, round)` for every cell in every round, each round starting elsewhere."""
    total = len(wanted) * rounds
    for number in range(rounds):
        start = number * len(wanted) // max(rounds, 1)
        for place, cell in enumerate((*wanted[start:], *wanted[:start])):
            progress(number * len(wanted) + place, total, cell.name)
            ask(cell, number)
    progress(total, total, "done")


def measure_bundle(
    bundle: Bundle, profile: DeviceProfile, threads: int, plan: Rounds, progress: Progress
) -> CostReport:
    """Measure every engine x artifact of a bundle on this machine.

    Args:
        threads: of each session; 0 takes the usable cores, at most the profile's threads.

    Raises:
        SchemaError: the bundle's records are damaged.
    """
    machine = this_machine()
    count = threads or min(machine.cores, profile.threads)
    wanted, skipped = cells(bundle, (count,), bf16=machine.bf16)
    load = room(bundle.folder).load
    samples: dict[Cell, list[Sample]] = {cell: [] for cell in wanted}
    failed: dict[Cell, str] = {}

    def ask(cell: Cell, _round: int) -> None:
        if cell in failed:
            return
        try:
            samples[cell].append(sample(bundle, cell, plan.seconds, plan.runs))
        except EngineError as err:
            failed[cell] = str(err)

    interleave(wanted, plan.rounds, ask, progress)
    costs = tuple(
        cost(bundle, cell, samples[cell], profile.budget) for cell in wanted if cell not in failed
    )
    broken = tuple(Skipped(c.artifact, c.engine, reason) for c, reason in failed.items())
    return CostReport(
        schema=LATENCY_SCHEMA,
        model=bundle.manifest.name,
        bundle_id=bundle.id,
        device=profile.name,
        machine=machine,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        load=load,
        costs=costs,
        skipped=(*skipped, *broken),
    )


def cost(bundle: Bundle, cell: Cell, samples: Sequence[Sample], budget: Budget) -> Cost:
    """Put the rounds of one cell together; `samples` is not empty."""
    artifact = bundle.artifact(cell.artifact)
    steady = np.concatenate([np.asarray(s.steady_ms) for s in samples])
    p50, p90, p99 = (_round(float(v)) for v in np.percentile(steady, (50, 90, 99)))
    peak = _round(max(s.peak_rss_mb for s in samples), 1)
    last = samples[-1]
    return Cost(
        artifact=artifact.id,
        artifact_sha256=artifact.sha256,
        precision=artifact.precision,
        engine=cell.engine,
        engine_version=last.engine_version,
        device=last.device,
        compute=last.compute,
        threads=last.threads,
        validated=cell.validated,
        bytes=artifact.bytes,
        rounds=len(samples),
        runs=len(steady),
        import_ms=_median(s.import_ms for s in samples),
        load_ms=_median(s.load_ms for s in samples),
        first_ms=_median(s.first_ms for s in samples),
        p50_ms=p50,
        p90_ms=p90,
        p99_ms=p99,
        round_p50_ms=tuple(_median(s.steady_ms) for s in samples),
        peak_rss_mb=peak,
        over_budget=_over_budget(budget, p90, peak, artifact.bytes),
    )


def _over_budget(budget: Budget, p90_ms: float, peak_mb: float, size: int) -> tuple[str, ...]:
    found = (
        ("p90", p90_ms, budget.latency_ms, "ms"),
        ("peak RSS", peak_mb, budget.peak_rss_mb, "MB"),
        ("size", size / 1e6, budget.bundle_mb, "MB"),
    )
    return tuple(
        f"{name} {value:.4g} {unit}, budget {limit:.4g} {unit}"
        for name, value, limit, unit in found
        if value > limit
    )


def keep(bundle: Bundle, report: CostReport) -> tuple[Path, ...]:
    """Store the report beside the bundle's manifest, one file an artifact; other machines' stay.

    Raises:
        OutputError: the bundle's folder cannot be written.
    """
    by_hash: dict[str, list[Cost]] = {}
    for entry in report.costs:
        by_hash.setdefault(entry.artifact_sha256, []).append(entry)
    paths = []
    for sha256, costs in by_hash.items():
        path = bundle.folder / "measurements" / f"{sha256}-latency.json"
        mine = MachineLatency(report.machine, report.date, report.load, tuple(costs))
        others = tuple(e for e in _entries(path) if e.machine.id != report.machine.id)
        record = LatencyRecord(LATENCY_SCHEMA, costs[0].artifact, sha256, (*others, mine))
        write_atomic(path, dump_bytes(record))
        paths.append(path)
    return tuple(paths)


def _entries(path: Path) -> tuple[MachineLatency, ...]:
    """What is kept already; a damaged file counts as none, its numbers can be measured again."""
    with suppress(OSError, ValueError, SchemaError):
        return from_json(LatencyRecord, json.loads(path.read_bytes()), path.name).entries
    return ()


def versions() -> Mapping[str, str | None]:
    """The engines that clinicedge knows and their versions; None where not installed."""
    return {name: engine.version() for name, engine in engines().items()}


def _median(values: Iterable[float]) -> float:
    return _round(float(np.median(list(values))))


def _round(value: float, digits: int = 4) -> float:
    return round(value, digits)
