"""Data folders with masks: a `manifest.csv` with the columns file or image, mask, and a patient.

Where a set tells no patients, a column `block` groups films that may share one (neighbours);
it takes the patient's place. A film without findings needs no mask file: its mask is left empty
and its label is one of NOTHING. Without such a label an empty mask is a mistake and is refused.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import DamagedFilmError, DataManifestError
from ..runtime.figures import Part
from ..runtime.images import read_film, resize
from ..runtime.spec import InputSpec
from .datasets import MANIFEST, ORIGINS
from .divided import DividedFilms, manifest_rows
from .placing import checked_rule, place
from .splits import OfficialPart

# Grey values of a mask file: nothing, in doubt (counts for nobody), there.
IGNORE, THERE = 127, 255
# Labels of films on which there is nothing to outline.
NOTHING = ("normal", "healthy", "no finding")


@dataclass(frozen=True)
class MaskFilm:
    """A film with its mask. `label` is the folder's own word, e.g. "tumor", "" where none;
    `mask` is None where it says that nothing is on the film."""

    path: Path
    mask: Path | None
    label: str
    patient_key: str
    official: OfficialPart
    part: Part


class MaskDataset(DividedFilms[MaskFilm]):
    """A folder of films with masks or some of them."""


def read_mask_dataset(root: Path) -> MaskDataset:
    """Read a folder's manifest.

    Raises:
        DataManifestError: no manifest, a column or file is missing, a patient is in two parts, or
            there are no films.
    """
    path = root / MANIFEST
    rows = manifest_rows(path, "file (or image), mask and patient (or block)")
    name = root.resolve().name
    films = tuple(_film(root, row, name, f"{path}, line {n}") for n, row in enumerate(rows, 2))
    _refuse_missing(path, films)
    return MaskDataset(name, root, films, checked_rule(path, rows, films))


def _film(root: Path, row: dict[str, str], name: str, where: str) -> MaskFilm:
    file = row.get("image") or row.get("file") or ""
    mask, patient = row.get("mask") or "", row.get("patient") or row.get("block") or ""
    needed = [("file", file), ("mask", mask), ("patient", patient)]
    for column, value in needed if _expects_mask(row) else (needed[0], needed[2]):
        if not value:
            raise DataManifestError(
                f"{where}: no {column}; expected file (or image), mask and patient (or block); "
                f"only films with the label {', '.join(NOTHING)} need no mask."
            )
    row = {**row, "split": row.get("split") or "train"}
    at = place(row, patient, row.get("origin") or ORIGINS.get(name, name), where)
    near, far = root.resolve(), root.resolve().parent
    paths = [(near / p).resolve() for p in (file, mask)]
    if not all(p.is_relative_to(far) for p in paths):
        raise DataManifestError(
            f"{where}: {file!r} or {mask!r} lies outside {far}; expected paths inside the folder "
            "or its neighbours."
        )
    drawn = paths[1] if mask else None
    return MaskFilm(paths[0], drawn, row.get("label") or "", at.key, at.official, at.part)


def _expects_mask(row: dict[str, str]) -> bool:
    return (row.get("label") or "").strip().lower() not in NOTHING


def _refuse_missing(path: Path, films: Iterable[MaskFilm]) -> None:
    missing = [p for f in films for p in (f.path, f.mask) if p and not p.is_file()]
    if missing:
        raise DataManifestError(
            f"{path}: {len(missing)} files are missing, the first is {missing[0]}. Restore them "
            "or remove their lines."
        )


def read_mask(film: MaskFilm, spec: InputSpec) -> NDArray[np.uint8]:
    """The mask at the network's size by the nearest pixel: uint8 (H, W) of 0, IGNORE, 255.

    Raises:
        DamagedFilmError: it cannot be read or holds other values.
    """
    return resize(read_mask_pixels(film), replace(spec, filter="nearest", pad_value=0))


def read_mask_pixels(film: MaskFilm) -> NDArray[np.uint8]:
    """The mask at its own size: uint8 (H, W) of 0, IGNORE, 255; of no mask the film's size.

    Raises:
        DamagedFilmError: it cannot be read or holds other values.
        FilmError: there is no mask and the film cannot be read.
    """
    from PIL import Image

    if film.mask is None:
        return np.zeros_like(read_film(film.path).pixels)

    try:
        with Image.open(film.mask) as image:
            values = np.asarray(image.convert("L"))
    except OSError as err:
        raise DamagedFilmError(f"cannot read the mask {film.mask}: {err}.") from err
    other = np.setdiff1d(values, (0, IGNORE, 255))
    if len(other):
        raise DamagedFilmError(
            f"the mask {film.mask} holds the values {other[:5].tolist()}; expected 0 (nothing), "
            f"{IGNORE} (in doubt) and 255 (there) alone. Save it without JPEG compression."
        )
    return values
