"""Slices of one examination: a folder of files, or a DICOM file of several frames."""

import re
from pathlib import Path

from .decoders import no_pydicom
from .errors import FilmSizeError, NotAFilmError
from .film import Film
from .images import decode_film, read_bytes
from .limits import check_stack
from .spec import Voi

_EXPECTED = "Give a folder of PNG, JPEG or DICOM slices, or a DICOM file of several frames."


def read_stack(path: Path, voi: Voi = "file") -> tuple[Film, ...]:
    """The slices in order: a folder's by instance number where every file has one of its own, else
    by name, where 2 comes before 10; frames as they are stored.

    Hidden files are left out.

    Raises:
        NotAFilmError: no slice, a file that is no film, or no DICOM file.
        FilmSizeError: slices of several sizes, or more than fit into memory.
        FilmError: as `read_film`, of any slice.
    """
    return _folder(path, voi) if path.is_dir() else _frames(path, voi)


def _folder(path: Path, voi: Voi) -> tuple[Film, ...]:
    files = sorted((f for f in path.iterdir() if not f.name.startswith(".")), key=_natural)
    if not files:
        raise NotAFilmError(f"{path} has no files; expected a slice each. {_EXPECTED}")
    check_stack(len(files), (1, 1), path.name)
    films: list[Film] = []
    numbers: list[int | None] = []
    for file in files:
        data = read_bytes(file)
        film = decode_film(data, file.name, voi)
        films.append(film)
        numbers.append(_instance_number(data) if film.source.format == "dicom" else None)
        _refuse_other_size(films[0], film)
        check_stack(len(files), film.pixels.shape, path.name)
    known = [number for number in numbers if number is not None]
    if len(set(known)) < len(films):
        return tuple(films)
    order = sorted(range(len(films)), key=known.__getitem__)
    return tuple(films[i] for i in order)


def _instance_number(data: bytes) -> int | None:
    from .dicom_frames import instance_number

    return instance_number(data)


def _frames(path: Path, voi: Voi) -> tuple[Film, ...]:
    data = read_bytes(path)
    if data[128:132] != b"DICM":
        raise NotAFilmError(f"'{path.name}' is no folder and no DICOM file. {_EXPECTED}")
    try:
        from .dicom_frames import decode_frames
    except ModuleNotFoundError as err:
        if err.name != "pydicom":
            raise
        raise no_pydicom(path.name) from err
    return decode_frames(data, path.name, voi)


def _natural(path: Path) -> list[tuple[int, str]]:
    """So that "s2.png" comes before "s10.png"."""
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _refuse_other_size(first: Film, film: Film) -> None:
    if film.pixels.shape != first.pixels.shape:
        (height, width), wanted = film.pixels.shape, first.pixels.shape
        raise FilmSizeError(
            f"'{film.source.name}' is {width} x {height} pixels, '{first.source.name}' "
            f"{wanted[1]} x {wanted[0]}; expected slices of one size. Give those of one series."
        )
