"""How well each artifact tells labels: one score a film, several findings, or a cascade's both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import (
    DataError,
    DataManifestError,
    NoLungsError,
    OutsideUseError,
    TensorError,
)
from ..runtime.film import Film
from ..runtime.guarding import PairedLoss
from ..runtime.predictions import CascadeResult, Classification, Findings, Prediction
from ..runtime.predictor import Predictor
from .answers import Answer
from .calibration import calibration_error, reliability_bins
from .datasets import DataFilm, Dataset, read_dataset, read_findings_dataset
from .evaluation import (
    Against,
    ArtifactFigures,
    PartFigures,
    Ran,
    Wanted,
    fp32_of,
    reference_of,
)
from .film_store import Films
from .measure import Progress
from .metrics import bootstrap_ratio, bootstrap_share, evaluate_binary
from .paired import Decided, Known, count_changes, label_losses

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Targets:
    """What is true of N films for K scores.

    Attributes:
        labels: "" for the positive label of a two-label answer, else the finding.
        truth: bool (N, K).
        known: bool (N, K), whether that is known.
        parts: bool (N,) of each part.
    """

    labels: tuple[str, ...]
    truth: Bools
    known: Bools
    patients: tuple[str, ...]
    parts: Mapping[Wanted, Bools]


@dataclass(frozen=True, eq=False)
class Scores:
    """`values` (N, K), NaN where a film got no score; `thresholds` of the K."""

    ran: Ran
    values: Floats
    thresholds: tuple[float, ...]


def read_labels(answer: Answer, root: Path) -> Dataset:
    """The data folder as the answer needs it; a cascade's films carry findings where known.

    Raises:
        DataManifestError: it has other labels.
    """
    if answer.kind == "findings":
        return read_findings_dataset(root, answer.labels)
    data = read_dataset(root, answer.labels)
    if answer.kind == "cascade":
        found = _second_findings(root, answer.second)
        films = (replace(f, findings=found.get(f.path, ())) for f in data.films)
        return replace(data, films=tuple(films))
    return data


def _second_findings(root: Path, labels: tuple[str, ...]) -> dict[Path, tuple[str, ...]]:
    """Of the films whose findings are known; none where the folder tells no findings."""
    try:
        return {f.path: f.findings for f in read_findings_dataset(root, labels).films}
    except DataManifestError:
        return {}


def targets(answer: Answer, films: Sequence[DataFilm], parts: Mapping[Wanted, Dataset]) -> Targets:
    """What is true of the films. A cascade's second stage is judged on films with a finding."""
    positive = np.array([[f.label == answer.positive_label] for f in films])
    findings = answer.labels if answer.kind == "findings" else answer.second
    held = np.array([[label in f.findings for label in findings] for f in films], bool)
    held = held.reshape(len(films), len(findings))
    if answer.kind == "findings":
        labels, truth, known = answer.labels, held, np.ones_like(held)
    else:
        labels = ("", *answer.second)
        truth = np.concatenate([positive, held], axis=1)
        some = held.any(axis=1, keepdims=True)
        known = np.concatenate(
            [np.ones_like(positive), np.repeat(some, len(findings), axis=1)], axis=1
        )
    inside = {part: set(data.films) for part, data in parts.items()}
    return Targets(
        labels=labels,
        truth=truth,
        known=known,
        patients=tuple(f.patient_key for f in films),
        parts={part: np.array([f in s for f in films]) for part, s in inside.items()},
    )


def score(predictor: Predictor, ran: Ran, films: Films, progress: Progress) -> Scores:
    """Ask for every film; one without lungs, or outside the intended use, gets no score.

    Raises:
        FilmError: a film cannot be read.
        EngineError: the engine fails.
    """
    thresholds = _thresholds(predictor)
    values = np.full((len(films), len(thresholds)), np.nan)
    for number in range(len(films)):
        if number % 16 == 0:
            progress(number, len(films), ran.artifact)
        found = _ask(predictor, films.film(number))
        values[number, : len(found)] = found
    progress(len(films), len(films), ran.artifact)
    return Scores(ran, values, thresholds)


def _thresholds(predictor: Predictor) -> tuple[float, ...]:
    own = tuple(predictor.thresholds.values())
    if predictor.kind != "cascade":
        return own
    second = next(part.predictor for part in predictor.parts if part.role == "second")
    return (*own, *second.thresholds.values())


def _ask(predictor: Predictor, film: Film) -> list[float]:
    try:
        return _scores_of(predictor.predict(film))
    except (NoLungsError, OutsideUseError):
        return []


def _scores_of(answer: Prediction) -> list[float]:
    if isinstance(answer, Classification):
        return [answer.score]
    if isinstance(answer, Findings):
        return [f.score for f in answer.findings]
    if isinstance(answer, CascadeResult):
        later = [f.score for f in answer.second.findings] if answer.second else []
        return [answer.first.score, *later]
    raise TensorError(f"'{answer.report.model}' answers with a mask; expected scores.")


def part_figures(name: Wanted, known: Targets, scored: Sequence[Scores]) -> PartFigures:
    """All artifacts on one part.

    Raises:
        DataError: the part has only one of the two labels.
    """
    reference = reference_of(scored)
    inside = known.parts[name]
    rows: list[ArtifactFigures] = []
    missing: list[str] = []
    for column, label in enumerate(known.labels):
        mask = inside & known.known[:, column]
        why = _one_class(label, known.truth[mask, column])
        if why and not label:
            raise DataError(f"part '{name}': {why}")
        if why:
            missing.append(why)
            continue
        for one in scored:
            row = _row((one, reference, fp32_of(one, scored)), known, column, mask)
            if row is None:
                missing.append(f"{label}: {one.ran.artifact} gave too few films a score for it")
            else:
                rows.append(row)
    first = known.truth[inside][:, :1] if known.labels[0] == "" else known.truth[inside]
    return PartFigures(
        part=name,
        n_films=int(inside.sum()),
        n_positive=int(first.any(axis=1).sum()),
        n_patients=len({p for p, i in zip(known.patients, inside, strict=True) if i}),
        reference=reference.ran.artifact,
        rows=tuple(rows),
        not_measured=tuple(missing),
    )


def _one_class(label: str, truth: Bools) -> str:
    """Why there are no figures, "" where there can be."""
    if truth.any() and not truth.all():
        return ""
    if label:
        have = "no film has it" if not truth.any() else "all films have it"
        return f"{label}: {have} where it is known ({len(truth)} films)"
    return (
        f"all {len(truth)} films are {'positive' if truth.any() else 'negative'}; sensitivity, "
        "specificity and AUC need films of both labels."
    )


def _row(
    trio: tuple[Scores, Scores, Scores | None], known: Targets, column: int, mask: Bools
) -> ArtifactFigures | None:
    """One artifact against the reference and the FP32 one of its format; None where its scored
    films are of one class."""
    one, reference, fp32 = trio
    label, threshold = known.labels[column], one.thresholds[column]
    values, truth = one.values[mask, column], known.truth[mask, column]
    patients = np.asarray(known.patients)[mask]
    seen = np.isfinite(values)
    if truth[seen].all() or not truth[seen].any():
        return None
    shares = bool(((values[seen] >= 0) & (values[seen] <= 1)).all())
    called = seen & (values >= threshold)
    twice = 2 * (called & truth)[seen]
    wrong = (called ^ truth)[seen]
    flips = int(np.sum(_decisions(one, column, mask) != _decisions(reference, column, mask)))
    return ArtifactFigures(
        **vars(one.ran),
        threshold=threshold,
        figures=evaluate_binary(values[seen], truth[seen], tuple(patients[seen]), threshold),
        flips=flips,
        agreement=1.0 - flips / len(values),
        label=label,
        f1=bootstrap_ratio(twice, twice + wrong, tuple(patients[seen])) if label else None,
        no_score=int((~seen).sum()),
        accuracy_with_no_score=None
        if seen.all()
        else bootstrap_share(seen & (called == truth), tuple(patients)),
        against=None if fp32 is None else _against((one, fp32), known, column, mask),
        ece=calibration_error(values[seen], truth[seen], patients[seen]) if shares else None,
        bins=reliability_bins(values[seen], truth[seen]) if shares else (),
    )


def _against(pair: tuple[Scores, Scores], known: Targets, column: int, mask: Bools) -> Against:
    one, fp32 = pair
    both = mask & np.isfinite(one.values[:, column]) & np.isfinite(fp32.values[:, column])
    now, was = (Decided(s.values[both, column], s.thresholds[column]) for s in pair)
    truth = known.truth[both, column]
    found = count_changes(was, now, truth)
    losses: tuple[PairedLoss, ...] = ()
    if truth.any() and not truth.all():
        patients = [p for p, inside in zip(known.patients, both, strict=True) if inside]
        losses = label_losses(was, now, Known(truth, patients), known.labels[column])
    return Against(fp32.ran.artifact, int(both.sum()), **vars(found), losses=losses)


def _decisions(one: Scores, column: int, mask: Bools) -> NDArray[np.int64]:
    """1 positive, 0 negative, -1 no score."""
    values = one.values[mask, column]
    decided = (values >= one.thresholds[column]).astype(np.int64)
    return np.where(np.isfinite(values), decided, -1)
