"""The easier labels that a run may begin with, and the patients that it learns them from."""

from dataclasses import replace

from ...profiles.datasets import Dataset, read_dataset
from ...runtime.errors import DataError
from ...runtime.spec import ModelSpec
from .recipe import Recipe
from .targets import Data

Labels = tuple[str, ...]


def easier_spec(model: ModelSpec, labels: Labels) -> ModelSpec:
    """The same network, telling `labels` apart."""
    head = replace(model.outputs[0], labels=labels)
    return replace(model, task="classification", outputs=(head, *model.outputs[1:]))


def easier_recipe(recipe: Recipe) -> Recipe:
    """`first_epochs` epochs of small films."""
    epochs = recipe.first_epochs
    small = replace(recipe, epochs=epochs, small_epochs=epochs, middle_epochs=0)
    return replace(small, first_epochs=0, first_labels=())


def easier_data(model: ModelSpec, data: Data, labels: Labels) -> Dataset:
    """The train and select films with the easier labels, in the parts that `data` gives patients.

    A fold moves patients from train to select: they must not come back this way.

    Raises:
        DataError: the data folder has masks.
        DataManifestError: it has no such labels.
    """
    if not isinstance(data, Dataset):
        raise DataError(f"{data.root} has masks; expected labels {', '.join(labels)}.")
    found = read_dataset(data.root, labels)
    parts = {film.patient_key: film.part for film in data.films}
    films = (replace(f, part=parts.get(f.patient_key, f.part)) for f in found.films)
    return replace(found, films=tuple(f for f in films if f.part in ("train", "select")))


def all_seen(model: ModelSpec, data: Data, labels: Labels) -> Data:
    """`data` with the films that only the easier `labels` added; () added none."""
    if not labels or not isinstance(data, Dataset):
        return data
    known = {film.path for film in data.films}
    added = (f for f in easier_data(model, data, labels).films if f.path not in known)
    return replace(data, films=(*data.films, *added))
