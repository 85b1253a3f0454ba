"""Which artifact, engine and thread count is fastest on this machine."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from ..runtime.acceptance import check_acceptance
from ..runtime.bundle import Bundle
from ..runtime.choices import (
    Choice,
    forget_choice,
    machine_id,
    state_folder,
    usable_cores,
    write_choice,
)
from ..runtime.errors import AcceptanceError, ClinicEdgeError, EngineError, EngineMissingError
from ..runtime.files import write_atomic
from ..runtime.records import dump_bytes
from .inner_models import inner_models
from .measure import Cell, Progress, Rounds, Skipped, cells, interleave, sample
from .worker import Sample

MIN_AGREEMENT = 0.99
# After the first rounds whatever is this much slower than the best cannot win any more.
FIRST_ROUNDS = 2
HOPELESS = 1.5
# Medians this close are one speed; the fewer threads win, they leave the box to the rest.
SAME_SPEED = 1.02


@dataclass(frozen=True)
class TuneRow:
    """A measured candidate: the median of each round, and the median of those (`p50_ms`)."""

    artifact: str
    engine: str
    compute: str
    threads: int
    decision_agreement: float
    p50_ms: float
    round_p50_ms: tuple[float, ...]


@dataclass(frozen=True)
class TuneResult:
    """What was chosen and why. `rows` fastest first; `rejected` never competed."""

    model: str
    bundle_id: str
    machine_id: str
    date: str
    choice: Choice
    rows: tuple[TuneRow, ...]
    rejected: tuple[Skipped, ...]


@dataclass(frozen=True)
class MemberTuning:
    """One model of a pipeline. `paths`: where it lies there, e.g. "first/lungs"."""

    paths: tuple[str, ...]
    result: TuneResult


@dataclass(frozen=True)
class PipelineTuning:
    """What was chosen for every model of a pipeline, each once."""

    model: str
    bundle_id: str
    machine_id: str
    date: str
    members: tuple[MemberTuning, ...]


def tune_members(
    bundle: Bundle, plan: Rounds, progress: Progress, threads: tuple[int, ...] = ()
) -> PipelineTuning:
    """`tune` every model of a pipeline; each choice is remembered by its own bundle id.

    The models are tuned one by one, each alone in its process.

    Raises:
        AcceptanceError, EngineMissingError, OutputError: as `tune`; choices made before stay.
        ArtifactError, IntegrityError, SchemaError: as `Bundle.models`.
    """
    members = []
    for inner in inner_models(bundle):

        def named(done: int, total: int, what: str, where: str = inner.where) -> None:
            progress(done, total, f"{where}: {what}")

        members.append(MemberTuning(inner.paths, tune(inner.bundle, plan, named, threads)))
    return PipelineTuning(
        model=bundle.manifest.name,
        bundle_id=bundle.id,
        machine_id=machine_id(),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        members=tuple(members),
    )


def forget(bundle: Bundle) -> bool:
    """Forget the choice for a model, or for every model of a pipeline; False: there was none.

    Raises:
        OutputError: a record cannot be deleted.
        ArtifactError, IntegrityError, SchemaError: as `Bundle.models`.
    """
    there = [forget_choice(inner.bundle.id) for inner in inner_models(bundle)]
    return any(there)


def thread_counts(cores: int) -> tuple[int, ...]:
    """1, 2, 4, ... and `cores` itself."""
    counts = {cores}
    power = 1
    while power < cores:
        counts.add(power)
        power *= 2
    return tuple(sorted(counts))


def tune(
    bundle: Bundle,
    plan: Rounds,
    progress: Progress,
    threads: tuple[int, ...] = (),
    min_agreement: float = MIN_AGREEMENT,
) -> TuneResult:
    """Measure every candidate of a model, remember the fastest for this machine and give the table.

    A candidate decides as FP32 does on at least `min_agreement` of the films that convert
    compared, and passes the bundle's acceptance here.

    Args:
        threads: thread counts to try; () takes 1, 2, 4, ... up to the usable cores.

    Raises:
        AcceptanceError, EngineMissingError: no candidate is left; says why each. A pipeline has
            none of its own: `tune_members`.
        OutputError: the state folder cannot be written.
    """
    _require_writable(table_path(bundle.id))
    able, rejected = _candidates(bundle, threads or thread_counts(usable_cores()), min_agreement)
    race = _race(bundle, able, plan, progress)
    rejected += race.failed
    if not race.measured:
        raise _nothing(bundle, rejected)
    choice = _chosen(bundle, race)
    rows = (_row(bundle, cell, samples) for cell, samples in race.measured.items())
    result = TuneResult(
        model=bundle.manifest.name,
        bundle_id=bundle.id,
        machine_id=machine_id(),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        choice=choice,
        rows=tuple(sorted(rows, key=lambda row: row.p50_ms)),
        rejected=rejected,
    )
    write_atomic(table_path(bundle.id), dump_bytes(result))
    write_choice(bundle.id, choice)
    return result


def table_path(bundle_id: str) -> Path:
    """Where the whole table of the last `tune` lies."""
    return state_folder() / "tuning" / f"{bundle_id}-{machine_id()}.json"


def _require_writable(path: Path) -> None:
    """Fail before minutes of measuring, not after."""
    probe = path.with_name(f".{path.name}.probe")
    write_atomic(probe, b"")
    probe.unlink(missing_ok=True)


def _candidates(
    bundle: Bundle, threads: Iterable[int], min_agreement: float
) -> tuple[tuple[Cell, ...], tuple[Skipped, ...]]:
    found, missing = cells(bundle, threads)
    rejected = list(missing)
    verdicts: dict[tuple[str, str, str], str] = {}
    able = []
    for cell in found:
        key = (cell.artifact, cell.engine, cell.compute)
        if key not in verdicts:
            verdicts[key] = _objection(bundle, cell, min_agreement)
            if verdicts[key]:
                rejected.append(Skipped(cell.artifact, cell.engine, verdicts[key]))
        if not verdicts[key]:
            able.append(cell)
    if not able:
        raise _nothing(bundle, tuple(rejected))
    return tuple(able), tuple(rejected)


@dataclass(frozen=True, eq=False)
class _Race:
    """Samples of the cells that never failed; `hopeful` ran all rounds, or failed in them."""

    measured: dict[Cell, list[Sample]]
    hopeful: tuple[Cell, ...]
    failed: tuple[Skipped, ...]


def _race(bundle: Bundle, able: tuple[Cell, ...], plan: Rounds, progress: Progress) -> _Race:
    """Every cell in the first rounds, whoever still can win in the others."""
    samples: dict[Cell, list[Sample]] = {cell: [] for cell in able}
    failed: dict[Cell, str] = {}

    def ask(cell: Cell, _round: int) -> None:
        if cell not in failed:
            try:
                samples[cell].append(sample(bundle, cell, plan.seconds, plan.runs))
            except EngineError as err:
                failed[cell] = str(err)

    first = min(FIRST_ROUNDS, plan.rounds)
    interleave(able, first, ask, progress)
    hopeful = _hopeful({c: s for c, s in samples.items() if c not in failed})
    interleave(hopeful, plan.rounds - first, ask, progress)
    return _Race(
        measured={c: s for c, s in samples.items() if c not in failed},
        hopeful=hopeful,
        failed=tuple(Skipped(c.artifact, c.engine, reason) for c, reason in failed.items()),
    )


def _chosen(bundle: Bundle, race: _Race) -> Choice:
    # Should none of the fastest have ended well, a slow one did.
    samples = {c: race.measured[c] for c in race.hopeful if c in race.measured} or race.measured
    winner = _winner(bundle, samples)
    version = samples[winner][-1].engine_version
    return Choice(winner.artifact, winner.compute, winner.engine, winner.threads, version)


def _objection(bundle: Bundle, cell: Cell, min_agreement: float) -> str:
    """Why the cell must not be chosen; empty where it may."""
    agreement = bundle.artifact(cell.artifact).parity.decision_agreement
    if agreement < min_agreement:
        return f"decides as FP32 on {agreement:.1%} of the films, expected {min_agreement:.0%}"
    try:
        result = check_acceptance(bundle, cell.artifact, cell.compute, cell.engine)
    except ClinicEdgeError as err:
        return str(err)
    return "" if result.passed else result.explain()


def _nothing(bundle: Bundle, rejected: tuple[Skipped, ...]) -> ClinicEdgeError:
    reasons = " | ".join(dict.fromkeys(f"{r.artifact}: {r.reason}" for r in rejected))
    only_missing = all(r.reason == "engine not installed" for r in rejected)
    kind = EngineMissingError if only_missing else AcceptanceError
    return kind(
        f"nothing in '{bundle.manifest.name}' can be chosen here ({reasons or 'no artifacts'}). "
        "Install an engine with pip install 'clinicedge[onnx]', or convert again."
    )


def _speed(samples: list[Sample]) -> float:
    return float(np.median([np.median(s.steady_ms) for s in samples]))


def _hopeful(samples: dict[Cell, list[Sample]]) -> tuple[Cell, ...]:
    """The cells whose best round comes near the best of all."""
    best = {c: min(float(np.median(s.steady_ms)) for s in taken) for c, taken in samples.items()}
    limit = HOPELESS * min(best.values(), default=0.0)
    return tuple(c for c in samples if best[c] <= limit)


def _winner(bundle: Bundle, samples: dict[Cell, list[Sample]]) -> Cell:
    speeds = {cell: _speed(taken) for cell, taken in samples.items()}
    limit = SAME_SPEED * min(speeds.values())
    near = [cell for cell in speeds if speeds[cell] <= limit]
    return min(near, key=lambda c: (c.threads, bundle.artifact(c.artifact).bytes, speeds[c]))


def _row(bundle: Bundle, cell: Cell, samples: list[Sample]) -> TuneRow:
    return TuneRow(
        artifact=cell.artifact,
        engine=cell.engine,
        compute=cell.compute,
        threads=cell.threads,
        decision_agreement=bundle.artifact(cell.artifact).parity.decision_agreement,
        p50_ms=round(_speed(samples), 4),
        round_p50_ms=tuple(round(float(np.median(s.steady_ms)), 4) for s in samples),
    )
