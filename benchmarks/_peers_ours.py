"""Rows of our own bundles."""

from dataclasses import replace
from functools import partial

from _peers_films import figures_of_ours
from _peers_plan import Entry, Plan, judged, progress
from _peers_table import Row

from clinicedge.profiles.evaluate_parts import UNKNOWN
from clinicedge.profiles.film_worker import FilmJob
from clinicedge.profiles.inner_models import inner_models
from clinicedge.profiles.measure import ask_worker
from clinicedge.runtime import Film, Predictor
from clinicedge.runtime.boxes import Boxes
from clinicedge.runtime.bundle import Bundle
from clinicedge.runtime.errors import ClinicEdgeError
from clinicedge.runtime.images import read_film
from clinicedge.runtime.manifest import Provenance
from clinicedge.runtime.predictions import Segmentation


def ours(bundle: Bundle, precision: str, plan: Plan) -> Entry:
    """A bundle of ours in one precision."""
    manifest = bundle.manifest
    models = inner_models(bundle)
    sides = [m.bundle.manifest.input for m in models]
    papers = [m.bundle.manifest.provenance for m in models]
    asked = manifest.task == "promptable-segmentation"
    boxes = (plan.film.box,) if asked else ()
    row = Row(
        model=f"{manifest.name} {precision.upper()}",
        prompt="a box" if asked else "none",
        weights=" + ".join(dict.fromkeys(trained_on(p) for p in papers)),
        input=" + ".join(f"{s.width}" for s in sides if s),
    )
    try:
        predictor = bundle.predictor(plan.engine, precision, plan.threads)
        film = read_film(plan.film.path, predictor.input.dicom.voi)
        row = replace(row, size_mb=size_of(predictor)).noted(found_on(predictor, film, boxes))
    except ClinicEdgeError as err:
        return Entry(row.noted(f"cannot run: {err}"))
    if plan.held is not None:
        row = judged(row, partial(figures_of_ours, bundle, predictor, plan.held, progress))
    job = FilmJob(
        bundle=str(bundle.folder.resolve()),
        film=str(plan.film.path.resolve()),
        engine=plan.engine,
        precision=precision,
        threads=plan.threads,
        seconds=plan.rounds.seconds,
        runs=plan.rounds.runs,
        boxes=boxes,
    )
    return Entry(row, partial(ask_worker, "film_worker", job, row.model))


def trained_on(paper: Provenance | None) -> str:
    """The data that trained a model, without its counts."""
    return UNKNOWN if paper is None else paper.training_data.partition(":")[0]


def size_of(predictor: Predictor) -> float:
    """MB of the artifacts that answer, each once."""
    artifacts = {}
    waiting = [predictor]
    while waiting:
        one = waiting.pop()
        waiting += [part.predictor for part in one.parts]
        if not one.parts:
            artifact = one.bundle.artifact(one.report.artifact)
            artifacts[artifact.sha256] = artifact.bytes
    return sum(artifacts.values()) / 1e6


def found_on(predictor: Predictor, film: Film, boxes: Boxes) -> str:
    """How many boxes the timed answer outlines: each takes time, and without any a pipeline skips
    its segmenter."""
    answer = predictor.predict(film, boxes)
    if not isinstance(answer, Segmentation):
        return "answers without a mask"
    count = len(answer.lesions)
    counted = f"{count} box{'es' * (count != 1)}"
    if boxes:
        return f"timed with {counted}"
    if predictor.bundle.manifest.kind == "model":
        return f"lesions on the timed film: {count}"
    return f"timed with {counted} that it found{', so its segmenter was not run' * (not count)}"
