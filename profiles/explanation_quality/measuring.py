"""One artifact's explanations on a handful of films."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from ...runtime.bundle import Bundle
from ...runtime.errors import EngineError, NoLungsError
from ...runtime.explanations import METHODS, MapRequest, check_request, offers
from ...runtime.figures import Figure
from ...runtime.film import Film
from ...runtime.images import read_film
from ...runtime.predictor import ModelPredictor, Predictor
from ..evaluation import Ran, Wanted
from ..lung_masks import LungMasks
from ..measure import Progress
from ..metrics import bootstrap_mean
from .choosing_films import Chosen
from .keeping import Started
from .looking import look, network_of
from .one_film import Networks, Regions, film_figures
from .records import ArtifactQuality, Bounds, FilmFigures, NotMeasured
from .regions import TrueRegions
from .rule import pick
from .summary import summarise
from .twins import twin

# Equal to another method for the heads it can be asked of, so measured only when asked by name.
SAME_AS = {"hirescam": "grad-cam"}


@dataclass(frozen=True, eq=False)
class Job:
    """What is measured.

    Attributes:
        films, data, part: which films, and where they are from.
        methods: () takes every method that needs no further runs of the network.
        lungs, boxes: where regions are known; None where they are not. Boxes of a network that
            draws masks are the true masks.
        mask: the network draws masks; then no default method is picked.
    """

    films: tuple[Chosen, ...]
    data: str
    part: Wanted
    label: str
    methods: tuple[str, ...]
    bounds: Bounds
    lungs: LungMasks | None
    boxes: TrueRegions | None
    mask: bool = False


@dataclass(frozen=True, eq=False)
class _Work:
    """One artifact's job, opened."""

    job: Job
    predictor: Predictor
    networks: Networks
    methods: tuple[str, ...]
    progress: Progress

    @property
    def steps(self) -> int:
        return len(self.job.films) * len(self.methods)


def measure_artifact(
    predictor: Predictor,
    job: Job,
    started: Started | None,
    progress: Progress,
) -> tuple[ArtifactQuality, tuple[FilmFigures, ...]]:
    """Measure one opened artifact.

    Args:
        started: where films are written down as they are done; None: nowhere.

    Returns:
        The figures, and those film by film.

    Raises:
        ExplanationError: a method or class that the artifact has not; found before any film.
        FilmError: a film cannot be read.
    """
    methods, left_out = chosen_methods(predictor, job)
    networks, told, missing = _networks(predictor, job.label)
    work = _Work(job, predictor, networks, methods, progress)
    films = tuple(_films(work, started))
    return _quality(work, films, told, (*left_out, *missing)), films


def chosen_methods(
    predictor: Predictor, job: Job
) -> tuple[tuple[str, ...], tuple[NotMeasured, ...]]:
    """The methods to measure, and why not the others.

    Raises:
        ExplanationError: one asked for by name is not offered, or there is no such class.
    """
    if job.methods:
        for name in job.methods:
            check_request(predictor, MapRequest(name, job.label, job.bounds.passes))
        return tuple(name for name in METHODS if name in job.methods), ()
    taken, left = [], []
    for offer in offers(predictor, job.label):
        if not offer.available:
            left.append(NotMeasured(offer.method, offer.why))
        elif offer.method in SAME_AS:
            left.append(NotMeasured(offer.method, f"for this head it is {SAME_AS[offer.method]}"))
        elif offer.passes:
            why = f"{offer.passes} runs of the network a map; ask for it by name"
            left.append(NotMeasured(offer.method, why))
        else:
            taken.append(offer.method)
    return tuple(taken), tuple(left)


def float_artifact(bundle: Bundle, artifact: str) -> str | None:
    """The FP32 artifact of the same format; None for FP32 itself and where there is none."""
    own = bundle.artifact(artifact)
    if own.precision == "fp32":
        return None
    same = (a for a in bundle.manifest.artifacts if a.format == own.format)
    return next((a.id for a in same if a.precision == "fp32"), None)


def _networks(
    predictor: Predictor, label: str
) -> tuple[Networks, tuple[str, str], tuple[NotMeasured, ...]]:
    """The networks, the float artifact and the twin in words, and what could not be opened."""
    judged = network_of(predictor, label)
    missing = []
    floats, random, shuffled = None, None, ""
    name = float_artifact(judged.bundle, judged.report.artifact)
    if name is not None:
        try:
            opened = judged.bundle.predictor(precision=name, threads=judged.report.session.threads)
            floats = network_of(opened)
        except EngineError as err:
            missing.append(NotMeasured("likeness to FP32", str(err)))
            name = None
    elif judged.bundle.artifact(judged.report.artifact).precision != "fp32":
        why = f"'{judged.report.model}' has no FP32 artifact of that format"
        missing.append(NotMeasured("likeness to FP32", why))
    try:
        made = twin(judged)
        random = made.network
        shuffled = (
            f"the same file with the {made.values} values of {made.tensors} tensors shuffled "
            "within each"
        )
    except EngineError as err:
        missing.append(NotMeasured("randomisation", str(err)))
    return Networks(judged, random, floats), (name or "", shuffled), tuple(missing)


def _films(work: _Work, started: Started | None) -> Iterator[FilmFigures]:
    known = {} if started is None else started.read()
    first = not known
    for number, chosen in enumerate(work.job.films):
        name = f"{chosen.path.parent.name}/{chosen.path.name}"
        found = known.get(name)
        if found is None:
            found = _film(work, chosen, name, number * len(work.methods))
            if started is not None:
                started.add(found, first)
                first = False
        yield found
    work.progress(work.steps, work.steps, "done")


def _film(work: _Work, chosen: Chosen, name: str, done: int) -> FilmFigures:
    job = work.job
    film = read_film(chosen.path, work.predictor.input.dicom.voi)
    try:
        seen = look(work.predictor, film)
    except NoLungsError as err:
        return FilmFigures(name, chosen.patient, (), str(err).split(":")[0])
    asked = (work.methods, job.label, job.bounds)
    regions = _regions(job, chosen, film)
    told = _counter(work, name, done)
    maps, scores = film_figures(work.networks, seen, regions, asked, told)
    return FilmFigures(name, chosen.patient, maps, ends=scores)


def _regions(job: Job, chosen: Chosen, film: Film) -> Regions:
    height, width = film.pixels.shape
    lungs = None if job.lungs is None else job.lungs.mask(chosen.path, film)
    boxes = job.boxes
    box = None if boxes is None else boxes.region(chosen.path, job.label, (height, width))
    return Regions(lungs, box)


def _counter(work: _Work, name: str, done: int) -> Callable[[], None]:
    """Called after each method: moves the bar."""
    count = done

    def step() -> None:
        nonlocal count
        count += 1
        artifact = work.networks.judged.report.artifact
        work.progress(count, work.steps, f"{artifact}: maps of {name}")

    return step


def _quality(
    work: _Work,
    films: tuple[FilmFigures, ...],
    told: tuple[str, str],
    missing: tuple[NotMeasured, ...],
) -> ArtifactQuality:
    job, judged = work.job, work.networks.judged
    seen = [f for f in films if f.maps]
    report = work.predictor.report
    reasons = dict.fromkeys(f.reason for f in films if f.reason)
    no_map = (
        NotMeasured(f"{sum(f.reason == reason for f in films)} films", reason) for reason in reasons
    )
    return ArtifactQuality(
        data=job.data,
        part=job.part,
        ran=_ran(judged, report.artifact_sha256),
        label=job.label,
        bounds=job.bounds,
        films=len(seen),
        patients=len({f.patient for f in seen}),
        lungs="" if job.lungs is None else job.lungs.source,
        boxes="" if job.boxes is None else job.boxes.source,
        lung_area=_area([m.lungs.area for f in seen for m in f.maps[:1] if m.lungs]),
        box_area=_area([m.box.area for f in seen for m in f.maps[:1] if m.box]),
        whole=_end(seen, 0),
        deleted=_end(seen, 1),
        blurred=_end(seen, 2),
        float_artifact=told[0],
        twin=told[1],
        methods=summarise(seen),
        not_measured=missing,
        no_map=tuple(no_map),
        choice=pick(seen) if seen and not job.mask else None,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        region_kind="boxes" if job.boxes is None else job.boxes.kind,
    )


def _ran(network: ModelPredictor, sha256: str) -> Ran:
    session = network.report.session
    return Ran(network.report.artifact, sha256, session.engine_version, session.compute)


def _end(films: list[FilmFigures], number: int) -> Figure | None:
    """Mean probability at one end of the curves."""
    if not films:
        return None
    return bootstrap_mean([f.ends[number] for f in films], [f.patient for f in films])


def _area(areas: list[float]) -> float | None:
    return sum(areas) / len(areas) if areas else None
