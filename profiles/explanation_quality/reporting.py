"""What `clinicedge explain-report` measures: the door."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ...runtime.bundle import Bundle
from ...runtime.errors import ArtifactError, BundleError, DataError, EngineError, SchemaError
from ...runtime.explanations.registry import usual_method
from ...runtime.predictor import Predictor
from ...runtime.records import from_json
from ..answers import Answer, answer_of, film_input, variants
from ..audit_bundle import AuditReport
from ..datasets import Dataset, read_dataset, read_findings_dataset
from ..evaluate_parts import choose_parts
from ..evaluation import Question, Wanted
from ..lung_masks import LungMasks, TrueLungs, own_lungs
from ..machine import Machine, this_machine
from ..masks import read_mask_dataset
from ..measure import Progress, Skipped
from .choosing_films import Chosen, choose_films, choose_masked
from .keeping import keep_if_possible, started
from .looking import network_of
from .measuring import Job, measure_artifact
from .records import SCHEMA, USUAL, ArtifactQuality, Bounds
from .regions import Boxes, TrueMasks


@dataclass(frozen=True)
class Asked:
    """What to measure.

    Attributes:
        part: None takes a test part where the bundle was trained on patients of the folder, else
            all films.
        artifacts: () takes ONNX FP32 (or what comes nearest) and the INT8 of the same format.
        methods, label: as in `Job`; "" the positive label, or the first finding.
        masks, boxes: folders of true regions; None: the lungs that a pipeline finds itself, or,
            of a network that draws masks, the true masks of `data`.
    """

    data: Path
    part: Wanted | None = None
    artifacts: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    label: str = ""
    masks: Path | None = None
    boxes: Path | None = None
    bounds: Bounds = USUAL
    threads: int = 0
    keep: bool = True


@dataclass(frozen=True)
class ExplainReport:
    """Every artifact asked about, and the shortcut audit beside them where one is kept.

    Attributes:
        method: what the bundle explains with where nothing is asked for.
        notes: e.g. why figures were not stored.
    """

    schema: int
    model: str
    bundle_id: str
    method: str
    machine: Machine
    date: str
    artifacts: tuple[ArtifactQuality, ...]
    audit: AuditReport | None
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Measured:
    """The report, the films, and the predictor of the first artifact, to draw pictures with."""

    report: ExplainReport
    job: Job
    predictor: Predictor


def explain_report(bundle: Bundle, asked: Asked, progress: Progress) -> Measured:
    """Measure the explanations of a bundle's artifacts.

    Raises:
        ArtifactError: no artifact runs here.
        ExplanationError: no such method or class.
        DataManifestError, DataError, OverlapError, FilmError: as `evaluate`.
    """
    job = _job(bundle, asked)
    found, skipped, notes = [], [], []
    first: Predictor | None = None
    for name in _artifacts(bundle, asked.artifacts):
        try:
            predictor = bundle.predictor(precision=name, threads=asked.threads)
        except (EngineError, BundleError) as err:
            skipped.append(Skipped(name, "auto", str(err)))
            continue
        first = first or predictor
        quality, note = _measured(bundle, predictor, job, asked, progress)
        found.append(quality)
        notes += [note] if note else []
    if first is None:
        reasons = " | ".join(s.reason for s in skipped)
        raise ArtifactError(f"no artifact of '{bundle.manifest.name}' runs here: {reasons}")
    report = ExplainReport(
        schema=SCHEMA,
        model=bundle.manifest.name,
        bundle_id=bundle.id,
        method=usual_method(network_of(first, job.label).bundle.manifest),
        machine=this_machine(),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        artifacts=tuple(found),
        audit=_audit(bundle, found),
        skipped=tuple(skipped),
        notes=tuple(dict.fromkeys(notes)),
    )
    return Measured(report, job, first)


def _measured(
    bundle: Bundle, predictor: Predictor, job: Job, asked: Asked, progress: Progress
) -> tuple[ArtifactQuality, str]:
    """The figures, and why they could not be stored."""
    films = tuple((f.path.name, f.patient) for f in job.films)
    question = (job.data, job.part, job.label, job.methods, job.bounds, films)
    known = (job.lungs and job.lungs.source, job.boxes and job.boxes.source)
    lines = (
        started(bundle.folder, predictor.report.artifact_sha256, (*question, *known))
        if asked.keep
        else None
    )
    quality, _ = measure_artifact(predictor, job, lines, progress)
    note = keep_if_possible(bundle.folder, quality) if asked.keep else ""
    if lines is not None:
        lines.done()
    return quality, note


def _job(bundle: Bundle, asked: Asked) -> Job:
    answer = answer_of(bundle)
    film_input(bundle)
    if answer.kind == "segmentation":
        return _mask_job(bundle, asked, answer)
    if answer.kind == "detection":
        raise ArtifactError(
            f"'{bundle.manifest.name}' answers with boxes, which show where it looks; maps are "
            "measured of models that score films or draw masks."
        )
    label = asked.label or answer.positive_label or answer.labels[0]
    films, data, part = _films(bundle, asked, answer, label)
    return Job(
        films=films,
        data=data,
        part=part,
        label=label,
        methods=asked.methods,
        bounds=asked.bounds,
        lungs=_lungs(bundle, asked.masks),
        boxes=None if asked.boxes is None else Boxes(asked.boxes),
    )


def _mask_job(bundle: Bundle, asked: Asked, answer: Answer) -> Job:
    """Of a network that draws masks: films that have something to draw."""
    if asked.boxes is not None:
        raise DataError(
            f"'{bundle.manifest.name}' draws masks, and its maps are compared with the true masks "
            f"of {asked.data.name}; found boxes too. Leave out --boxes."
        )
    dataset = read_mask_dataset(asked.data)
    question = Question(() if asked.part is None else (asked.part,))
    part, films = next(iter(choose_parts(bundle, dataset, question).items()))
    return Job(
        films=_chosen(lambda: choose_masked(films.films, asked.bounds), part, dataset.name),
        data=dataset.name,
        part=part,
        label=asked.label or answer.labels[0],
        methods=asked.methods,
        bounds=asked.bounds,
        lungs=None if asked.masks is None else TrueLungs(asked.masks),
        boxes=TrueMasks(dataset.name, films.films),
        mask=True,
    )


def _chosen(choose: Callable[[], tuple[Chosen, ...]], part: str, name: str) -> tuple[Chosen, ...]:
    try:
        return choose()
    except DataError as err:
        raise DataError(f"part '{part}' of {name}: {err}") from err


def _films(
    bundle: Bundle, asked: Asked, answer: Answer, label: str
) -> tuple[tuple[Chosen, ...], str, Wanted]:
    read = read_findings_dataset if answer.kind == "findings" else read_dataset
    dataset: Dataset = read(asked.data, answer.labels)
    question = Question(() if asked.part is None else (asked.part,))
    part, films = next(iter(choose_parts(bundle, dataset, question).items()))
    chosen = _chosen(lambda: choose_films(films.films, label, asked.bounds), part, dataset.name)
    return chosen, dataset.name, part


def _lungs(bundle: Bundle, masks: Path | None) -> LungMasks | None:
    if masks is not None:
        return TrueLungs(masks)
    try:
        return own_lungs(bundle)
    except ArtifactError:
        return None


def _artifacts(bundle: Bundle, asked: tuple[str, ...]) -> tuple[str, ...]:
    names, _ = variants(bundle, asked)
    if asked:
        return names
    float_ = min(names, key=lambda n: (n != "onnx/fp32", not n.endswith("/fp32"), names.index(n)))
    format_ = float_.partition("/")[0]
    quantized = [n for n in names if n.startswith(f"{format_}/int8")]
    return tuple(dict.fromkeys((float_, *quantized[:1])))


def _audit(bundle: Bundle, found: list[ArtifactQuality]) -> AuditReport | None:
    """The shortcut audit of one of these artifacts, if one was kept."""
    for quality in found:
        name = f"{quality.ran.artifact_sha256}-shortcut-audit.json"
        with suppress(OSError, ValueError, SchemaError):
            data = json.loads((bundle.folder / "measurements" / name).read_bytes())
            return from_json(AuditReport, data, name)
    return None
