"""The bundle's own method of explanation, picked on guard films (docs/decisions/0008)."""

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..profiles.datasets import DataFilm, read_dataset, read_findings_dataset
from ..profiles.explanation_quality.choosing_films import Chosen, choose_films
from ..profiles.explanation_quality.keeping import keep
from ..profiles.explanation_quality.measuring import Job, measure_artifact
from ..profiles.explanation_quality.records import ArtifactQuality, Bounds
from ..profiles.hiding import Bools
from ..runtime.bundle import read_bundle
from ..runtime.errors import ClinicEdgeError, EngineError
from ..runtime.film import Film
from ..runtime.images import read_film
from ..runtime.lungs import crop
from ..runtime.manifest import Artifact, Manifest
from ..runtime.regions import enlarge_nearest
from ..runtime.spec import ModelSpec
from .cache import key_of
from .data_choice import fitting
from .isolated import call
from .options import ConvertOptions
from .recipes import REVISION
from .source import Source
from .steps import Steps
from .writing import Files, write_bundle

if TYPE_CHECKING:
    from ..models.training.cropping import LungFinder

BOUNDS = Bounds(films=16, per_patient=1, steps=8)
LEAST_FILMS = 8
LUNGS = "masks drawn by lungs-128"


@dataclass(frozen=True)
class GuardFilm:
    """A film as the network is shown it, written down, and its lungs; `lungs` "" where unknown."""

    film: str
    lungs: str
    patient: str


@dataclass(frozen=True)
class Picked:
    """What was picked, with the figures; `why` says why there is none."""

    quality: ArtifactQuality | None
    why: str = ""

    @property
    def method(self) -> str | None:
        """For the manifest."""
        choice = None if self.quality is None else self.quality.choice
        return None if choice is None else choice.method

    @property
    def note(self) -> tuple[str, ...]:
        """For the reader, where films were looked at."""
        if self.quality is None or self.quality.choice is None:
            return ()
        found, choice = self.quality, self.quality.choice
        return (
            f"maps are {choice.method} where nothing is asked for: {choice.why}, on {found.films} "
            f"guard films of {found.patients} patients",
        )

    def keep(self, folder: Path) -> None:
        """Store the figures beside the bundle's manifest.

        Raises:
            OutputError: the folder cannot be written.
        """
        if self.quality is not None:
            keep(folder, self.quality)


@dataclass(frozen=True)
class Question:
    """What a child process measures: the bundle as it will be, an artifact, films, a class."""

    bundle: str
    artifact: str
    films: tuple[GuardFilm, ...]
    data: str
    label: str


def guard_films(
    spec: ModelSpec, data: Path, weights: Sequence[Path], scratch: Path
) -> tuple[tuple[GuardFilm, ...], str]:
    """Positive guard films cut to what the network sees, written as PNG, and the class.

    Raises:
        ClinicEdgeError: the data folder cannot be used, or the lungs' weights are missing for a
            network of lung crops.
    """
    read = read_findings_dataset if spec.task == "findings" else read_dataset
    output = spec.output("logits")
    films = read(data, output.labels).part("guard").films
    label = output.positive_label or _commonest(films, output.labels)
    finder = _finder(spec, weights)
    having = any(label in (f.label, *f.findings) for f in films)
    found: list[GuardFilm] = []
    for number, chosen in enumerate(choose_films(films, label, BOUNDS) if having else ()):
        film = read_film(chosen.path, spec.input.dicom.voi)
        lungs: Bools | None = None
        if finder is not None:
            seen = finder.find(film)
            if seen is not None:
                lungs = enlarge_nearest(seen.mask, film.pixels.shape)
            if seen is None and spec.input.region == "lungs":
                continue
            if seen is not None and lungs is not None and spec.input.region == "lungs":
                box = seen.box
                film, lungs = crop(film, box), lungs[box.y0 : box.y1, box.x0 : box.x1]
        found.append(_written(film, lungs, chosen.patient, scratch / f"explained-{number:02}"))
    return tuple(found), label


def pick_method(question: Question) -> Picked:
    """Measure and pick; runs in a child process."""
    films = {f.film: f for f in question.films}
    job = Job(
        films=tuple(Chosen(Path(f.film), f.patient) for f in question.films),
        data=question.data,
        part="guard",
        label=question.label,
        methods=(),
        bounds=BOUNDS,
        lungs=_WrittenLungs(films) if any(f.lungs for f in question.films) else None,
        boxes=None,
    )
    try:
        predictor = read_bundle(question.bundle).predictor(precision=question.artifact, threads=1)
    except EngineError as err:
        return Picked(None, str(err))
    quality, _ = measure_artifact(predictor, job, None, lambda *_: None)
    return Picked(quality, "" if quality.choice else "no method was left")


def judged_artifact(manifest: Manifest) -> Artifact | None:
    """FP32 before FP16 before INT8, of these ONNX first: a bundle of INT8 alone is judged by what
    it has. None where there is no artifact, or the network gives no features."""
    if manifest.explanation is None or manifest.task not in ("classification", "findings"):
        return None
    order = {"fp32": 0, "fp16": 1, "int8": 2}
    return min(
        manifest.artifacts, key=lambda a: (order[a.precision], a.format != "onnx"), default=None
    )


class _WrittenLungs:
    """Masks that were written beside their films."""

    source = LUNGS

    def __init__(self, films: dict[str, GuardFilm]) -> None:
        self._films = films

    def mask(self, path: Path, film: Film) -> Bools | None:
        """As `LungMasks.mask`."""
        name = self._films[str(path)].lungs
        return read_film(Path(name)).pixels > 0 if name else None


def _finder(spec: ModelSpec, weights: Sequence[Path]) -> "LungFinder | None":
    """The lungs' reference network; None where it has no weights, or for other films."""
    from ..models.training.cropping import LungFinder

    if spec.input.region == "lungs":
        return LungFinder(weights)
    if spec.intended_use.body_part != "CHEST":
        return None
    try:
        return LungFinder(weights)
    except ClinicEdgeError:
        return None


def _commonest(films: Sequence[DataFilm], labels: Sequence[str]) -> str:
    counted = Counter(name for film in films for name in film.findings)
    return max(labels, key=lambda name: counted[name])


def _written(film: Film, lungs: Bools | None, patient: str, base: Path) -> GuardFilm:
    from PIL import Image

    path = base.with_suffix(".png")
    Image.fromarray(film.pixels).save(path)
    if lungs is None:
        return GuardFilm(str(path), "", patient)
    mask = base.with_name(f"{base.name}-lungs.png")
    Image.fromarray(lungs.astype(np.uint8) * np.uint8(255)).save(mask)
    return GuardFilm(str(path), str(mask), patient)


@dataclass(frozen=True, eq=False)
class Written:
    """A bundle that is ready to be written: its manifest and the files beside it."""

    manifest: Manifest
    files: Files


def explanation_method(
    source: Source, options: ConvertOptions, steps: Steps, written: Written
) -> Picked:
    """Pick on the guard films of the conversion; reused where nothing changed."""
    manifest, films, spec = written.manifest, steps.films, source.spec
    artifact = judged_artifact(manifest)
    if artifact is None:
        return Picked(None, "no artifact with a feature map and scores")
    data = options.data or fitting(spec, source.hygiene, options.folders)
    if data is None or not films.labelled:
        return Picked(None, "no labelled films")

    def work() -> Picked:
        with tempfile.TemporaryDirectory(prefix="clinicedge-explain-") as name:
            scratch = Path(name)
            found, label = guard_films(spec, data, options.weights, scratch)
            if len(found) < LEAST_FILMS:
                why = f"{len(found)} guard films with the finding, {LEAST_FILMS} needed"
                return Picked(None, why)
            folder = scratch / "bundle"
            write_bundle(folder, manifest, written.files)
            question = Question(str(folder), artifact.id, found, films.guard.data, label)
            return call(pick_method, question)

    key = key_of("explain", REVISION, BOUNDS, artifact.sha256, films.guard.sha256)
    return steps.cache.record("explanation method", key, Picked, work)
