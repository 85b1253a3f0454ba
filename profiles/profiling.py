"""What a bundle costs on this machine: each artifact alone, and a pipeline as a whole."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..runtime.bundle import Bundle
from ..runtime.errors import EngineError
from .costs import LATENCY_SCHEMA, Cost, CostReport, MemberCosts, cost, put_together
from .devices import Budget, DeviceProfile
from .inner_models import InnerModel, inner_models
from .machine import room, this_machine
from .measure import Cell, Progress, Rounds, Skipped, cells, interleave, sample
from .whole import Whole, film_file, sample_whole, wholes
from .worker import Sample


@dataclass(frozen=True, eq=False)
class _Probe:
    """Something to measure. Hashed by identity: two models may have cells that are alike."""

    name: str
    take: Callable[[], Sample]


class _Taken:
    """The samples of each probe; a probe that failed once is left alone."""

    def __init__(self) -> None:
        self.samples: dict[_Probe, list[Sample]] = {}
        self.failed: dict[_Probe, str] = {}

    def ask(self, probe: _Probe, _round: int) -> None:
        if probe in self.failed:
            return
        try:
            self.samples.setdefault(probe, []).append(probe.take())
        except EngineError as err:
            self.failed[probe] = str(err)


def measure_bundle(
    bundle: Bundle,
    profile: DeviceProfile,
    threads: int,
    plan: Rounds,
    progress: Progress,
    film: Path | None = None,
) -> CostReport:
    """Measure every engine x artifact of a bundle on this machine.

    Of a pipeline, those of every model in it, and the whole from film to answer in every engine
    and precision; the budget is for the whole. All rounds are interleaved.

    Args:
        threads: of each session; 0 takes the usable cores, at most the profile's threads.
        film: file of the film that a pipeline is measured with; None takes a phantom.

    Raises:
        SchemaError: the bundle's records are damaged.
        ArtifactError, IntegrityError: a pipeline's member is missing or was exchanged.
        FilmError: `film` cannot be read.
    """
    machine, load = this_machine(), room(bundle.folder).load
    count = threads or min(machine.cores, profile.threads)
    models = [_Model(m, count, machine.bf16, plan) for m in inner_models(bundle)]
    run = _Run(plan, profile.budget, progress)
    one = bundle.manifest.kind == "model"
    found = _model(models[0], run) if one else _pipeline(bundle, models, count, film, run)
    return CostReport(
        schema=LATENCY_SCHEMA,
        model=bundle.manifest.name,
        bundle_id=bundle.id,
        device=profile.name,
        machine=machine,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        load=load,
        costs=found.costs,
        skipped=found.skipped,
        members=found.members,
        film=found.film,
    )


@dataclass(frozen=True)
class _Run:
    plan: Rounds
    budget: Budget
    progress: Progress

    def take(self, probes: Sequence[_Probe]) -> _Taken:
        taken = _Taken()
        interleave(probes, self.plan.rounds, taken.ask, self.progress)
        return taken


@dataclass(frozen=True)
class _Found:
    """Fields as in `CostReport`."""

    costs: tuple[Cost, ...]
    skipped: tuple[Skipped, ...]
    members: tuple[MemberCosts, ...] = ()
    film: str = ""


def _model(model: "_Model", run: _Run) -> _Found:
    alone = model.costs(run.take([probe for _, probe in model.probes]), run.budget)
    return _Found(alone.costs, alone.skipped)


def _pipeline(
    bundle: Bundle, models: Sequence["_Model"], threads: int, film: Path | None, run: _Run
) -> _Found:
    with film_file(film) as (path, words):
        found, skipped = wholes(bundle, threads, path)
        whole = [(w, _whole_probe(bundle, w, path, run.plan)) for w in found]
        inner = [probe for model in models for _, probe in model.probes]
        taken = run.take([*inner, *(probe for _, probe in whole)])
    failed = tuple(
        Skipped(what.measured.artifact, what.engine, taken.failed[probe])
        for what, probe in whole
        if probe in taken.failed
    )
    costs = tuple(
        put_together(what.measured, taken.samples[probe], run.budget)
        for what, probe in whole
        if probe not in taken.failed
    )
    # The budget is for the whole.
    members = tuple(model.costs(taken, None) for model in models)
    return _Found(costs, (*skipped, *failed), members, words)


class _Model:
    """A model's cells, and what they cost when all was taken."""

    def __init__(self, inner: InnerModel, threads: int, bf16: bool, plan: Rounds) -> None:
        self._inner = inner
        wanted, self._skipped = cells(inner.bundle, (threads,), bf16=bf16)
        self.probes = [(cell, self._probe(cell, plan)) for cell in wanted]

    def _probe(self, cell: Cell, plan: Rounds) -> _Probe:
        bundle = self._inner.bundle
        name = ": ".join(filter(None, (self._inner.where, cell.name)))
        return _Probe(name, lambda: sample(bundle, cell, plan.seconds, plan.runs))

    def costs(self, taken: _Taken, budget: Budget | None) -> MemberCosts:
        bundle = self._inner.bundle
        failed = tuple(
            Skipped(cell.artifact, cell.engine, taken.failed[probe])
            for cell, probe in self.probes
            if probe in taken.failed
        )
        return MemberCosts(
            paths=self._inner.paths,
            model=bundle.manifest.name,
            bundle_id=bundle.id,
            costs=tuple(
                cost(bundle, cell, taken.samples[probe], budget)
                for cell, probe in self.probes
                if probe not in taken.failed
            ),
            skipped=(*self._skipped, *failed),
        )


def _whole_probe(bundle: Bundle, whole: Whole, film: Path, plan: Rounds) -> _Probe:
    return _Probe(whole.name, lambda: sample_whole(bundle, whole, film, plan))
