"""Measures a whole predictor in a fresh process: a JSON job on stdin, a JSON sample on stdout.

    python -m clinicedge.profiles.film_worker < job.json

A decoded film goes in and the answer comes out: resizing, every network and what lies between
them. Only the runtime and the one engine are imported, so that peak memory is theirs.
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path

from ..runtime.boxes import Boxes
from .worker import Sample, import_engine, sampled, serve_job, timed_runs


@dataclass(frozen=True)
class FilmJob:
    """What to measure: `predict` of a bundle on the film in a file; otherwise as `worker.Job`.

    `boxes`: x0 y0 x1 y1 on the film, of a promptable model what it is asked with.
    """

    bundle: str
    film: str
    engine: str
    precision: str
    threads: int
    seconds: float
    runs: int
    boxes: Boxes = ()


def measure(job: FilmJob) -> Sample:
    """Import, open, answer.

    Raises:
        ClinicEdgeError: the bundle, the engine or the film cannot be opened, or the film gets no
            answer.
    """
    from ..runtime.bundle import load
    from ..runtime.images import read_film

    bundle = load(job.bundle)
    film = read_film(Path(job.film))
    start = time.perf_counter()
    import_engine(job.engine)
    imported = time.perf_counter()
    predictor = bundle.predictor(job.engine, job.precision, job.threads)
    loaded = time.perf_counter()
    # A new film each time: what was found on the film before must not be taken again.
    runs = timed_runs(lambda: predictor.predict(replace(film), job.boxes), job.seconds, job.runs)
    return sampled(predictor.report.session, (start, imported, loaded), runs)


if __name__ == "__main__":
    serve_job(FilmJob, measure)
