"""What films can set ranges: refused before anything is quantized."""

from itertools import combinations

from ...profiles.splits import key_hash, refuse_overlap
from ...runtime.errors import DataError
from ...runtime.spec import ModelSpec
from ..films import ConversionFilms, FilmSet

# Fewer different films do not tell the ranges of any network.
LEAST_FILMS = 8


def refuse_films(films: ConversionFilms, spec: ModelSpec) -> None:
    """Stop where the calibration films cannot set ranges, or patients are in two parts.

    Raises:
        DataError: too few different films, or films of another size than the network's input.
        OverlapError: a patient calibrates and judges.
    """
    parts = (films.calibration, films.select, films.guard)
    for part in parts:
        _refuse_size(part, spec)
    different = len({pixels.tobytes() for pixels in films.calibration.pixels})
    if different < LEAST_FILMS:
        raise DataError(
            f"the calibration films of {films.calibration.data} are {len(films.calibration)}, "
            f"{different} of them different; expected at least {LEAST_FILMS} different ones to "
            "set the ranges of INT8. Give a data folder with more patients in its train part, a "
            "larger --calibration-films, or leave INT8 out with --precisions."
        )
    for one, other in combinations(parts, 2):
        names = (f"part '{one.part}' of {one.data}", f"part '{other.part}' of {other.data}")
        ours, theirs = ({key_hash(key) for key in part.patients} for part in (one, other))
        refuse_overlap(ours, theirs, names)


def _refuse_size(films: FilmSet, spec: ModelSpec) -> None:
    expected = (spec.input.height, spec.input.width)
    found = films.pixels.shape[1:]
    if found != expected:
        raise DataError(
            f"part '{films.part}' of {films.data}: films are {' x '.join(map(str, found))}, "
            f"'{spec.name}' takes {expected[0]} x {expected[1]}. Resize them by the bundle's rule."
        )
