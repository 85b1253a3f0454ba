"""What should be said beside figures: patients that a model is not made for, films left out."""

from collections.abc import Sequence

from ..runtime.manifest import Manifest
from .datasets import DataFilm, Dataset


def cautions(manifest: Manifest, data: Dataset, films: Sequence[DataFilm]) -> tuple[str, ...]:
    """What a reader of figures on `films` of `data` must know; () where there is nothing."""
    return (*_ages(manifest, films), *_left_out(data))


def _ages(manifest: Manifest, films: Sequence[DataFilm]) -> tuple[str, ...]:
    use = manifest.intended_use.age_years
    if use is None:
        return ()
    low, high = use
    known = [film.age_years for film in films if film.age_years is not None]
    # A child of 5 is 5 until the next birthday.
    outside = [age for age in known if not low <= age < high + 1]
    if not outside:
        return ()
    span = f"{min(outside):.0f} to {max(outside):.0f}"
    return (
        f"{len(outside)} of {len(films)} films are of patients of {span} years, outside the "
        f"intended use of '{manifest.name}' ({low:g} to {high:g} years): figures on them say "
        "nothing about the patients that it is made for, and are no reason to use it on others",
    )


def _left_out(data: Dataset) -> tuple[str, ...]:
    if not data.left_out:
        return ()
    return (
        f"{data.left_out} films of {data.name} have findings, but none of the labels that are "
        "asked for; they were left out",
    )
