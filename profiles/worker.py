"""Measures one artifact in a fresh process: a JSON job on stdin, a JSON sample on stdout.

    python -m clinicedge.profiles.worker < job.json

Only numpy, the runtime and the one engine are imported, so that peak memory is theirs.
"""

import importlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar

from ..runtime.errors import ClinicEdgeError
from ..runtime.figures import Compute
from ..runtime.records import from_json, to_json

if TYPE_CHECKING:
    from ..runtime.predictions import SessionReport

# What importing an engine means; the import of an engine not listed here counts as loading.
MODULES = {
    "onnxruntime": ("onnxruntime",),
    "litert": ("ai_edge_litert.interpreter", "tflite_runtime.interpreter"),
    "openvino": ("openvino",),
}
EXIT_REFUSED = 2
T = TypeVar("T")


@dataclass(frozen=True)
class Job:
    """What to measure: up to `runs` runs within `seconds`, at least 5, after 3 unmeasured ones."""

    bundle: str
    artifact: str
    engine: str
    compute: Compute
    threads: int
    seconds: float
    runs: int


@dataclass(frozen=True)
class Sample:
    """What one fresh process saw.

    Attributes:
        import_ms: of the engine's package, numpy already there; 0 for engines not known here.
        load_ms: opening the session, files in the system's cache or not; of a pipeline, opening
            all its members with their acceptance remembered.
        first_ms, steady_ms: engine runs on one film-sized tensor, of a promptable model with one
            box; of a pipeline, answers to one film.
        rss_mb, peak_rss_mb: resident memory at the end and at its peak.
    """

    engine_version: str
    device: str
    compute: str
    threads: int
    import_ms: float
    load_ms: float
    first_ms: float
    steady_ms: tuple[float, ...]
    rss_mb: float
    peak_rss_mb: float


def measure(job: Job) -> Sample:
    """Import, open, run.

    Raises:
        ClinicEdgeError: the bundle or the engine cannot be opened.
    """
    import numpy as np

    from ..runtime.bundle import load
    from ..runtime.graphs import open_artifact
    from ..runtime.session import SessionOptions
    from ..runtime.spec import BOX

    bundle = load(job.bundle)
    start = time.perf_counter()
    import_engine(job.engine)
    imported = time.perf_counter()
    options = SessionOptions(compute=job.compute, threads=job.threads)
    session = open_artifact(bundle.files(job.artifact), options, job.engine)
    loaded = time.perf_counter()
    draw = np.random.default_rng(0)
    feed = {t.name: draw.uniform(-1, 1, t.shape).astype(np.float32) for t in session.inputs}
    if BOX in feed:
        feed[BOX] = np.array([[8.0, 8.0, 24.0, 24.0]], np.float32)
    runs = timed_runs(lambda: session.run(feed), job.seconds, job.runs)
    return sampled(session.report, (start, imported, loaded), runs)


def sampled(
    report: "SessionReport",
    seconds: tuple[float, float, float],
    runs: tuple[float, tuple[float, ...]],
) -> Sample:
    """The sample of this process.

    Args:
        seconds: when it began, had the engine's package, and was open.
        runs: of `timed_runs`.
    """
    from .machine import own_memory_mb

    start, imported, loaded = seconds
    return Sample(
        engine_version=report.engine_version,
        device=report.device,
        compute=report.compute,
        threads=report.threads,
        import_ms=(imported - start) * 1e3,
        load_ms=(loaded - imported) * 1e3,
        first_ms=runs[0],
        steady_ms=runs[1],
        rss_mb=own_memory_mb("VmRSS"),
        peak_rss_mb=own_memory_mb("VmHWM"),
    )


def import_engine(name: str) -> None:
    """Import the package of the engine of that name, where it is known and installed."""
    for module in MODULES.get(name, ()):
        if find_spec(module.partition(".")[0]) is not None:
            importlib.import_module(module)
            return


def timed_runs(
    run: Callable[[], object], seconds: float, runs: int
) -> tuple[float, tuple[float, ...]]:
    """Milliseconds of the first run and of the steady ones.

    Args:
        seconds, runs: at most; at least 5 steady runs are made, after 3 unmeasured ones.
    """
    start = time.perf_counter()
    run()
    first = (time.perf_counter() - start) * 1e3
    for _ in range(3):
        run()
    steady: list[float] = []
    end = time.perf_counter() + seconds
    while len(steady) < runs and (len(steady) < 5 or time.perf_counter() < end):
        start = time.perf_counter()
        run()
        steady.append((time.perf_counter() - start) * 1e3)
    return first, tuple(steady)


def serve_job(
    kind: type[T],
    do: Callable[[T], Any],
    refusals: tuple[type[Exception], ...] = (ClinicEdgeError,),
) -> None:
    """Read one job on stdin, print the record that `do` makes of it.

    One of `refusals` becomes one sentence on stderr and exit code 2.
    """
    try:
        job = from_json(kind, json.load(sys.stdin), "job")
        print(json.dumps(to_json(do(job))))
    except refusals as err:
        print(err, file=sys.stderr)
        sys.exit(EXIT_REFUSED)


if __name__ == "__main__":
    serve_job(Job, measure)
