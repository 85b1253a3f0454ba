"""The shortcut audit of a bundle on a data folder, with true lung masks or a lung network's."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import numpy as np

from ..runtime.bundle import Bundle
from ..runtime.cascade import Cascade
from ..runtime.ensemble import Ensemble
from ..runtime.errors import ArtifactError, DataError, NoLungsError
from ..runtime.files import write_atomic
from ..runtime.film import Film, FilmSource
from ..runtime.heat_maps import on_film
from ..runtime.images import read_film
from ..runtime.lungs import crop
from ..runtime.on_lungs import OnLungs
from ..runtime.pipeline import CropPredictor
from ..runtime.predictions import Classification, Prediction
from ..runtime.predictor import Predictor
from ..runtime.records import dump_bytes
from .answers import answer_of, film_input, variants
from .datasets import Dataset, read_dataset
from .evaluate_parts import choose_parts, refuse_used_films
from .evaluation import Question, Ran, Wanted
from .hiding import Pixels
from .lung_masks import LungMasks
from .machine import Machine, this_machine
from .measure import Progress
from .shortcut_audit import FILL, AuditFigures, AuditFilm, Peak, Prepare, Scorer, audit_prepared

SCHEMA = 1
WHOLE = "each hidden film is given to the network as it is"
CROPPED = (
    "lungs are found on the film as it is; every hidden view is cropped to that same box and given "
    "to the classifier, so that the gate, which would refuse hidden lungs, is passed by"
)


@dataclass(frozen=True)
class PartAudit:
    """One part of the data. `without_lungs`: films left out for want of lungs to hide."""

    part: Wanted
    without_lungs: int
    figures: AuditFigures


@dataclass(frozen=True)
class AuditReport:
    """What a bundle's artifact tells from outside the lungs. `lungs`: whose masks were used;
    `fill`: what hides; `how`: what the network was given."""

    schema: int
    model: str
    bundle_id: str
    ran: Ran
    data: str
    lungs: str
    fill: str
    how: str
    machine: Machine
    date: str
    parts: tuple[PartAudit, ...]


def audit_bundle(
    bundle: Bundle, data: Path, question: Question, lungs: LungMasks, progress: Progress
) -> AuditReport:
    """Audit one artifact: the first asked for, else ONNX FP32, else the first.

    Raises:
        ArtifactError: the bundle gives no two-label answer.
        DataError: no film of a part has a lung mask.
        DataManifestError, OverlapError, FilmError: as `evaluate`.
    """
    answer = answer_of(bundle)
    if answer.kind not in ("classification", "cascade"):
        raise ArtifactError(
            f"'{bundle.manifest.name}' gives {answer.kind}; the shortcut audit needs one score a "
            "film. Audit a two-label classifier or a pipeline with one."
        )
    film_input(bundle)
    dataset = read_dataset(data, answer.labels)
    chosen = choose_parts(bundle, dataset, question)
    refuse_used_films(bundle, chosen)
    predictor, ran = _opened(bundle, question)
    parts = [
        _part(part, films, predictor, (answer.positive_label or "", lungs), progress)
        for part, films in chosen.items()
    ]
    return AuditReport(
        schema=SCHEMA,
        model=bundle.manifest.name,
        bundle_id=bundle.id,
        ran=ran,
        data=dataset.name,
        lungs=lungs.source,
        fill=FILL,
        how=CROPPED if _crops(predictor) else WHOLE,
        machine=this_machine(),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        parts=tuple(parts),
    )


def _opened(bundle: Bundle, question: Question) -> tuple[Predictor, Ran]:
    """The artifact that is audited."""
    names, _ = variants(bundle, question.artifacts)
    name = min(names, key=lambda n: (n != "onnx/fp32" and not question.artifacts, names.index(n)))
    predictor = bundle.predictor(precision=name, threads=question.threads)
    report, session = predictor.report, predictor.report.session
    return predictor, Ran(name, report.artifact_sha256, session.engine_version, session.compute)


def keep_audit(bundle: Bundle, report: AuditReport) -> Path:
    """Store the report in the bundle's measurements.

    Raises:
        OutputError: the folder cannot be written.
    """
    name = f"{report.ran.artifact_sha256}-shortcut-audit.json"
    path = bundle.folder / "measurements" / name
    write_atomic(path, dump_bytes(report))
    return path


def _part(
    part: Wanted,
    data: Dataset,
    predictor: Predictor,
    how: tuple[str, LungMasks],
    progress: Progress,
) -> PartAudit:
    positive, lungs = how
    missing = []

    def films() -> Iterator[AuditFilm]:
        for number, film in enumerate(data.films):
            progress(number, len(data.films), f"hiding lungs, {part}")
            read = read_film(film.path, predictor.input.dicom.voi)
            mask = lungs.mask(film.path, read)
            if mask is None:
                missing.append(film)
                continue
            yield AuditFilm(read.pixels, mask, film.label == positive, film.patient_key)

    try:
        figures = audit_prepared(views_of(predictor), films(), peak_of(predictor))
    except DataError as err:
        raise DataError(f"part '{part}', lungs from {lungs.source}: {err}") from err
    return PartAudit(part, len(missing), figures)


def views_of(predictor: Predictor) -> Prepare:
    """How a predictor scores the views of a film; NaN where it gives the film no score.

    Raises:
        ArtifactError: it gives no two-label answer.
    """
    if isinstance(predictor, Cascade):
        return views_of(next(p.predictor for p in predictor.parts if p.role == "first"))
    if isinstance(predictor, Ensemble):
        members = [views_of(part.predictor) for part in predictor.parts]
        return lambda pixels: _mean([prepare(pixels) for prepare in members])
    if isinstance(predictor, OnLungs):
        return lambda pixels: _on_crop(predictor, pixels)
    return lambda _: lambda view: _score(predictor.predict, view)


def _on_crop(predictor: OnLungs, pixels: Pixels) -> Scorer:
    """Crops every view to where the lungs of the film as it is are."""
    classifier = next(p.predictor for p in predictor.parts if p.role == "classifier")
    try:
        box = predictor.find(_film(pixels)).box
    except NoLungsError:
        return lambda _: math.nan
    ask = cast(CropPredictor, classifier).predict_crop
    return lambda view: _score(lambda film: ask(crop(film, box)), view)


def _score(ask: Callable[[Film], Prediction], view: Pixels) -> float:
    try:
        answer = ask(_film(view))
    except NoLungsError:
        return math.nan
    if not isinstance(answer, Classification):
        raise ArtifactError(
            f"'{answer.report.model}' gives no score of one label; the shortcut audit needs one."
        )
    return answer.score


def _mean(scorers: list[Scorer]) -> Scorer:
    return lambda view: math.fsum(scorer(view) for scorer in scorers) / len(scorers)


def _crops(predictor: Predictor) -> bool:
    return isinstance(predictor, OnLungs) or any(_crops(p.predictor) for p in predictor.parts)


def peak_of(predictor: Predictor) -> Peak:
    """Where a predictor's explanation is strongest: (row, column) on the film.

    None where the map is flat, speaks against the label, there is none or there are no lungs.
    """

    def peak(pixels: Pixels) -> tuple[int, int] | None:
        film = _film(pixels)
        try:
            told = predictor.explain(film)
        except (ArtifactError, NoLungsError):
            return None
        if told.sign == 0:
            return None
        values = on_film(told, film, predictor.input)
        row, column = np.unravel_index(int(np.argmax(values)), values.shape)
        return int(row), int(column)

    return peak


def _film(pixels: Pixels) -> Film:
    return Film(np.ascontiguousarray(pixels), None, FilmSource("array", "view"))
