"""Times a lesion pipeline in a fresh process: a JSON job on stdin, a JSON answer on stdout.

    python benchmarks/_speed_worker.py < job.json

Opened without acceptance films: values are random and nobody may take the answer for one. Only the
runtime and the one engine are imported, so that peak memory is theirs.
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from clinicedge.profiles.worker import Sample, import_engine, sampled, serve_job, timed_runs
from clinicedge.runtime.bundle import Bundle, load
from clinicedge.runtime.detector import Detector
from clinicedge.runtime.errors import ArtifactError
from clinicedge.runtime.figures import Compute
from clinicedge.runtime.graphs import Answers, Embedding, TwoGraphs, open_artifact
from clinicedge.runtime.images import read_film
from clinicedge.runtime.lesions import Lesions
from clinicedge.runtime.promptable import PromptableSegmenter
from clinicedge.runtime.session import Session, SessionOptions

# Half axes of the lesion, as shares of the film's width and height.
ELLIPSE = (0.1, 0.12)


@dataclass(frozen=True)
class SpeedJob:
    """One artifact of both members on a film; `seconds` and `runs` as in `Rounds`."""

    bundle: str
    artifact: str
    engine: str
    film: str
    threads: int
    seconds: float
    runs: int


@dataclass(frozen=True)
class SpeedSample:
    """What one process saw; `networks_ms`: of an answer what the engine took, its median.

    `drawn`: share of the film inside the one lesion.
    """

    sample: Sample
    networks_ms: float
    drawn: float


def measure(job: SpeedJob) -> SpeedSample:
    """Import, open, answer.

    Raises:
        ClinicEdgeError: bundle, engine or film cannot be opened, or not one lesion was found.
    """
    bundle = load(job.bundle)
    film = read_film(Path(job.film))
    start = time.perf_counter()
    import_engine(job.engine)
    imported = time.perf_counter()
    pipeline = opened(bundle, job)
    loaded = time.perf_counter()
    spent: list[float] = []

    def once() -> None:
        # A new film each time: what was found on the film before must not be taken again.
        spent.append(pipeline.predict(replace(film)).timing.inference_ms)

    runs = timed_runs(once, job.seconds, job.runs)
    answer = pipeline.predict(film)
    if len(answer.lesions) != 1:
        raise ArtifactError(f"{len(answer.lesions)} lesions were found, expected 1.")
    report = pipeline.report.session
    return SpeedSample(
        sampled(report, (start, imported, loaded), runs),
        median(spent[-len(runs[1]) :]),
        float(answer.mask.mean()),
    )


def opened(bundle: Bundle, job: SpeedJob) -> Lesions:
    """The pipeline with that artifact of both members.

    Raises:
        ClinicEdgeError: the engine cannot open one.
    """
    detector, segmenter = (inner for _, inner in bundle.members())
    return Lesions(
        bundle,
        Detector(detector, job.artifact, *_session(detector, job)),
        PromptableSegmenter(segmenter, job.artifact, *_session(segmenter, job)),
    )


def _session(bundle: Bundle, job: SpeedJob) -> tuple[Compute, Session]:
    compute = bundle.artifact(job.artifact).computes[0]
    options = SessionOptions(compute, job.threads)
    session = open_artifact(bundle.files(job.artifact), options, job.engine)
    if isinstance(session, TwoGraphs):
        _draw_an_ellipse(session, bundle)
    return compute, session


def _draw_an_ellipse(session: TwoGraphs, bundle: Bundle) -> None:
    """The decoder runs, and its mask is put aside for one as a lesion looks: random values draw
    thousands of specks, and to outline those takes longer than both networks."""
    mask = next(o for o in bundle.manifest.outputs if o.meaning == "mask")
    _, height, width = mask.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    far = np.hypot((x / width - 0.5) / ELLIPSE[0], (y / height - 0.5) / ELLIPSE[1])
    drawn = (8.0 * (1.0 - far)).astype(np.float32)[None, None]
    decode = session.decode

    def outlined(film: Embedding, box: NDArray[np.float32]) -> Answers:
        return {**decode(film, box), mask.name: drawn}

    session.decode = outlined  # type: ignore[method-assign]


if __name__ == "__main__":
    serve_job(SpeedJob, measure)
