"""Every model x format x precision: made, measured, and said why where it cannot be."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from ..models import zoo
from ..profiles.evaluate import evaluate
from ..profiles.evaluation import EvaluationReport, Question
from ..profiles.film_identity import folder_sha256
from ..profiles.known_lungs import LungMemory
from ..profiles.machine import room, this_machine
from ..profiles.measure import Cell as MeasuredCell
from ..profiles.measure import sample
from ..runtime.bundle import Bundle, read_bundle
from ..runtime.engines import engine_for, require
from ..runtime.errors import (
    ClinicEdgeError,
    OutputError,
    UnknownModelError,
    WeightsMissingError,
)
from ..runtime.manifest import Artifact
from .cache import WorkCache, key_of
from .conversion import check_request
from .data_choice import fitting
from .matrix_cells import empty_row, model_row, pipeline_row, with_evaluation
from .matrix_records import MATRIX_SCHEMA, Matrix, Row
from .options import Conversion, ConvertOptions, Progress
from .pipelines import ZooConverter, default_names, is_pipeline, members_of
from .recipes import Recipe
from .steps import CACHE

# Fresh processes an artifact, and how long each runs at most.
ROUNDS = 3
SECONDS = 0.4
RUNS = 100
# Steps of the bar that one model takes.
_STEPS = 100
# In the cache folder: where the lungs of the test films are.
_LUNGS = "lungs"
Keep = Callable[[Matrix], object]


@dataclass(frozen=True)
class Wish:
    """What the matrix should hold.

    Attributes:
        names: models and pipelines of the zoo.
        options: of every conversion; an artifact that fails is always left out and said.
        threads: of each session whose latency is measured; 0 measures none.
        tests: also evaluate on the test parts of the data folders.
        words: of the command line that makes it again.
    """

    names: tuple[str, ...]
    options: ConvertOptions
    threads: int = 2
    tests: bool = False
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Latency:
    median_ms: float


def chosen_names(patterns: Sequence[str], plain: bool) -> tuple[str, ...]:
    """Names of the zoo that fit one of the patterns; without patterns all.

    Args:
        plain: also chest classifiers on whole films, beside their default form on lungs.

    Raises:
        UnknownModelError: nothing fits.
    """
    names = (*default_names(), *(zoo.chest_names() if plain else ()))
    found = tuple(
        n for n in names if not patterns or any(fnmatchcase(n, pattern) for pattern in patterns)
    )
    if not found:
        raise UnknownModelError(
            f"no model fits {', '.join(map(repr, patterns))}; expected patterns of "
            f"{', '.join(names)}."
        )
    return found


def make_matrix(wish: Wish, progress: Progress, keep: Keep = lambda _: None) -> Matrix:
    """Convert and measure; what was finished in an earlier run is reused.

    Args:
        keep: is given the matrix so far after each name, so that a stopped run leaves its report.

    Raises:
        ConversionError: an unknown format or precision, or a converter is not installed.
        OutputError: the folder of bundles cannot be written.
    """
    return _Work(wish, progress).run(keep)


class _Work:
    """One matrix."""

    def __init__(self, wish: Wish, progress: Progress) -> None:
        options = replace(wish.options, keep_going=True)
        self._wish, self._options = wish, options
        self._recipes: tuple[Recipe, ...] = check_request(options)
        self._converter = ZooConverter(options)
        self._cache = WorkCache(options.out / CACHE, options.force)
        self._lungs = LungMemory(options.out / CACHE / _LUNGS, fresh=options.force)
        self._folders: dict[Path, str] = {}
        self._progress = progress
        self._rows: dict[str, Row] = {}
        self._machine, self._load = this_machine(), room(options.out).load

    def run(self, keep: Keep) -> Matrix:
        names = self._wish.names
        for number, name in enumerate(names):
            self._one(number, name)
            keep(self._matrix(names[number + 1 :]))
        total = len(names) * _STEPS
        self._progress("done", total, total)
        return self._matrix(())

    def _matrix(self, pending: tuple[str, ...]) -> Matrix:
        return Matrix(
            schema=MATRIX_SCHEMA,
            command=shlex.join(self._wish.words),
            date=datetime.now(UTC).isoformat(timespec="seconds"),
            machine=self._machine,
            threads=self._wish.threads,
            load=self._load,
            rows=tuple(sorted(self._rows.values(), key=lambda row: row.kind != "pipeline")),
            pending=pending,
        )

    def _one(self, number: int, name: str) -> None:
        total = len(self._wish.names) * _STEPS

        def told(what: str, step: int, steps: int) -> None:
            done = number * _STEPS + _STEPS * step // max(steps, 1)
            words = what if what.startswith(name) else f"{name}: {what}"
            self._progress(words, done, total)

        try:
            done = self._converter.convert(name, told)
        except OutputError:
            raise
        except WeightsMissingError as err:
            self._rows[name] = empty_row(name, self._recipes, "missing", _no_weights(name, err))
        except ClinicEdgeError as err:
            self._rows[name] = empty_row(name, self._recipes, "failed", str(err))
        else:
            self._measure(done)

    def _measure(self, done: Conversion) -> None:
        for model in done.models:
            if model.manifest.name not in self._rows:
                times = self._latencies(model)
                self._rows[model.manifest.name] = model_row(model, self._recipes, times)
        name = done.manifest.name
        if done.members:
            self._rows[name] = pipeline_row(done, self._rows)
        if self._wish.tests:
            self._rows[name] = self._evaluated(done, self._rows[name])

    def _latencies(self, done: Conversion) -> dict[tuple[str, str], float | str]:
        """Milliseconds of every artifact, or why there are none."""
        found: dict[tuple[str, str], float | str] = {}
        bundle = read_bundle(done.folder)
        for artifact in done.manifest.artifacts if self._wish.threads else ():
            key = (done.manifest.name, artifact.id)
            try:
                found[key] = self._latency(bundle, artifact)
            except ClinicEdgeError as err:
                found[key] = str(err)
        return found

    def _latency(self, bundle: Bundle, artifact: Artifact) -> float:
        engine = engine_for(artifact.format)
        version = require(engine).version() or ""
        cell = MeasuredCell(artifact.id, engine, artifact.computes[0], self._wish.threads)
        plan = (ROUNDS, SECONDS, RUNS)
        key = key_of("latency", artifact.sha256, version, this_machine().id, cell.threads, plan)

        def work() -> _Latency:
            rounds = [sample(bundle, cell, SECONDS, RUNS).steady_ms for _ in range(ROUNDS)]
            return _Latency(round(float(np.median(np.concatenate(rounds))), 4))

        step = f"latency {bundle.manifest.name} {artifact.id}"
        return self._cache.record(step, key, _Latency, work).median_ms

    def _evaluated(self, done: Conversion, row: Row) -> Row:
        """With the test parts of the data that the deciding model was trained on."""
        bundle = read_bundle(done.folder)
        data = self._data(done)
        if data is None:
            return replace(row, notes=(*row.notes, "not evaluated: no data folder fits"))
        question = Question(threads=self._wish.threads)

        def work() -> EvaluationReport:
            return evaluate(bundle, data, question, lambda *_: None, self._lungs)

        try:
            key = key_of("evaluate", bundle.id, self._read(data), question, this_machine().id)
            report = self._cache.record(f"evaluate {row.name}", key, EvaluationReport, work)
        except ClinicEdgeError as err:
            return replace(row, notes=(*row.notes, f"not evaluated: {err}"))
        return with_evaluation(row, report)

    def _read(self, data: Path) -> tuple[str, str]:
        """A data folder's name and SHA-256; each is read once a run."""
        if data not in self._folders:
            self._folders[data] = folder_sha256(data)
        return data.resolve().name, self._folders[data]

    def _data(self, done: Conversion) -> Path | None:
        deciding = members_of(done.manifest.name)[-1 if is_pipeline(done.manifest.name) else 0]
        return self._options.data or fitting(zoo.spec(deciding), None, self._options.folders)


def _no_weights(name: str, err: WeightsMissingError) -> str:
    """Without the folders that were looked in: a report goes to other machines."""
    members = members_of(name)
    theirs = next((m for m in members if zoo.needs_user_weights(m)), None)
    if theirs is not None:
        return (
            f"no reference weights: '{theirs}' is a spec for your own checkpoint. Bring it: "
            f"clinicedge convert CHECKPOINT --model {theirs}."
        )
    missing = next((m for m in members if f"'{m}'" in str(err)), members[-1])
    return (
        f"no reference weights for '{missing}' here. Train it: clinicedge train {missing} --data "
        f"DIR; or bring your checkpoint: clinicedge convert CHECKPOINT --model {missing}."
    )
