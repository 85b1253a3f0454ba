"""The films of a report with their maps, small, as data addresses for one page."""

import base64
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import EngineError, NoLungsError
from ...runtime.explanations import MapRequest
from ...runtime.explanations.words import Named, in_words
from ...runtime.explanations.zones import locate
from ...runtime.film import Film
from ...runtime.heat_maps import overlay
from ...runtime.images import read_film
from ...runtime.predictor import ModelPredictor, Predictor
from ..hiding import Bools
from .looking import Look, look, network_of
from .measuring import Job
from .twins import twin

_SIDE = 260
_GREEN, _BLUE = (110, 220, 140), (120, 190, 255)


@dataclass(frozen=True)
class Shown:
    """One map. `sentence`: where it lies, in English."""

    method: str
    picture: str
    sentence: str


@dataclass(frozen=True)
class FilmRow:
    """A film with its regions drawn, its maps, and the maps of the shuffled twin."""

    film: str
    picture: str
    maps: tuple[Shown, ...]
    shuffled: tuple[Shown, ...]


def film_rows(
    predictor: Predictor, job: Job, methods: tuple[str, ...], count: int
) -> tuple[FilmRow, ...]:
    """The first `count` films of the job that have maps."""
    network = network_of(predictor, job.label)
    rows: list[FilmRow] = []
    if count <= 0:
        return ()
    try:
        random: ModelPredictor | None = twin(network).network
    except EngineError:
        random = None
    for chosen in job.films:
        film = read_film(chosen.path, predictor.input.dicom.voi)
        try:
            seen = look(predictor, film)
        except NoLungsError:
            continue
        height, width = film.pixels.shape
        lungs = None if job.lungs is None else job.lungs.mask(chosen.path, film)
        box = (
            None if job.boxes is None else job.boxes.region(chosen.path, job.label, (height, width))
        )
        rows.append(
            FilmRow(
                film=f"{chosen.path.parent.name}/{chosen.path.name}",
                picture=_picture(_outlined(film, lungs, box)),
                maps=tuple(_shown(network, seen, lungs, job, name) for name in methods),
                shuffled=()
                if random is None
                else tuple(_shown(random, seen, lungs, job, name) for name in methods),
            )
        )
        if len(rows) == count:
            break
    return tuple(rows)


def _shown(
    network: ModelPredictor, seen: Look, lungs: Bools | None, job: Job, method: str
) -> Shown:
    told = seen.map(network, MapRequest(method, job.label, job.bounds.passes))
    values = seen.laid(told, network)
    words = in_words(locate(values, lungs), Named(job.label, job.label))
    return Shown(method, _picture(overlay(seen.film, values)), words.sentence["en"])


def _outlined(film: Film, lungs: Bools | None, box: Bools | None) -> NDArray[np.uint8]:
    """The film with the edges of its regions: lungs green, boxes blue."""
    drawn = np.repeat(film.pixels[..., None], 3, axis=2)
    for region, colour in ((lungs, _GREEN), (box, _BLUE)):
        if region is not None:
            drawn[_edge(region, max(1, max(region.shape) // _SIDE))] = colour
    return drawn


def _edge(region: Bools, thick: int) -> Bools:
    """The outermost pixels of a region."""
    inner = region.copy()
    for _ in range(thick):
        padded = np.pad(inner, 1)
        inner = inner & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return region & ~inner


def _picture(pixels: NDArray[np.uint8]) -> str:
    """uint8 (H, W, 3) as a JPEG in a data address."""
    from PIL import Image

    image = Image.fromarray(pixels)
    image.thumbnail((_SIDE, _SIDE), Image.Resampling.BOX)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=82)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"
