"""The films of a conversion: which calibrate, which set thresholds, which tell what was lost."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..profiles.boxes import BoxDataset, BoxFilm, boxes_on, read_box_dataset
from ..profiles.datasets import DataFilm, Dataset, read_dataset, read_findings_dataset
from ..profiles.film_identity import film_hashes
from ..profiles.masks import MaskDataset, MaskFilm, read_mask, read_mask_dataset
from ..runtime.boxes import MAX_BOXES, to_input
from ..runtime.errors import DataError
from ..runtime.figures import Part
from ..runtime.film import Film
from ..runtime.images import read_film, resize
from ..runtime.manifest import DataHygiene
from ..runtime.spec import InputSpec, ModelSpec
from .films import ConversionFilms, FilmSet
from .hygiene import films_twice, refuse_overlaps, refuse_trained, with_films
from .phantom_films import phantom_films
from .source import draws

if TYPE_CHECKING:
    from ..models.training.cropping import Crop

CALIBRATION_SEED = "calibration-v1"
PARTS: tuple[Part, ...] = ("train", "select", "guard")
AnyDataset = Dataset | MaskDataset | BoxDataset


class AnyFilm(Protocol):
    """What `DataFilm` and `MaskFilm` share."""

    @property
    def path(self) -> Path: ...
    @property
    def label(self) -> str: ...
    @property
    def patient_key(self) -> str: ...


F = TypeVar("F", bound=AnyFilm)


@dataclass(frozen=True)
class Wanted:
    """What films are gathered for.

    Attributes:
        data: a data folder; None draws phantom films.
        calibration_films: how many set the ranges of static int8.
        trained: the patients that trained the weights, None where unknown.
        cropped: crops a film to its lungs, None for models that see whole films.
    """

    data: Path | None
    calibration_films: int
    trained: DataHygiene | None
    cropped: "Crop | None" = None


def gather(spec: ModelSpec, wanted: Wanted) -> ConversionFilms:
    """Films of a data folder, or phantom films where there is none. Test parts are not read.

    Raises:
        DataError: the folder cannot be used, or has too few films in a part.
        OverlapError: a patient is in two parts, or trained the weights and would judge them.
    """
    known = () if wanted.trained is None else (wanted.trained,)
    for record in known:
        refuse_overlaps(record)
    if wanted.data is None:
        return phantom_films(spec.input, wanted.calibration_films, known, wanted.cropped)
    dataset = _open(spec, wanted.data)
    refuse_overlaps(dataset.hygiene_record())
    refuse_trained(dataset, wanted.trained)
    chosen = {part: _chosen(spec, dataset, part, wanted) for part in PARTS}
    made = {p: _read(spec, (dataset.name, p), films, wanted) for p, films in chosen.items()}
    read = {part: film_hashes(film.path for film in films) for part, films in chosen.items()}
    record = dataset.hygiene_record()
    hygiene = (*(other for other in known if other != record), with_films(record, read))
    return ConversionFilms(
        made["train"], made["select"], made["guard"], hygiene, twice=films_twice(read)
    )


def _open(spec: ModelSpec, data: Path) -> AnyDataset:
    if draws(spec):
        return read_mask_dataset(data)
    labels = spec.output("logits").labels
    if spec.task == "detection":
        return read_box_dataset(data, labels)
    return (read_findings_dataset if spec.task == "findings" else read_dataset)(data, labels)


def _chosen(spec: ModelSpec, dataset: AnyDataset, part: Part, wanted: Wanted) -> Sequence[Any]:
    films: Sequence[Any] = dataset.part(part).films
    if part == "train":
        films = draw_calibration(films, wanted.calibration_films)
    _refuse_too_few(spec, dataset.name, part, films)
    return films


def _read(spec: ModelSpec, name: tuple[str, Part], films: Sequence[Any], wanted: Wanted) -> FilmSet:
    """`name`: of the data, and the part."""
    data, part = name
    truth_of = _truth(spec)
    pixels, truth, patients = [], [], []
    for film in films:
        read: Film | None = read_film(film.path, spec.input.dicom.voi)
        if wanted.cropped is not None and read is not None:
            read = wanted.cropped(read)
        if read is None:
            continue
        pixels.append(resize(read.pixels, spec.input))
        truth.append(truth_of(film))
        patients.append(film.patient_key)
    if not pixels:
        raise DataError(
            f"part '{part}' of {data}: lungs were found on none of {len(films)} films; "
            "expected frontal chest films."
        )
    return FilmSet(
        data=data,
        part=part,
        pixels=np.stack(pixels),
        truth=np.stack(truth),
        patients=tuple(patients),
        input=spec.input,
        left_out=len(films) - len(pixels),
    )


def _truth(spec: ModelSpec) -> Callable[[Any], NDArray[Any]]:
    """What is known of one film, by the model's task."""
    if draws(spec):
        return _Masks(spec.input)
    output = spec.output("logits")
    if spec.task == "detection":
        return _Boxes(spec.input, output.labels)
    if spec.task == "findings":
        return lambda film: np.array([label in film.findings for label in output.labels])
    positive = output.positive_label or output.labels[-1]
    return lambda film: np.array(film.label == positive)


@dataclass(frozen=True)
class _Masks:
    input: InputSpec

    def __call__(self, film: MaskFilm) -> NDArray[np.uint8]:
        return read_mask(film, self.input)


@dataclass(frozen=True)
class _Boxes:
    input: InputSpec
    labels: tuple[str, ...]

    def __call__(self, film: BoxFilm) -> NDArray[np.float32]:
        """(MAX_BOXES, 5): the label's number, -1 for none, and the box in the network's pixels."""
        if film.size is None:
            size = read_film(film.path, self.input.dicom.voi).pixels.shape
        else:
            size = (film.size[1], film.size[0])
        rows = boxes_on(film, size, self.labels)[:MAX_BOXES]
        found = np.zeros((MAX_BOXES, 5), np.float32)
        found[:, 0] = -1.0
        found[: len(rows), 0] = rows[:, 0]
        found[: len(rows), 1:] = to_input(rows[:, 1:], size, self.input)
        return found


def _refuse_too_few(
    spec: ModelSpec, name: str, part: Part, films: Sequence[DataFilm | MaskFilm | BoxFilm]
) -> None:
    """A part without one of a binary model's labels, or without any film, decides nothing."""
    found = {f.label for f in films}
    labels = set(spec.output("logits").labels) if spec.task == "classification" else found
    if not films or found != labels:
        raise DataError(
            f"part '{part}' of {name} has {len(films)} films with the labels {sorted(found)}; "
            f"expected films of {sorted(labels) or 'enough patients'}. Give a larger data folder."
        )


def draw_calibration(films: Sequence[F], count: int) -> tuple[F, ...]:
    """`count` films, as many of each label, one a patient before any second.

    The order comes from a hash of the path's name, so it does not change with the machine.
    """
    labels = sorted({f.label for f in films})
    drawn: list[F] = []
    for i, label in enumerate(labels):
        share = count // len(labels) + (i < count % len(labels))
        ordered = sorted((f for f in films if f.label == label), key=_rank)
        seen: dict[str, int] = {}
        turns = []
        for position, film in enumerate(ordered):
            turn = seen.get(film.patient_key, 0)
            seen[film.patient_key] = turn + 1
            turns.append((turn, position, film))
        drawn.extend(film for _, _, film in sorted(turns, key=lambda t: t[:2])[:share])
    return tuple(sorted(drawn, key=_rank))


def _rank(film: AnyFilm) -> str:
    text = f"{CALIBRATION_SEED}/{film.patient_key}/{film.path.name}"
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
