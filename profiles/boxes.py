"""Data folders with boxes: a `manifest.csv` with a column of boxes, or with masks that have some.

Boxes stand in `boxes_xyxy` (or `lung_boxes_xyxy`), `x0 y0 x1 y1` in pixels of the film, several
joined by `;`, a label before the numbers where a model has several. Without such a column the
connected pieces of the mask are the boxes. The rest of the manifest is as of folders with masks.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import DataManifestError
from ..runtime.figures import Part
from ..runtime.regions import label_regions, region_boxes
from .datasets import MANIFEST, ORIGINS
from .divided import DividedFilms, manifest_rows
from .masks import NOTHING, MaskFilm, read_mask_pixels
from .placing import checked_rule, place
from .splits import OfficialPart

COLUMNS = ("boxes_xyxy", "lung_boxes_xyxy", "boxes")
BETWEEN = ";"
# Pieces of a mask that are smaller are specks of its drawing.
MIN_PIECE_SHARE = 0.0005

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TrueBox:
    """A box (x0, y0, x1, y1) in pixels of its film. `label`: "" where the model has but one."""

    label: str
    xyxy: tuple[float, float, float, float]


@dataclass(frozen=True)
class BoxFilm:
    """A film with its boxes, none where nothing is on it.

    `label`: the folder's own word, e.g. "tumor"; `size`: (width, height) that the boxes are
    drawn in, None where the manifest does not tell it.
    """

    path: Path
    boxes: tuple[TrueBox, ...]
    label: str
    size: tuple[int, int] | None
    patient_key: str
    official: OfficialPart
    part: Part


class BoxDataset(DividedFilms[BoxFilm]):
    """A folder of films with boxes or some of them."""


def read_box_dataset(root: Path, labels: tuple[str, ...]) -> BoxDataset:
    """Read a folder's manifest.

    Raises:
        DataManifestError: no manifest, a column or file is missing, a box is none or of another
            label, a patient is in two parts, or there are no films.
    """
    path = root / MANIFEST
    rows = manifest_rows(path, f"file (or image), patient (or block) and {COLUMNS[0]} or mask")
    if not {*COLUMNS, "mask"} & set(rows[0]):
        raise DataManifestError(
            f"{path} has neither a column {' or '.join(COLUMNS)} nor a column mask; expected the "
            "boxes of each film, or its mask."
        )
    name = root.resolve().name
    read = _Reader(root, ORIGINS.get(name, name), labels)
    films = tuple(read.film(row, f"{path}, line {n}") for n, row in enumerate(rows, 2))
    missing = [f.path for f in films if not f.path.is_file()]
    if missing:
        raise DataManifestError(
            f"{path}: {len(missing)} films are missing, the first is {missing[0]}. Restore them "
            "or remove their lines."
        )
    return BoxDataset(name, root, films, checked_rule(path, rows, films))


@dataclass(frozen=True)
class _Reader:
    root: Path
    origin: str
    labels: tuple[str, ...]

    def film(self, row: Mapping[str, str], where: str) -> BoxFilm:
        patient = row.get("patient") or row.get("block") or ""
        row = {**row, "split": row.get("split") or "train"}
        at = place(row, patient, row.get("origin") or self.origin, where)
        path = self._inside(row.get("image") or row.get("file") or "", where)
        column = next((name for name in COLUMNS if name in row), None)
        size = _size(row)
        label = row.get("label") or ""
        film = BoxFilm(path, (), label, size, at.key, at.official, at.part)
        if column is not None:
            parts = filter(str.strip, row[column].split(BETWEEN))
            return replace(film, boxes=tuple(self._box(text, where) for text in parts))
        if not row.get("mask") and label.strip().lower() in NOTHING:
            return film
        mask = MaskFilm(path, self._inside(row.get("mask") or "", where), *_rest(film))
        return replace(film, boxes=pieces(mask), size=None)

    def _inside(self, file: str, where: str) -> Path:
        near, far = self.root.resolve(), self.root.resolve().parent
        path = (near / file).resolve()
        if not file or not path.is_relative_to(far):
            raise DataManifestError(
                f"{where}: file {file!r}; expected a path inside {near} or its neighbours."
            )
        return path

    def _box(self, text: str, where: str) -> TrueBox:
        *words, x0, y0, x1, y1 = ["", "", "", "", *text.split()]
        label = " ".join(filter(None, words))
        try:
            box = (float(x0), float(y0), float(x1), float(y1))
        except ValueError:
            box = (0.0, 0.0, 0.0, 0.0)
        known = label in self.labels or (not label and len(self.labels) == 1)
        if not (all(map(math.isfinite, box)) and box[0] < box[2] and box[1] < box[3] and known):
            raise DataManifestError(
                f"{where}: box {text.strip()!r}; expected x0 y0 x1 y1 in pixels with x0 < x1 and "
                f"y0 < y1, after a label of {', '.join(self.labels)} where there are several."
            )
        return TrueBox(label if len(self.labels) > 1 else "", box)


def _rest(film: BoxFilm) -> tuple[str, str, OfficialPart, Part]:
    return film.label, film.patient_key, film.official, film.part


def _size(row: Mapping[str, str]) -> tuple[int, int] | None:
    try:
        return int(row.get("width", "")), int(row.get("height", ""))
    except ValueError:
        return None


def pieces(film: MaskFilm) -> tuple[TrueBox, ...]:
    """The boxes around the connected pieces of a mask, the largest first, in its own pixels.

    Raises:
        DamagedFilmError: the mask cannot be read or holds other values.
    """
    there = read_mask_pixels(film) == 255
    labels, areas = label_regions(there)
    kept = int(np.count_nonzero(areas >= MIN_PIECE_SHARE * there.size))
    found = region_boxes(labels, kept)
    return tuple(TrueBox("", (float(a), float(b), float(c), float(d))) for a, b, c, d in found)


def boxes_on(film: BoxFilm, size: tuple[int, ...], labels: tuple[str, ...]) -> Floats:
    """Boxes float64 (n, 5) on a film of (H, W) pixels: the label's number, x0 y0 x1 y1, clipped."""
    across, down = 1.0, 1.0
    if film.size is not None and film.size != (size[1], size[0]):
        across, down = size[1] / film.size[0], size[0] / film.size[1]
    rows = [(labels.index(box.label) if box.label else 0, *box.xyxy) for box in film.boxes]
    found = np.array(rows, np.float64).reshape(-1, 5)
    found[:, 1:] *= (across, down, across, down)
    found[:, 1:] = np.clip(found[:, 1:], 0.0, (size[1], size[0], size[1], size[0]))
    return found[(found[:, 3] > found[:, 1]) & (found[:, 4] > found[:, 2])]
