"""The films of the lesion table: what accuracy is measured on, and the one that is timed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from _peers_common import Outliner
from PIL import Image

from clinicedge.profiles.evaluate_masks import score_masks
from clinicedge.profiles.evaluate_parts import (
    UNKNOWN,
    choose_parts,
    refuse_used_films,
)
from clinicedge.profiles.evaluate_prompts import prompts_of
from clinicedge.profiles.evaluation import Question, Ran, Wanted
from clinicedge.profiles.film_store import FilmStore
from clinicedge.profiles.mask_metrics import (
    MaskFigures,
    PixelCounts,
    count_pixels,
    mask_figures,
)
from clinicedge.profiles.masks import MaskDataset, MaskFilm, read_mask_pixels
from clinicedge.profiles.measure import Progress
from clinicedge.runtime import phantom
from clinicedge.runtime.boxes import Boxes
from clinicedge.runtime.bundle import Bundle
from clinicedge.runtime.errors import DataError
from clinicedge.runtime.images import read_film
from clinicedge.runtime.predictor import Predictor

PHANTOM = phantom.Phantom(seed=3, height=512, width=512, opacity=0.6, noise=5.0)


@dataclass(frozen=True)
class Held:
    """The films of one part of a data folder with masks."""

    data: MaskDataset
    part: Wanted

    @property
    def films(self) -> tuple[MaskFilm, ...]:
        """In the folder's order."""
        return self.data.films if self.part == "all" else self.data.part(self.part).films  # type: ignore[arg-type]

    @property
    def patients(self) -> tuple[str, ...]:
        """Of each film."""
        return tuple(film.patient_key for film in self.films)


@dataclass(frozen=True)
class TimedFilm:
    """The film that everything is timed on, and a box on it for those that need one."""

    path: Path
    size: tuple[int, int]
    box: tuple[float, ...]
    words: str


def held_films(data: MaskDataset, part: Wanted) -> Held:
    """The films of a part.

    Raises:
        DataError: there are none.
    """
    held = Held(data, part)
    if not held.films:
        raise DataError(f"{data.name} has no film in part '{part}'. Ask for another part.")
    return held


def median_size(held: Held | None, timed: TimedFilm) -> tuple[int, int]:
    """(H, W): the median over the films to train on, that of the timed film without any."""
    films = () if held is None else held.data.part("train").films
    if not films:
        return timed.size
    sizes = []
    for film in films:
        with Image.open(film.path) as image:
            sizes.append(image.size)
    width, height = np.median(np.array(sizes), axis=0).astype(int).tolist()
    return height, width


@contextmanager
def timed_film(own: Path | None, held: Held | None) -> Iterator[TimedFilm]:
    """`own`, else the first film with something true on it, else a phantom.

    The box is the one around the largest true region, of other films the middle half.

    Raises:
        FilmError: a film cannot be read.
    """
    first = None if own is not None or held is None else _first_with_a_box(held)
    if first is not None:
        yield _timed(*first)
    elif own is not None:
        yield _timed(own, None)
    else:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "phantom.png"
            path.write_bytes(phantom.encode_png(phantom.draw(PHANTOM)))
            yield _timed(path, None)


def _timed(path: Path, box: tuple[float, ...] | None) -> TimedFilm:
    height, width = read_film(path).pixels.shape
    middle = (width / 4, height / 4, width * 3 / 4, height * 3 / 4)
    words = f"{path.name}, {width} x {height} pixels"
    return TimedFilm(path, (height, width), box or middle, words)


def _first_with_a_box(held: Held) -> tuple[Path, tuple[float, ...]] | None:
    for number, film in enumerate(held.films):
        boxes = prompts_of(read_mask_pixels(film), "true", number)
        if boxes:
            return film.path, boxes[0]
    return None


def figures_of_ours(
    bundle: Bundle, predictor: Predictor, held: Held, progress: Progress
) -> MaskFigures:
    """Masks as shown, against the true ones; a promptable model is asked with the true boxes.

    Raises:
        OverlapError: the part holds patients or films that made the bundle.
        DataError: what trained it is not recorded: nobody could tell what the figures mean.
        ClinicEdgeError: a film, a mask or the engine fails.
    """
    papers = [model.manifest.provenance for _, model in bundle.models()]
    if any(paper is None or paper.training_data == UNKNOWN for paper in papers):
        raise DataError(f"what trained '{bundle.manifest.name}' is not recorded, if anything did")
    refuse_used_films(bundle, choose_parts(bundle, held.data, Question((held.part,))))
    report = predictor.report
    session = report.session
    ran = Ran(report.artifact, report.artifact_sha256, session.engine_version, session.compute)
    store = FilmStore([film.path for film in held.films], predictor.input.dicom.voi)
    asked = "true" if bundle.manifest.task == "promptable-segmentation" else None
    scores = score_masks(predictor, ran, (store, held.films), progress, asked)  # type: ignore[arg-type]
    return mask_figures(PixelCounts(*scores.shown.T), held.patients)


def figures_of_peer(outliner: Outliner, held: Held, progress: Progress) -> MaskFigures:
    """The same of a peer, asked with the true boxes.

    Films without any are passed over: Dice and IoU count films with a mask alone.

    Raises:
        ClinicEdgeError: a film or a mask cannot be read.
        PeerError: it does not answer.
    """
    counts = np.zeros((len(held.films), 4))
    for number, film in enumerate(held.films):
        progress(number, len(held.films), "accuracy")
        truth = read_mask_pixels(film)
        boxes: Boxes = prompts_of(truth, "true", number)
        pixels = read_film(film.path).pixels
        mask = outliner.predict(pixels, boxes) if boxes else np.zeros(truth.shape, bool)
        counts[number] = count_pixels(mask, truth)
    return mask_figures(PixelCounts(*counts.T), held.patients)
