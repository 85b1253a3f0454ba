"""How well each artifact of a bundle decides on a data folder, each at its own threshold.

The door: what is asked and answered stands in `evaluation`, the scoring of labels, boxes and masks
in `evaluate_labels`, `evaluate_boxes` and `evaluate_masks`, of lesions in `evaluate_lesions`. A
pipeline is scored whole, film by film, its members opened at one format and precision after the
other.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from ..runtime.bundle import Bundle
from ..runtime.errors import ArtifactError, BundleError, EngineError
from ..runtime.files import write_atomic
from ..runtime.predictor import Predictor
from ..runtime.records import dump_bytes
from .answers import Answer, answer_of, film_input, variants
from .boxes import read_box_dataset
from .evaluate_boxes import box_part, score_boxes
from .evaluate_labels import part_figures, read_labels, score, targets
from .evaluate_lesions import NOTE, lesion_part, score_lesions
from .evaluate_masks import mask_part, score_masks
from .evaluate_parts import choose_parts, part_films, refuse_used_films, unknown_training
from .evaluate_prompts import is_asked, note_of
from .evaluation import ACCURACY_SCHEMA, EvaluationReport, PartFigures, Question, Ran
from .film_store import Films, FilmStore, ResizedFilms
from .known_lungs import LungMemory
from .machine import this_machine
from .masks import read_mask_dataset
from .measure import Progress, Skipped
from .outside_use import cautions

Scored = TypeVar("Scored")


@dataclass(frozen=True)
class _Work:
    """What a scoring of labels, boxes or masks goes by."""

    bundle: Bundle
    answer: Answer
    question: Question
    progress: Progress
    memory: LungMemory | None
    notes: list[str] = field(default_factory=list)


def evaluate(
    bundle: Bundle,
    data: Path,
    question: Question,
    progress: Progress,
    memory: LungMemory | None = None,
) -> EvaluationReport:
    """Score the films of a data folder with every artifact.

    Args:
        data: folder with a manifest.csv as `read_dataset`, `read_findings_dataset`,
            `read_box_dataset` or `read_mask_dataset` reads it.
        progress: called with (done, total, what).
        memory: where lungs are looked up before a film is searched for them.

    Raises:
        DataManifestError: the folder is no data folder or uses other labels.
        DataError: a part has no films, or films of one label only.
        OverlapError: a part holds a patient whom the bundle has already seen.
        ArtifactError: nothing to compare with labels, or no artifact can be evaluated.
        WholeFilmError: the model takes films cropped to the lungs.
        FilmError: a film cannot be read.
    """
    work = _Work(bundle, answer_of(bundle), question, progress, memory)
    of_kind = {"segmentation": _masks, "detection": _boxes}.get(work.answer.kind, _labels)
    name, n_films, parts, skipped = of_kind(work, data)
    return EvaluationReport(
        schema=ACCURACY_SCHEMA,
        model=bundle.manifest.name,
        bundle_id=bundle.id,
        kind=work.answer.kind,
        data=name,
        n_films=n_films,
        machine=this_machine(),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        parts=parts,
        skipped=tuple(skipped),
        notes=tuple(dict.fromkeys(work.notes)),
        boxes=question.boxes if is_asked(bundle.manifest) else "",
    )


_Result = tuple[str, int, tuple[PartFigures, ...], list[Skipped]]


def _labels(work: _Work, root: Path) -> _Result:
    data = read_labels(work.answer, root)
    chosen = choose_parts(work.bundle, data, work.question)
    work.notes.extend(refuse_used_films(work.bundle, chosen) + unknown_training(work.bundle))
    films = tuple(dict.fromkeys(f for part in chosen.values() for f in part.films))
    known = targets(work.answer, films, chosen)
    work.notes.extend(cautions(work.bundle.manifest, data, films))
    read = _films(work, [f.path for f in films])
    scored, skipped = _each(work, lambda p, ran: score(p, ran, read, work.progress))
    parts = tuple(part_figures(name, known, scored) for name in chosen)
    return data.name, len(films), parts, skipped


def _boxes(work: _Work, root: Path) -> _Result:
    labels = work.answer.labels
    data = read_box_dataset(root, labels)
    chosen = choose_parts(work.bundle, data, work.question)
    work.notes.extend(refuse_used_films(work.bundle, chosen) + unknown_training(work.bundle))
    films = tuple(dict.fromkeys(f for part in chosen.values() for f in part.films))
    read = _whole_films(work, [f.path for f in films])
    scored, skipped = _each(work, lambda p, ran: score_boxes(p, ran, (read, films), work.progress))
    parts = tuple(
        box_part(
            part_films(name, films, held.films),
            labels,
            sum(bool(f.boxes) for f in held.films),
            scored,
        )
        for name, held in chosen.items()
    )
    return data.name, len(films), parts, skipped


def _masks(work: _Work, root: Path) -> _Result:
    data = read_mask_dataset(root)
    chosen = choose_parts(work.bundle, data, work.question)
    work.notes.extend(refuse_used_films(work.bundle, chosen) + unknown_training(work.bundle))
    films = tuple(dict.fromkeys(f for part in chosen.values() for f in part.films))
    read = _whole_films(work, [f.path for f in films])
    inside = [part_films(name, films, held.films) for name, held in chosen.items()]
    rules = work.bundle.manifest.pipeline
    if rules is not None and rules.kind == "lesions":
        work.notes.append(NOTE)
        lesions, skipped = _each(
            work, lambda p, ran: score_lesions(p, ran, (read, films), work.progress)
        )
        return data.name, len(films), tuple(lesion_part(p, lesions) for p in inside), skipped
    boxes = work.question.boxes if is_asked(work.bundle.manifest) else None
    work.notes.extend(note_of(boxes))
    scored, skipped = _each(
        work, lambda p, ran: score_masks(p, ran, (read, films), work.progress, boxes)
    )
    return data.name, len(films), tuple(mask_part(p, scored) for p in inside), skipped


def _whole_films(work: _Work, paths: list[Path]) -> FilmStore:
    """At their own size: boxes and masks are compared there."""
    spec = film_input(work.bundle)
    specs = [model.manifest.input for _, model in work.bundle.models()]
    first = spec or next((s for s in specs if s), None)
    return FilmStore(paths, first.dicom.voi if first else "file")


def _films(work: _Work, paths: list[Path]) -> Films:
    """Resized once for a model; whole for a pipeline, which crops them itself."""
    spec = film_input(work.bundle)
    if spec is not None:
        return ResizedFilms(paths, spec, work.progress)
    return _whole_films(work, paths)


def _each(
    work: _Work, ask: Callable[[Predictor, Ran], Scored]
) -> tuple[list[Scored], list[Skipped]]:
    """Every variant that runs here, scored; the others with their reason.

    Raises:
        ArtifactError: none runs.
    """
    names, skipped = variants(work.bundle, work.question.artifacts)
    scored: list[Scored] = []
    for name in names:
        try:
            predictor = work.bundle.predictor(precision=name, threads=work.question.threads)
            report = predictor.report
            # A pipeline's variant is the wish; each member has its own recipe for it.
            shown = report.artifact if work.bundle.manifest.kind == "model" else name
            session = report.session
            work.notes.extend(f"{shown}: {note}" for note in session.notes)
            ran = Ran(shown, report.artifact_sha256, session.engine_version, session.compute)
            lungs = work.memory.attach(predictor) if work.memory else ()
            try:
                scored.append(ask(predictor, ran))
            finally:
                # Searches of hours outlive a Ctrl+C.
                for known in lungs:
                    known.keep()
        except (EngineError, BundleError) as err:
            skipped.append(Skipped(name, "auto", str(err)))
    if not scored:
        reasons = " | ".join(s.reason for s in skipped)
        raise ArtifactError(f"no artifact of '{work.bundle.manifest.name}' runs here: {reasons}")
    return scored, skipped


def keep(bundle: Bundle, report: EvaluationReport) -> tuple[Path, ...]:
    """Store the report beside the bundle's manifest, one file an artifact.

    Raises:
        OutputError: the bundle's folder cannot be written.
    """
    hashes = {r.artifact_sha256 for part in report.parts for r in part.rows}
    hashes |= {r.artifact_sha256 for part in report.parts for r in part.masks}
    hashes |= {r.artifact_sha256 for part in report.parts for r in part.boxes}
    paths = []
    for sha256 in sorted(hashes):
        parts = tuple(
            replace(
                p,
                rows=_of(p.rows, sha256),
                masks=_of(p.masks, sha256),
                boxes=_of(p.boxes, sha256),
                given_boxes=_of(p.given_boxes, sha256),
            )
            for p in report.parts
        )
        told = f"{report.data}-moved-boxes" if report.boxes == "moved" else report.data
        path = bundle.folder / "measurements" / f"{sha256}-accuracy-{told}.json"
        write_atomic(path, dump_bytes(replace(report, parts=parts, skipped=())))
        paths.append(path)
    return tuple(paths)


def _of(rows: Sequence[Any], sha256: str) -> tuple[Any, ...]:
    return tuple(r for r in rows if r.artifact_sha256 == sha256)
