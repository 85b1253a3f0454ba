"""The published comparison of MobileNets, run by run: a cell is a variant, a scheme, a shuffle.

The paper shuffled all films by image, so that films of one child stand on both sides. Each run is
made a second time by patient. All runs stay within the official train part; the official test
films are not read.
"""

import fnmatch
import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np

from ...profiles.datasets import Dataset
from ...profiles.metrics import evaluate_binary
from ...profiles.splits import By, find_overlap, shuffled_parts
from ...runtime.errors import DataError, SchemaError
from ...runtime.figures import Figure
from ...runtime.files import write_atomic
from ...runtime.records import dump_bytes, from_json
from ..mobilenets import VARIANTS
from ..zoo import build, spec
from .fingerprint import fingerprint
from .judging.binary import score_films
from .judging.judgement import one_sided
from .recipe import Recipe
from .run import Progress, TrainOptions, train_network

SCHEMES: dict[str, tuple[int, int, int]] = {
    "80-10-10": (80, 10, 10),
    "70-15-15": (70, 15, 15),
    "60-20-20": (60, 20, 20),
}
SHUFFLES = 3
# Instead of patterns of cells: the table of what was run before.
NO_CELLS = ("none",)
EPOCHS = 24
SMALL_SIDE = 96
# The larger of two probabilities decides, as published; no threshold is chosen.
THRESHOLD = 0.5


@dataclass(frozen=True)
class Cell:
    """One run of the table."""

    model: str
    scheme: str
    by: By
    shuffle: int

    @property
    def name(self) -> str:
        """e.g. "mobilenet-0.5-160:80-10-10:patient:0"."""
        return f"{self.model}:{self.scheme}:{self.by}:{self.shuffle}"


@dataclass(frozen=True)
class CellResult:
    """What a run came to on its test films.

    `shared_patients`: of train and test together. `films`: their fingerprint, "" in files from
    before it was kept.
    """

    cell: Cell
    data: str
    n_train: int
    n_test: int
    shared_patients: int
    accuracy: Figure
    auc: Figure
    epochs: int
    kept_epoch: int
    max_steps: int | None
    minutes: float
    films: str = ""

    @property
    def length(self) -> tuple[float, int]:
        """Sorts runs from the shortest: steps an epoch, then epochs."""
        return _length(self.max_steps, self.epochs)

    def stands_for(self, recipe: Recipe) -> bool:
        """Whether the run was as long as this recipe's, or longer."""
        return self.length >= _length(recipe.max_steps, recipe.epochs)


def _length(max_steps: int | None, epochs: int) -> tuple[float, int]:
    return math.inf if max_steps is None else max_steps, epochs


def all_cells() -> tuple[Cell, ...]:
    """Every run, the paper's main scheme first."""
    return tuple(
        Cell(model, scheme, by, shuffle)
        for scheme in SCHEMES
        for by in get_args(By)
        for shuffle in range(SHUFFLES)
        for model in VARIANTS
    )


def pick_cells(patterns: Sequence[str]) -> tuple[Cell, ...]:
    """The runs whose names match any of the patterns; all without patterns, `NO_CELLS` for none.

    Raises:
        DataError: a pattern matches none.
    """
    if tuple(patterns) == NO_CELLS:
        return ()
    found: dict[Cell, None] = {}
    for pattern in patterns or ("*",):
        matching = [c for c in all_cells() if fnmatch.fnmatchcase(c.name, pattern)]
        if not matching:
            raise DataError(
                f"no run is called {pattern!r}; expected e.g. 'mobilenet-0.25-*:80-10-10:*:*': "
                "model, scheme, image or patient, shuffle 0 to 2; or none, alone."
            )
        found |= dict.fromkeys(matching)
    return tuple(found)


def paper_recipe(epochs: int | None = None, quick: bool = False) -> Recipe:
    """The same for every run, always from fresh weights: ours have seen the films."""
    chosen = epochs or EPOCHS
    small = min(round(chosen * 2 / 3), chosen - 1)
    recipe = Recipe(epochs=chosen, small_epochs=small, small_side=SMALL_SIDE)
    if quick:
        recipe = replace(
            recipe, epochs=epochs or 1, batch=8, max_steps=2, small_epochs=0, small_side=0
        )
    return recipe


def cell_data(data: Dataset, cell: Cell) -> Dataset:
    """The official train films with the parts that the cell's shuffle gives them.

    Raises:
        DataError: there are none.
    """
    films = [f for f in data.films if f.official == "train"]
    if not films:
        raise DataError(f"{data.root} has no film of the official train part; expected some.")
    parts = shuffled_parts(
        [str(f.path.relative_to(data.root.resolve())) for f in films],
        [f.patient_key for f in films],
        SCHEMES[cell.scheme],
        cell.shuffle,
        cell.by,
    )
    moved = (replace(f, part=part) for f, part in zip(films, parts, strict=True))
    return replace(data, films=tuple(moved))


def result_file(out: Path, cell: Cell) -> Path:
    """Where a run's figures are kept."""
    return out / "runs" / cell.model / cell.scheme / cell.by / f"shuffle-{cell.shuffle}.json"


def read_result(out: Path, cell: Cell) -> CellResult | None:
    """A run's figures, None where it was not run to its end.

    Raises:
        SchemaError: the file is damaged.
    """
    path = result_file(out, cell)
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_bytes())
    except (UnicodeDecodeError, json.JSONDecodeError) as err:
        raise SchemaError(
            f"{path} is not JSON ({err}). Remove it to run {cell.name} again."
        ) from err
    return from_json(CellResult, content, str(path))


def cells_to_run(
    data: Dataset, cells: Sequence[Cell], recipe: Recipe, out: Path
) -> tuple[Cell, ...]:
    """Those without a finished run of at least this recipe's length.

    Raises:
        DataError: a finished run was made of other films.
        SchemaError: a run's file is damaged.
    """
    open_cells = []
    for cell in cells:
        known = read_result(out, cell)
        if known is not None and known.films not in ("", _films(cell_data(data, cell))):
            raise DataError(
                f"{result_file(out, cell)} was made of {known.data} with other films, labels or "
                f"patients than {data.root} has now; expected the same in one table. Choose "
                "another folder for --paper-table, or remove that file."
            )
        if known is None or not known.stands_for(recipe):
            open_cells.append(cell)
    return tuple(open_cells)


def _films(data: Dataset) -> str:
    return fingerprint(data, "train", "select", "test")


def run_cell(
    data: Dataset, cell: Cell, recipe: Recipe, options: TrainOptions, progress: Progress
) -> CellResult:
    """Train and test one run, or go on where it stopped; its checkpoint goes when it is done.

    Args:
        options: `out` is the table's folder.

    Raises:
        CheckpointError: it was begun with another recipe.
        DataError: select or test lacks one of the labels.
    """
    path, model = result_file(options.out, cell), spec(cell.model)
    shuffled = cell_data(data, cell)
    train, test = shuffled.part("train"), shuffled.part("test")
    positive = model.outputs[0].positive_label or ""
    positives = np.array(test.positives(positive))
    lack = one_sided(positives)
    if lack:
        raise DataError(f"{cell.name}, part 'test': {lack} {positive}; give more films.")
    inside = replace(options, out=path.parent, folder=path.stem, resume=True)
    trainer, state = train_network(cell.model, shuffled, recipe, inside, progress)
    module = build(cell.model)
    module.load_state_dict(state.best)
    scores = score_films(module, test, model.input, None)
    figures = evaluate_binary(scores, positives, test.patients(), THRESHOLD)
    result = CellResult(
        cell=cell,
        data=data.name,
        n_train=len(train.films),
        n_test=len(test.films),
        shared_patients=len(find_overlap(train.key_hashes(), test.key_hashes())),
        accuracy=figures.accuracy,
        auc=figures.auc,
        epochs=recipe.epochs,
        kept_epoch=state.best_epoch + 1,
        max_steps=recipe.max_steps,
        minutes=state.seconds / 60,
        films=_films(shuffled),
    )
    write_atomic(path, dump_bytes(result))
    shutil.rmtree(trainer.folder, ignore_errors=True)
    return result
