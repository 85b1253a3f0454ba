"""How well each artifact of a bundle decides on a data folder, each at its own threshold.

Every film is decoded and resized once; all artifacts score the same pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ..runtime.bundle import Bundle
from ..runtime.errors import ArtifactError, BundleError, DataError, EngineError, OverlapError
from ..runtime.files import write_atomic
from ..runtime.film import Film, FilmSource
from ..runtime.images import read_film, resize
from ..runtime.manifest import Artifact, Part
from ..runtime.records import dump_bytes
from ..runtime.spec import InputSpec, OutputSpec
from .datasets import Dataset, read_dataset
from .machine import Machine, this_machine
from .measure import Progress, Skipped
from .metrics import BinaryFigures, evaluate_binary
from .splits import find_overlap

ACCURACY_SCHEMA = 1
# What a user may ask for: the parts of the split, all films, and the official test films whose
# patient number does not occur in the official train part.
Wanted = Literal[
    "train", "select", "guard", "test", "official-test", "official-test-new-patients", "all"
]
WANTED: tuple[Wanted, ...] = get_args(Wanted)
TEST_PARTS: tuple[Wanted, ...] = ("test", "official-test", "official-test-new-patients")
USED_PARTS: tuple[Part, ...] = ("train", "select", "guard")
_SHOWN = 5


@dataclass(frozen=True)
class ArtifactFigures:
    """One artifact on one part. `flips`: films that it decides otherwise than the reference."""

    artifact: str
    artifact_sha256: str
    engine_version: str
    compute: str
    threshold: float
    figures: BinaryFigures
    flips: int
    agreement: float


@dataclass(frozen=True)
class PartFigures:
    """All artifacts on one part of the data. `reference`: the artifact that flips count from."""

    part: Wanted
    n_films: int
    n_positive: int
    n_patients: int
    reference: str
    rows: tuple[ArtifactFigures, ...]


@dataclass(frozen=True)
class EvaluationReport:
    """A bundle on a data folder, whose patients it never saw in training or tuning."""

    schema: int
    model: str
    bundle_id: str
    data: str
    n_films: int
    machine: Machine
    date: str
    parts: tuple[PartFigures, ...]
    skipped: tuple[Skipped, ...]


@dataclass(frozen=True)
class Question:
    """What to evaluate.

    Attributes:
        parts: () takes the test parts where the bundle was trained on patients of this folder,
            else all films.
        artifacts: artifact ids; () takes all.
    """

    parts: tuple[Wanted, ...] = ()
    artifacts: tuple[str, ...] = ()
    threads: int = 0


@dataclass(frozen=True, eq=False)
class _Films:
    """The films that are scored, and what is known of them.

    `pixels` uint8 (N, H, W) at the input's size; `parts` maps a part to bool (N,).
    """

    pixels: NDArray[np.uint8]
    positives: NDArray[np.bool_]
    patients: tuple[str, ...]
    parts: dict[Wanted, NDArray[np.bool_]]


@dataclass(frozen=True, eq=False)
class _Scores:
    artifact: Artifact
    engine_version: str
    compute: str
    threshold: float
    scores: NDArray[np.float64]


def evaluate(
    bundle: Bundle, data: Path, question: Question, progress: Progress
) -> EvaluationReport:
    """Score the films of a data folder with every artifact.

    Raises:
        OverlapError: the films asked for include patients that trained or tuned the model.
        DataError: the folder cannot be used or has no film of a part asked for.
        FilmError: a film cannot be read.
        ClinicEdgeError: no artifact can be run here.
    """
    spec, output = _classifier(bundle)
    dataset = read_dataset(data, output.labels)
    chosen = {part: _choose(dataset, part) for part in _wanted(bundle, dataset, question)}
    refuse_used_patients(bundle, chosen)
    films = _read(spec, output, chosen, progress)
    scored: list[_Scores] = []
    skipped: list[Skipped] = []
    artifacts = [bundle.artifact(a) for a in question.artifacts] or bundle.manifest.artifacts
    for artifact in artifacts:
        try:
            scored.append(_score(bundle, artifact, films, question.threads, progress))
        except (EngineError, BundleError) as err:
            skipped.append(Skipped(artifact.id, "auto", str(err)))
    if not scored:
        reasons = " | ".join(s.reason for s in skipped)
        raise ArtifactError(f"no artifact of '{bundle.manifest.name}' runs here: {reasons}")
    return EvaluationReport(
        schema=ACCURACY_SCHEMA,
        model=bundle.manifest.name,
        bundle_id=bundle.id,
        data=dataset.name,
        n_films=len(films.positives),
        machine=this_machine(),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        parts=tuple(_part(name, mask, films, scored) for name, mask in films.parts.items()),
        skipped=tuple(skipped),
    )


def used_patients(bundle: Bundle) -> dict[Part, frozenset[str]]:
    """Hashes of the patient keys that trained, tuned or guarded the model, by part."""
    used: dict[Part, frozenset[str]] = {}
    for hygiene in bundle.manifest.data:
        for part in hygiene.parts:
            if part.part in USED_PARTS:
                keys = frozenset(part.patient_keys.split())
                used[part.part] = used.get(part.part, frozenset()) | keys
    return used


def refuse_used_patients(bundle: Bundle, chosen: dict[Wanted, Dataset]) -> None:
    """Stop where a part asked for holds a patient whom the bundle has already seen.

    Raises:
        OverlapError: names the parts, how many patients they share and some of their hashes.
    """
    for name, dataset in chosen.items():
        keys = dataset.key_hashes()
        for part, used in used_patients(bundle).items():
            shared = find_overlap(keys, used)
            if shared:
                more = f" and {len(shared) - _SHOWN} more" if len(shared) > _SHOWN else ""
                raise OverlapError(
                    f"'{name}' of {dataset.name} has {len(keys)} patients, {len(shared)} of them "
                    f"are in part '{part}' of '{bundle.manifest.name}': "
                    f"{', '.join(shared[:_SHOWN])}{more}. Figures on them would be inflated. "
                    "Evaluate the parts test and official-test, or other data."
                )


def keep(bundle: Bundle, report: EvaluationReport) -> tuple[Path, ...]:
    """Store the report beside the bundle's manifest, one file an artifact.

    Raises:
        OutputError: the bundle's folder cannot be written.
    """
    hashes = {r.artifact_sha256: r.artifact for part in report.parts for r in part.rows}
    paths = []
    for sha256 in hashes:
        parts = tuple(
            replace(p, rows=tuple(r for r in p.rows if r.artifact_sha256 == sha256))
            for p in report.parts
        )
        path = bundle.folder / "measurements" / f"{sha256}-accuracy-{report.data}.json"
        write_atomic(path, dump_bytes(replace(report, parts=parts, skipped=())))
        paths.append(path)
    return tuple(paths)


def _classifier(bundle: Bundle) -> tuple[InputSpec, OutputSpec]:
    spec = bundle.manifest.input
    for output in bundle.manifest.outputs:
        if spec is not None and output.positive_label is not None:
            return spec, output
    raise ArtifactError(
        f"'{bundle.manifest.name}' has no output with a positive label, so it has neither "
        "sensitivity nor AUC; expected a two-label classifier."
    )


def _wanted(bundle: Bundle, dataset: Dataset, question: Question) -> tuple[Wanted, ...]:
    if question.parts:
        return question.parts
    keys = dataset.key_hashes()
    if any(find_overlap(keys, used) for used in used_patients(bundle).values()):
        tests = (p for p in TEST_PARTS if _choose(dataset, p, required=False).films)
        # Without a test part the refusal of "all" names whom the bundle has seen.
        return tuple(tests) or ("all",)
    return ("all",)


def _choose(dataset: Dataset, part: Wanted, required: bool = True) -> Dataset:
    if part == "all":
        chosen = dataset
    elif part == "official-test-new-patients":
        chosen = dataset.official_test_new_patients()
    else:
        chosen = dataset.part(part)
    if required and not chosen.films:
        raise DataError(
            f"{dataset.name} has no film in part '{part}'; expected one at least. "
            "Ask for another part."
        )
    return chosen


def _read(
    spec: InputSpec, output: OutputSpec, chosen: dict[Wanted, Dataset], progress: Progress
) -> _Films:
    """Decode and resize each film of the chosen parts once."""
    films = tuple(dict.fromkeys(f for dataset in chosen.values() for f in dataset.films))
    pixels = np.empty((len(films), spec.height, spec.width), np.uint8)
    for number, film in enumerate(films):
        progress(number, len(films), "reading films")
        pixels[number] = resize(read_film(film.path, spec.dicom.voi).pixels, spec)
    progress(len(films), len(films), "reading films")
    members = {part: set(dataset.films) for part, dataset in chosen.items()}
    return _Films(
        pixels=pixels,
        positives=np.array([f.label == output.positive_label for f in films]),
        patients=tuple(f.patient_key for f in films),
        parts={part: np.array([f in held for f in films]) for part, held in members.items()},
    )


def _score(
    bundle: Bundle, artifact: Artifact, films: _Films, threads: int, progress: Progress
) -> _Scores:
    predictor = bundle.predictor(precision=artifact.id, threads=threads)
    scores = np.empty(len(films.pixels))
    source = FilmSource("array", "resized")
    for number, pixels in enumerate(films.pixels):
        if number % 16 == 0:
            progress(number, len(scores), artifact.id)
        # Already at the input's size: the predictor's own resize leaves it as it is.
        scores[number] = predictor.predict(Film(pixels, None, source)).score
    progress(len(scores), len(scores), artifact.id)
    session = predictor.report.session
    return _Scores(artifact, session.engine_version, session.compute, predictor.threshold, scores)


def _part(
    name: Wanted, mask: NDArray[np.bool_], films: _Films, scored: Sequence[_Scores]
) -> PartFigures:
    reference = _reference(scored)
    patients = [p for p, held in zip(films.patients, mask, strict=True) if held]
    positives = films.positives[mask]
    decided = (reference.scores >= reference.threshold)[mask]
    rows = []
    for one in scored:
        flips = int(np.sum((one.scores >= one.threshold)[mask] != decided))
        try:
            figures = evaluate_binary(one.scores[mask], positives, patients, one.threshold)
        except DataError as err:
            raise DataError(f"part '{name}': {err}") from err
        rows.append(
            ArtifactFigures(
                artifact=one.artifact.id,
                artifact_sha256=one.artifact.sha256,
                engine_version=one.engine_version,
                compute=one.compute,
                threshold=one.threshold,
                figures=figures,
                flips=flips,
                agreement=1.0 - flips / len(positives),
            )
        )
    return PartFigures(
        part=name,
        n_films=len(positives),
        n_positive=int(positives.sum()),
        n_patients=len(set(patients)),
        reference=reference.artifact.id,
        rows=tuple(rows),
    )


def _reference(scored: Sequence[_Scores]) -> _Scores:
    """ONNX FP32 where it was scored, else any FP32, else the first."""
    order = {"onnx/fp32": 0}
    return min(
        scored,
        key=lambda s: (order.get(s.artifact.id, 1), s.artifact.precision != "fp32"),
    )
