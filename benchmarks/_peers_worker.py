"""Builds or times one peer in a fresh process: a JSON job on stdin, a JSON answer on stdout.

    python benchmarks/_peers_worker.py < job.json

To time one only numpy, Pillow, ONNX Runtime and the film's reader are imported, so that peak
memory is theirs; torch and the peer's library are imported to build it alone.
"""

import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from _peers_common import PeerError, Wish
from _peers_rooms import PEERS

from clinicedge.profiles.worker import Sample, import_engine, sampled, serve_job, timed_runs
from clinicedge.runtime.errors import ClinicEdgeError
from clinicedge.runtime.images import read_film
from clinicedge.runtime.predictions import SessionReport


@dataclass(frozen=True)
class PeerJob:
    """What to do with a peer: build it into `folder`, or time what lies there.

    Attributes:
        weights: a checkpoint to build it with; "" takes random values.
        height, width: of the films that it is built for.
        film: what it is timed on; "" where it is built.
        box: x0 y0 x1 y1 on that film.
        seconds, runs: as in `Rounds`.
    """

    peer: str
    folder: str
    weights: str = ""
    height: int = 0
    width: int = 0
    film: str = ""
    box: tuple[float, ...] = ()
    threads: int = 0
    seconds: float = 0.0
    runs: int = 0


def done(job: PeerJob) -> Sample | dict[str, str]:
    """Time what lies there, or build it."""
    if job.film:
        return timed(job)
    build(job)
    return {"built": job.peer}


def build(job: PeerJob) -> None:
    """Write the peer's ONNX files.

    Raises:
        PeerError: it cannot be built.
    """
    weights = Path(job.weights) if job.weights else None
    PEERS[job.peer].export(Wish(Path(job.folder), weights, (job.height, job.width)))


def timed(job: PeerJob) -> Sample:
    """From the decoded film to the mask.

    Raises:
        ClinicEdgeError: the film cannot be read.
        PeerError: the peer does not answer.
    """
    film = read_film(Path(job.film))
    start = time.perf_counter()
    import_engine("onnxruntime")
    imported = time.perf_counter()
    opened = PEERS[job.peer].open(Path(job.folder), job.threads)
    loaded = time.perf_counter()
    runs = timed_runs(lambda: opened.predict(film.pixels, (job.box,)), job.seconds, job.runs)
    version = f"onnxruntime {metadata.version('onnxruntime')}"
    report = SessionReport("onnxruntime", version, "CPU", "f32", job.threads)
    return sampled(report, (start, imported, loaded), runs)


if __name__ == "__main__":
    serve_job(PeerJob, done, (PeerError, ClinicEdgeError))
