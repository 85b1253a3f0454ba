"""Which data a model learns from, and what it learns: from a spec to an objective."""

from collections.abc import Callable
from pathlib import Path

from ...profiles.boxes import BoxDataset, read_box_dataset
from ...profiles.datasets import Dataset, read_dataset, read_findings_dataset
from ...profiles.folds import apply_fold, parse_fold
from ...profiles.masks import MaskDataset, read_mask_dataset
from ...runtime.errors import DataError, ModelError
from ...runtime.figures import Part
from ...runtime.spec import ModelSpec
from .binary import BinaryObjective
from .boxes import BoxObjective, load_boxes
from .cropping import lung_cropper
from .films import load_films
from .findings import FindingsObjective, load_findings
from .masks import MaskObjective, load_masks
from .objective import Objective
from .prompts import PromptObjective, load_prompts
from .recipe import Recipe

Data = Dataset | MaskDataset | BoxDataset
_BOTH: tuple[Part, ...] = ("train", "select")


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
        WeightsMissingError: a lung-crop model, and `lungs-128` has no weights.
    """
    if isinstance(data, MaskDataset) and model.task == "promptable-segmentation":
        asked = [load_prompts(data.part(p).films, model.input, advance) for p in _BOTH]
        return PromptObjective(asked[0], asked[1], recipe)
    if isinstance(data, MaskDataset):
        train, select = (
            load_masks(data.part(part).films, model.input, advance) for part in ("train", "select")
        )
        return MaskObjective(train, select, recipe)
    if isinstance(data, BoxDataset):
        learnt, checking = (load_boxes(data.part(p), model, advance) for p in ("train", "select"))
        if model.detection is None:
            raise ModelError(f"'{model.name}' has no rules of detection; a detector needs them.")
        return BoxObjective(learnt, checking, recipe, model.detection)
    labels = model.outputs[0].labels
    cropped = lung_cropper(folders) if model.input.region == "lungs" else None
    parts = (data.part("train"), data.part("select"))
    if model.task == "findings":
        found, checked = (
            load_findings(part, model.input, labels, advance, cropped) for part in parts
        )
        return FindingsObjective(found, checked, recipe)
    films, judged = (load_films(part, model.input, labels, advance, cropped) for part in parts)
    return BinaryObjective(films, judged, recipe)
