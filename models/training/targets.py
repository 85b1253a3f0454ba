"""Which data a model learns from, and what it learns: from a spec to an objective."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from ...profiles.boxes import BoxDataset, read_box_dataset
from ...profiles.datasets import Dataset, read_dataset, read_findings_dataset
from ...profiles.divided import DividedFilms
from ...profiles.folds import apply_fold, parse_fold
from ...profiles.masks import THERE, MaskDataset, read_mask_dataset
from ...runtime.errors import DataError, ModelError
from ...runtime.spec import ModelSpec
from .cropping import lung_cropper
from .films import FilmArrays, load_films
from .objectives.binary import BinaryObjective
from .objectives.boxes import BoxArrays, BoxObjective, load_boxes
from .objectives.findings import FindingsObjective, load_findings
from .objectives.masks import MaskArrays, MaskObjective, load_masks
from .objectives.objective import Objective
from .objectives.prompts import PromptObjective, load_prompts
from .recipe import Recipe

Data = Dataset | MaskDataset | BoxDataset
DataOf = TypeVar("DataOf", bound=DividedFilms[Any])
Read = TypeVar("Read")


def read_data(model: ModelSpec, folder: Path) -> Data:
    """The data folder as the model's task needs it.

    Raises:
        DataManifestError: the folder is not of that kind.
    """
    if model.task in ("segmentation", "promptable-segmentation"):
        return read_mask_dataset(folder)
    if model.task == "detection":
        return read_box_dataset(folder, model.outputs[0].labels)
    if model.task == "findings":
        return read_findings_dataset(folder, model.outputs[0].labels)
    return read_dataset(folder, model.outputs[0].labels)


def fold_of(data: Data, name: str, text: str) -> tuple[Dataset, str]:
    """The data of fold "K/N", and the run folder's name.

    Raises:
        DataError: not a fold, or the data are masks or boxes.
    """
    if not isinstance(data, Dataset):
        raise DataError(
            f"{data.root}: folds are for labels, expected no masks or boxes. Leave out --fold."
        )
    fold = parse_fold(text)
    return apply_fold(data, fold), f"{name}-fold-{fold.number}"


def n_films(data: Data) -> int:
    """Films that training reads."""
    return len(data.part("train", "select").films)


def objective(
    model: ModelSpec,
    data: Data,
    recipe: Recipe,
    folders: tuple[Path, ...],
    advance: Callable[[], None],
) -> Objective:
    """Read the train and select parts, no other.

    Raises:
        FilmError: a film or mask cannot be read.
        DataManifestError: a part is empty.
        DataError: select can judge nothing: one of two labels, or every mask or box, is missing.
        WeightsMissingError: a lung-crop model, and `lungs-128` has no weights.
    """
    if isinstance(data, MaskDataset):
        if model.task == "promptable-segmentation":
            train, select = (
                load_prompts(data.part(p).films, model.input, advance) for p in ("train", "select")
            )
            return PromptObjective(train, select, recipe)
        drawn = _both(data, lambda part: load_masks(part.films, model.input, advance), _no_mask)
        return MaskObjective(*drawn, recipe)
    if isinstance(data, BoxDataset):
        if model.detection is None:
            raise ModelError(f"'{model.name}' has no rules of detection; a detector needs them.")
        boxed = _both(data, lambda part: load_boxes(part, model, advance), _no_box)
        return BoxObjective(*boxed, recipe, model.detection)
    labels = model.outputs[0].labels
    cropped = lung_cropper(folders) if model.input.region == "lungs" else None
    if model.task == "findings":
        found, checked = (
            load_findings(data.part(p), model.input, labels, advance, cropped)
            for p in ("train", "select")
        )
        return FindingsObjective(found, checked, recipe)
    films = _both(
        data,
        lambda part: load_films(part, model.input, labels, advance, cropped),
        lambda read: _one_label(read, labels),
    )
    return BinaryObjective(*films, recipe)


def _both(
    data: DataOf, read: Callable[[DataOf], Read], lacks: Callable[[Read], str]
) -> tuple[Read, Read]:
    """Train and select; the smaller is read first, to refuse before the long reading."""
    select = read(data.part("select"))
    lack = lacks(select)
    if lack:
        raise DataError(
            f"part 'select' of {data.name}: {lack}, so it can choose no epoch and no threshold. "
            "Give a data folder with more patients."
        )
    return read(data.part("train")), select


def _no_mask(select: MaskArrays) -> str:
    return "" if (select.masks == THERE).any() else f"none of {len(select.masks)} films has a mask"


def _no_box(select: BoxArrays) -> str:
    return "" if any(map(len, select.truth)) else f"none of {len(select.truth)} films has a box"


def _one_label(select: FilmArrays, labels: tuple[str, ...]) -> str:
    missing = [label for k, label in enumerate(labels) if k not in select.labels]
    return f"no film of {len(select.labels)} is {' or '.join(missing)}" if missing else ""
