"""Two bundles asked about the same films: which decisions changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..runtime.bundle import Bundle
from ..runtime.errors import ArtifactError, DataError, NoLungsError, OutsideUseError
from ..runtime.figures import Part
from ..runtime.film import Film
from ..runtime.images import read_film
from ..runtime.predictions import (
    CascadeResult,
    Classification,
    Detections,
    Findings,
    Prediction,
    Segmentation,
)
from ..runtime.predictor import Predictor
from .answers import Answer, answer_of, film_input
from .boxes import BoxFilm, read_box_dataset
from .datasets import DataFilm
from .evaluate_labels import read_labels
from .masks import MaskFilm, read_mask_dataset
from .measure import Progress
from .paired import mcnemar

PART: Part = "guard"
# Masks that overlap less are another decision, as in `Parity`.
SAME_DICE = 0.9


@dataclass(frozen=True)
class ChangedFilm:
    """A film that the two decide otherwise. `truth`: its label, "" where it is not known.

    Answers are words; scores None where a film got none.
    """

    file: str
    truth: str
    before: str
    after: str
    score_before: float | None
    score_after: float | None


@dataclass(frozen=True)
class ChangedDecisions:
    """What two bundles said of the films of one part.

    Attributes:
        one, other: the artifact that each ran.
        mended, spoilt: of two-label answers, films that only the other, or only the first, got
            right; `p` of McNemar's exact test on these two. None where labels say nothing.
    """

    data: str
    part: Part
    n_films: int
    one: str
    other: str
    changed: tuple[ChangedFilm, ...]
    mended: int | None
    spoilt: int | None
    p: float | None


@dataclass(frozen=True, eq=False)
class _Said:
    """An answer in words, with its score and mask if it has one."""

    words: str
    score: float | None
    mask: "np.ndarray | None" = None


def changed_decisions(
    one: Bundle, other: Bundle, data: Path, precision: str, progress: Progress
) -> ChangedDecisions:
    """Ask both about the guard part of a data folder, each at its own thresholds.

    Args:
        precision: as in `Bundle.predictor`.
        progress: called with (done, total, what).

    Raises:
        ArtifactError: the two answer different questions.
        DataManifestError, DataError: the folder cannot be used, or has no film in that part.
        WholeFilmError: a model takes films cropped to the lungs.
        Also what `Bundle.predictor` raises.
    """
    answer = _same_answer(one, other)
    films, name = _films(answer, data)
    predictors = [bundle.predictor(precision=precision) for bundle in (one, other)]
    changed = []
    for number, film in enumerate(films):
        progress(number, len(films), film.path.name)
        read = {voi: read_film(film.path, voi) for voi in {p.input.dicom.voi for p in predictors}}
        was, now = (_ask(p, read[p.input.dicom.voi]) for p in predictors)
        if not _alike(was, now):
            file = str(film.path.relative_to(data.resolve()))
            changed.append(
                ChangedFilm(file, film.label, was.words, now.words, was.score, now.score)
            )
    mended, spoilt = _right(answer, changed)
    return ChangedDecisions(
        data=name,
        part=PART,
        n_films=len(films),
        one=predictors[0].report.artifact,
        other=predictors[1].report.artifact,
        changed=tuple(changed),
        mended=mended,
        spoilt=spoilt,
        p=None if mended is None or spoilt is None else mcnemar(mended, spoilt),
    )


def _same_answer(one: Bundle, other: Bundle) -> Answer:
    for bundle in (one, other):
        film_input(bundle)
    first, second = answer_of(one), answer_of(other)
    kinds = (first.kind, set(first.labels), first.positive_label)
    if kinds != (second.kind, set(second.labels), second.positive_label):
        raise ArtifactError(
            f"'{one.manifest.name}' answers {first.kind} of {', '.join(first.labels)}, "
            f"'{other.manifest.name}' {second.kind} of {', '.join(second.labels)}; expected the "
            "same question. Their decisions cannot be compared."
        )
    return first


def _films(answer: Answer, root: Path) -> tuple[Sequence[DataFilm | MaskFilm | BoxFilm], str]:
    if answer.kind == "segmentation":
        masks = read_mask_dataset(root)
        films: Sequence[DataFilm | MaskFilm | BoxFilm] = masks.part(PART).films
        name = masks.name
    elif answer.kind == "detection":
        boxes = read_box_dataset(root, answer.labels)
        films, name = boxes.part(PART).films, boxes.name
    else:
        data = read_labels(answer, root)
        films, name = data.part(PART).films, data.name
    if not films:
        raise DataError(f"{name} has no film in part '{PART}'; expected one at least.")
    return films, name


def _ask(predictor: Predictor, film: Film) -> _Said:
    try:
        return _said(predictor.predict(film))
    except (NoLungsError, OutsideUseError) as err:
        return _Said(f"no score ({type(err).__name__})", None)


def _said(seen: Prediction) -> _Said:
    match seen:
        case Classification():
            return _Said(seen.label, seen.score)
        case Findings():
            return _Said(_positive(seen), None)
        case CascadeResult():
            more = "" if seen.second is None else f": {_positive(seen.second)}"
            return _Said(seen.first.label + more, seen.first.score)
        case Detections():
            return _Said(", ".join(b.label for b in seen.boxes) or "no box", seen.score)
        case Segmentation():
            words = f"{len(seen.lesions)} regions, {seen.mask.mean() * 100:.1f} % of the film"
            return _Said(words, seen.score, seen.mask)


def _positive(seen: Findings) -> str:
    return ", ".join(f.label for f in seen.findings if f.positive) or "no finding"


def _alike(was: _Said, now: _Said) -> bool:
    if was.mask is None or now.mask is None:
        return was.words == now.words
    total = int(was.mask.sum()) + int(now.mask.sum())
    both = int(np.logical_and(was.mask, now.mask).sum())
    return total == 0 or 2 * both / total >= SAME_DICE


def _right(answer: Answer, changed: Sequence[ChangedFilm]) -> tuple[int | None, int | None]:
    """Of two-label answers: who was right where they differ."""
    if answer.kind != "classification":
        return None, None
    mended = sum(c.after == c.truth for c in changed)
    return mended, sum(c.before == c.truth for c in changed)
