"""Costs of artifacts and whole pipelines on a machine, and where they are kept."""

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..runtime.bundle import Bundle
from ..runtime.errors import SchemaError
from ..runtime.files import write_atomic
from ..runtime.manifest import Precision
from ..runtime.records import dump_bytes, from_json
from .devices import Budget
from .machine import Machine
from .measure import Cell, Skipped
from .worker import Sample

LATENCY_SCHEMA = 1


@dataclass(frozen=True)
class Cost:
    """What one cell costs here: an artifact in an engine, or a whole pipeline.

    Attributes:
        artifact: of a pipeline, that of the member whose answer counts.
        artifact_sha256: of a pipeline, over its members' as in its report.
        bytes: size of the artifact's files; of a pipeline, of all members' artifacts.
        import_ms, load_ms, first_ms: medians over the rounds.
        p50_ms, p90_ms, p99_ms: of the steady engine runs of all rounds together; of a pipeline,
            from the decoded film to the answer.
        round_p50_ms: the median of each round, in the order measured.
        peak_rss_mb: the highest of the rounds; a process with the runtime and this session, of a
            pipeline with all its sessions.
        over_budget: what exceeds the device profile's budget, in words; members have none.
        ran: paths of the pipeline's members that the film went through; () for an artifact.
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
    ran: tuple[str, ...] = ()


@dataclass(frozen=True)
class MemberCosts:
    """The artifacts of one model in a pipeline, measured alone. `paths`: where it lies there."""

    paths: tuple[str, ...]
    model: str
    bundle_id: str
    costs: tuple[Cost, ...]
    skipped: tuple[Skipped, ...]


@dataclass(frozen=True)
class CostReport:
    """All cells of a bundle on this machine. `load`: 1-minute load average at the start.

    Attributes:
        costs, skipped: of a model's artifacts; of a pipeline as a whole.
        members: of a pipeline's models, each once; () for a model.
        film: what a pipeline was measured with, in words; "" for a model.
    """

    schema: int
    model: str
    bundle_id: str
    device: str
    machine: Machine
    date: str
    load: float
    costs: tuple[Cost, ...]
    skipped: tuple[Skipped, ...]
    members: tuple[MemberCosts, ...] = ()
    film: str = ""

    @property
    def best(self) -> Cost | None:
        """The fastest that decides as convert validated and fits the budget; None: none does."""
        fit = (c for c in self.costs if c.validated and not c.over_budget)
        return min(fit, key=lambda c: c.p50_ms, default=None)


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


@dataclass(frozen=True)
class Measured:
    """What the samples of a cost were taken of; fields as in `Cost`."""

    artifact: str
    artifact_sha256: str
    precision: Precision
    engine: str
    validated: bool
    bytes: int
    ran: tuple[str, ...] = ()


def cost(bundle: Bundle, cell: Cell, samples: Sequence[Sample], budget: Budget | None) -> Cost:
    """Put the rounds of one artifact together. `budget` None: nothing is over it."""
    artifact = bundle.artifact(cell.artifact)
    what = Measured(
        artifact=artifact.id,
        artifact_sha256=artifact.sha256,
        precision=artifact.precision,
        engine=cell.engine,
        validated=cell.validated,
        bytes=artifact.bytes,
    )
    return put_together(what, samples, budget)


def put_together(what: Measured, samples: Sequence[Sample], budget: Budget | None) -> Cost:
    """Put the rounds of one thing together."""
    steady = [ms for s in samples for ms in s.steady_ms]
    p50, p90, p99 = (_round(float(v)) for v in np.percentile(steady, (50, 90, 99)))
    peak = _round(max(s.peak_rss_mb for s in samples), 1)
    last = samples[-1]
    return Cost(
        artifact=what.artifact,
        artifact_sha256=what.artifact_sha256,
        precision=what.precision,
        engine=what.engine,
        engine_version=last.engine_version,
        device=last.device,
        compute=last.compute,
        threads=last.threads,
        validated=what.validated,
        bytes=what.bytes,
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
        over_budget=() if budget is None else _over_budget(budget, p90, peak, what.bytes),
        ran=what.ran,
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
    """Store the report beside the manifests, one file an artifact; other machines' stay.

    A pipeline's own figures lie beside its manifest, those of its models beside theirs.

    Raises:
        OutputError: the bundle's folder cannot be written.
    """
    paths = _keep_costs(bundle.folder, report, report.costs)
    by_id = {member.bundle_id: member.costs for member in report.members}
    for _, model in bundle.models():
        paths += _keep_costs(model.folder, report, by_id.get(model.id, ()))
    return tuple(paths)


def _keep_costs(folder: Path, report: CostReport, found: Sequence[Cost]) -> list[Path]:
    by_hash: dict[str, list[Cost]] = {}
    for entry in found:
        by_hash.setdefault(entry.artifact_sha256, []).append(entry)
    paths = []
    for sha256, costs in by_hash.items():
        path = folder / "measurements" / f"{sha256}-latency.json"
        mine = MachineLatency(report.machine, report.date, report.load, tuple(costs))
        others = tuple(e for e in _entries(path) if e.machine.id != report.machine.id)
        record = LatencyRecord(LATENCY_SCHEMA, costs[0].artifact, sha256, (*others, mine))
        write_atomic(path, dump_bytes(record))
        paths.append(path)
    return paths


def _entries(path: Path) -> tuple[MachineLatency, ...]:
    """What is kept already; a damaged file counts as none, its numbers can be measured again."""
    with suppress(OSError, ValueError, SchemaError):
        return from_json(LatencyRecord, json.loads(path.read_bytes()), path.name).entries
    return ()


def _median(values: Iterable[float]) -> float:
    return _round(float(np.median(list(values))))


def _round(value: float, digits: int = 4) -> float:
    return round(value, digits)
