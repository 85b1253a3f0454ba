"""Which of several data folders a model is calibrated and judged on."""

import os
from pathlib import Path

from ..models.chest import LABELS as CHEST_LABELS
from ..models.chest import LUNG_CROP
from ..profiles.datasets import MANIFEST
from ..runtime.errors import DataError
from ..runtime.manifest import DataHygiene
from ..runtime.spec import ModelSpec

ROOT_VARIABLE = "CLINICEDGE_DATA"
# The folders that our reference weights were trained on, by a model's name.
USUAL = {
    "lungs-128": "lungmasks",
    "segunet-256": "btxrd256",
    "segunet-512": "btxrd256",
    "yolo-nas-s-256": "btxrd256",
    **{f"yolo-nas-{size}-640": "btxrd256" for size in "sml"},
    "yolo-nas-s-256-lungs": "lungmasks",
    "medsam2-256": "btxrd256",
    "medsam2-256-lungs": "lungmasks",
    "medsam2-mini-192-lungs": "lungmasks",
}
USUAL_CHEST = "kermany224"
USUAL_TYPES = {"pneumonia-type-224": USUAL_CHEST}


def usual(spec: ModelSpec) -> str | None:
    """The name of the data folder that a model of the zoo was made for, None for others."""
    name = spec.name.removesuffix(LUNG_CROP)
    if name in USUAL or name in USUAL_TYPES:
        return USUAL.get(name) or USUAL_TYPES.get(name)
    chest = spec.task == "classification" and spec.output("logits").labels == CHEST_LABELS
    return USUAL_CHEST if chest else None


def fitting(spec: ModelSpec, trained: DataHygiene | None, folders: tuple[Path, ...]) -> Path | None:
    """The first folder named as the data that trained the weights, else as the model's usual."""
    for name in (trained.data if trained else None, usual(spec)):
        for folder in folders:
            if name is not None and folder.resolve().name == name:
                return folder
    return None


def data_folders(given: tuple[Path, ...], root: Path | None) -> tuple[Path, ...]:
    """Data folders as a user names them.

    Args:
        given: folders, or bare names of folders in `root`.
        root: a folder of data folders; None takes CLINICEDGE_DATA where it is set. Without
            `given` all that it holds are taken.

    Raises:
        DataError: a given folder is in neither place.
    """
    named = os.environ.get(ROOT_VARIABLE)
    base = root if root is not None else Path(named) if named else None
    if given:
        return tuple(_existing(folder, base) for folder in given)
    if base is None or not base.is_dir():
        return ()
    return tuple(sorted(p.parent for p in base.glob(f"*/{MANIFEST}")))


def _existing(folder: Path, base: Path | None) -> Path:
    places = [folder, *([base / folder] if base is not None else [])]
    for place in places:
        if place.is_dir():
            return place
    raise DataError(
        f"there is no data folder {' or '.join(map(str, places))}. Name one with {MANIFEST} in it."
    )
