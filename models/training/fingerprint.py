"""Which films a run learned from and was steered by, as one hash."""

import hashlib
import json
import os
from pathlib import Path

from ...profiles.boxes import BoxFilm
from ...profiles.datasets import DataFilm
from ...profiles.masks import MaskFilm
from ...runtime.figures import Part
from .targets import Data


def fingerprint(data: Data, *parts: Part) -> str:
    """SHA-256, hex, of the folder's name, the split in words (with its fold) and, in the order of
    the manifest, path, patient, part and truth of those parts' films, usually train and select.

    Pixels are not read; the folder may be moved.
    """
    root = data.root.resolve()
    rows = [
        [_inside(film.path, root), film.patient_key, film.part, *_truth(film, root)]
        for film in data.part(*(parts or ("train", "select"))).films
    ]
    text = json.dumps([data.name, data.split, rows])
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _truth(film: DataFilm | MaskFilm | BoxFilm, root: Path) -> list[str]:
    if isinstance(film, MaskFilm):
        return [film.label, _inside(film.mask, root) if film.mask else ""]
    if isinstance(film, BoxFilm):
        return [film.label, *(f"{box.label} {box.xyxy}" for box in film.boxes)]
    return [film.label, *film.findings]


def _inside(path: Path, root: Path) -> str:
    """Masks may lie in a neighbour of the folder."""
    return Path(os.path.relpath(path, root)).as_posix()
