"""The films of a conversion: which calibrate, which set thresholds, which tell what was lost."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..profiles.datasets import DataFilm, Dataset, read_dataset
from ..profiles.splits import refuse_overlap
from ..runtime.errors import DataError
from ..runtime.images import read_film, resize, scale
from ..runtime.manifest import DataHygiene, Part
from ..runtime.phantom import Phantom, draw, sample
from ..runtime.spec import InputSpec, ModelSpec

CALIBRATION_SEED = "calibration-v1"
PHANTOMS = "phantom films"
_PHANTOM_SEED = {"train": 1_000_000, "select": 2_000_000, "guard": 3_000_000}
# Drawing takes time and phantoms are alike: more of them tell nothing more.
_PHANTOM_FILMS = 64


@dataclass(frozen=True, eq=False)
class FilmSet:
    """Films of one part, already at the network's size.

    Attributes:
        pixels: uint8 (N, H, W), resized by the bundle's rule.
        positives: bool (N,), None where the films show no patients.
        patients: N patient keys.
    """

    data: str
    part: Part
    pixels: NDArray[np.uint8]
    positives: NDArray[np.bool_] | None
    patients: tuple[str, ...]
    input: InputSpec

    def tensors(self) -> Iterator[NDArray[np.float32]]:
        """The network's input float32 (1, C, H, W), film by film."""
        for pixels in self.pixels:
            yield scale(pixels, self.input)

    def batch(self, start: int, end: int) -> NDArray[np.float32]:
        """float32 (n, C, H, W) of a slice."""
        return np.concatenate([scale(p, self.input) for p in self.pixels[start:end]])

    @property
    def sha256(self) -> str:
        """Of the resized pixels, the patients and the labels."""
        digest = hashlib.sha256(np.ascontiguousarray(self.pixels).tobytes())
        digest.update("\n".join(self.patients).encode("utf-8"))
        if self.positives is not None:
            digest.update(self.positives.tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class ConversionFilms:
    """Calibration films from train, thresholds from select, comparison on guard."""

    calibration: FilmSet
    select: FilmSet
    guard: FilmSet
    hygiene: tuple[DataHygiene, ...]

    @property
    def labelled(self) -> bool:
        """Whether thresholds and accuracy can be had from these films."""
        return self.guard.positives is not None


def gather(
    spec: ModelSpec, data: Path | None, calibration_films: int, trained: DataHygiene | None
) -> ConversionFilms:
    """Films of a data folder, or phantom films where there is none. Test parts are not read.

    Args:
        trained: the patients that trained the weights, None where unknown.

    Raises:
        DataError: the folder cannot be used, or has too few films in a part.
        OverlapError: a patient is in two parts, or trained the weights and would judge them.
    """
    known = () if trained is None else (trained,)
    if data is None:
        return _phantom_films(spec.input, calibration_films, known)
    output = spec.output("logits")
    dataset = read_dataset(data, output.labels)
    _refuse_overlaps(dataset)
    _refuse_trained(dataset, trained)
    positive = output.positive_label or output.labels[-1]
    chosen = draw_calibration(dataset.part("train").films, calibration_films)
    parts = {
        "train": chosen,
        "select": dataset.part("select").films,
        "guard": dataset.part("guard").films,
    }
    for part, films in parts.items():
        if {f.label for f in films} != set(output.labels):
            raise DataError(
                f"part '{part}' of {dataset.name} has {len(films)} films with the labels "
                f"{sorted({f.label for f in films})}; expected films of {list(output.labels)}. "
                "Give a larger data folder."
            )
    made = {p: _read(dataset.name, f, positive, spec.input) for p, f in parts.items()}
    hygiene = tuple(dict.fromkeys((*known, dataset.hygiene_record())))
    return ConversionFilms(made["train"], made["select"], made["guard"], hygiene)


def draw_calibration(films: Sequence[DataFilm], count: int) -> tuple[DataFilm, ...]:
    """`count` films, as many of each label, one a patient before any second.

    The order comes from a hash of the path's name, so it does not change with the machine.
    """
    labels = sorted({f.label for f in films})
    drawn: list[DataFilm] = []
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


def _rank(film: DataFilm) -> str:
    text = f"{CALIBRATION_SEED}/{film.patient_key}/{film.path.name}"
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _refuse_overlaps(dataset: Dataset) -> None:
    parts = [(p.part, p.patient_keys.split()) for p in dataset.hygiene()]
    for i, (one, keys) in enumerate(parts):
        for other, other_keys in parts[i + 1 :]:
            refuse_overlap(keys, other_keys, (f"part '{one}'", f"part '{other}'"))


def _refuse_trained(dataset: Dataset, trained: DataHygiene | None) -> None:
    """Thresholds and parity on films that the network learned by heart would flatter it."""
    for used in trained.parts if trained is not None else ():
        for part in ("select", "guard") if used.part == "train" else ():
            names = (f"the films of {dataset.name} for '{part}'", "those that trained the weights")
            refuse_overlap(dataset.part(part).key_hashes(), used.patient_keys.split(), names)


def _read(data: str, films: Sequence[DataFilm], positive: str, spec: InputSpec) -> FilmSet:
    pixels = np.empty((len(films), spec.height, spec.width), np.uint8)
    for i, film in enumerate(films):
        pixels[i] = resize(read_film(film.path, spec.dicom.voi).pixels, spec)
    return FilmSet(
        data=data,
        part=films[0].part,
        pixels=pixels,
        positives=np.array([f.label == positive for f in films]),
        patients=tuple(f.patient_key for f in films),
        input=spec,
    )


def phantom_pixels(drawn: Phantom, spec: InputSpec) -> NDArray[np.uint8]:
    """uint8 (h, w) of a phantom drawn no larger than the network can see, 4 : 3."""
    return draw(replace(drawn, height=spec.height, width=round(spec.height * 4 / 3))).pixels


def _phantom_films(
    spec: InputSpec, calibration_films: int, hygiene: tuple[DataHygiene, ...]
) -> ConversionFilms:
    def part(name: Part, count: int) -> FilmSet:
        seeds = [_PHANTOM_SEED[name] + i for i in range(count)]
        pixels = np.stack([resize(phantom_pixels(sample(seed), spec), spec) for seed in seeds])
        patients = tuple(f"phantom/{seed}" for seed in seeds)
        return FilmSet(PHANTOMS, name, pixels, None, patients, spec)

    return ConversionFilms(
        part("train", min(calibration_films, _PHANTOM_FILMS)),
        part("select", _PHANTOM_FILMS),
        part("guard", _PHANTOM_FILMS),
        hygiene,
    )
