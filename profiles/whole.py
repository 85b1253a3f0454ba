"""A whole pipeline in one engine and precision: opened once here, measured in fresh processes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

from ..runtime import phantom
from ..runtime.bundle import Bundle
from ..runtime.engines import engines
from ..runtime.errors import ClinicEdgeError
from ..runtime.film import Film
from ..runtime.images import read_film
from ..runtime.manifest import Precision
from ..runtime.predictor import Predictor
from .costs import Measured
from .film_worker import FilmJob
from .measure import Rounds, Skipped, ask_worker
from .worker import Sample

# Near the size of a digital film of a small child; a shadow, so that a cascade goes on.
PHANTOM = phantom.Phantom(seed=3, height=1024, width=1024, opacity=0.6, noise=5.0)


@dataclass(frozen=True)
class Whole:
    """A pipeline whose members all run in one engine and precision."""

    engine: str
    precision: Precision
    threads: int
    measured: Measured

    @property
    def name(self) -> str:
        """For a progress line."""
        what = self.measured.artifact
        return f"whole pipeline, {what} in {self.engine}, {self.threads} threads"


@contextmanager
def film_file(own: Path | None) -> Iterator[tuple[Path, str]]:
    """The file of a film to measure with, and what it is in words: `own`, or else a phantom.

    Raises:
        FilmError: `own` cannot be read.
    """
    if own is not None:
        height, width = read_film(own).pixels.shape
        yield own, f"own film, {height} x {width} pixels"
        return
    with TemporaryDirectory() as folder:
        path = Path(folder) / "phantom.png"
        path.write_bytes(phantom.encode_png(phantom.draw(PHANTOM)))
        yield path, f"phantom film, {PHANTOM.height} x {PHANTOM.width} pixels"


def wholes(
    bundle: Bundle, threads: int, film: Path
) -> tuple[tuple[Whole, ...], tuple[Skipped, ...]]:
    """Every engine x precision in which the pipeline answers the film here; and the rest.

    Each is opened here once: its acceptance is remembered then, and no process measured later
    spends time or memory on it.

    Raises:
        ArtifactError, IntegrityError, SchemaError: as `Bundle.models`.
        FilmError: the film cannot be read.
    """
    seen = read_film(film)
    found: list[Whole] = []
    skipped: list[Skipped] = []
    for name, engine in engines().items():
        for precision in get_args(Precision):
            if not _any_has(bundle, engine.formats, precision):
                continue
            if engine.version() is None:
                skipped.append(Skipped(precision, name, "engine not installed"))
                continue
            try:
                predictor = bundle.predictor(name, precision, threads)
                what = _measured(bundle, predictor, precision, seen)
            except ClinicEdgeError as err:
                skipped.append(Skipped(precision, name, str(err)))
            else:
                found.append(Whole(name, precision, threads, what))
    return tuple(found), tuple(skipped)


def sample_whole(bundle: Bundle, whole: Whole, film: Path, plan: Rounds) -> Sample:
    """Measure one in a fresh process.

    Raises:
        EngineError: the process failed; the message has its last words.
    """
    job = FilmJob(
        bundle=str(bundle.folder.resolve()),
        film=str(film.resolve()),
        engine=whole.engine,
        precision=whole.precision,
        threads=whole.threads,
        seconds=plan.seconds,
        runs=plan.runs,
    )
    return ask_worker("film_worker", job, whole.name)


def _any_has(bundle: Bundle, formats: tuple[str, ...], precision: str) -> bool:
    """Whether a model inside has it; that another has not is worth saying."""
    return any(
        artifact.format in formats
        and artifact.recipe == model.manifest.defaults.get(precision, precision)
        for _, model in bundle.models()
        for artifact in model.manifest.artifacts
    )


def _measured(bundle: Bundle, predictor: Predictor, precision: Precision, film: Film) -> Measured:
    answer = predictor.predict(film)
    report = predictor.report
    models = {path for path, _ in bundle.models()}
    artifacts = {(m.bundle.id, m.report.artifact): m for m in _models(predictor)}
    return Measured(
        artifact=report.artifact,
        artifact_sha256=report.artifact_sha256,
        precision=precision,
        engine=report.session.engine,
        validated=True,
        bytes=sum(m.bundle.artifact(m.report.artifact).bytes for m in artifacts.values()),
        ran=tuple(m.role for m in answer.members if m.role in models),
    )


def _models(predictor: Predictor) -> Iterator[Predictor]:
    if not predictor.parts:
        yield predictor
    for part in predictor.parts:
        yield from _models(part.predictor)
