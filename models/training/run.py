"""`train`: from a data folder to a run folder with the final weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from ...runtime.errors import ModelError, OutputError
from ...runtime.spec import ModelSpec
from .. import weights
from ..fold_names import whole_name
from ..zoo import build, spec
from .easier import easier_data, easier_recipe, easier_spec
from .fingerprint import fingerprint
from .loop import CHECKPOINT, Trainer, Watch
from .recipe import Recipe
from .state import EpochFigures, RunState, kept
from .targets import Data, n_films, objective


@dataclass(frozen=True)
class TrainOptions:
    """How to run; what is trained is the recipe's.

    `weights`: folders where the weights of other models (the lungs', a start) are looked for.
    `folder`: the run folder's name below `out`, the model's where "".
    """

    out: Path
    resume: bool = False
    threads: int = 0
    device: str = "auto"
    weights: tuple[Path, ...] = ()
    folder: str = ""

    def run_folder(self, name: str) -> Path:
        """Where a model's run is kept."""
        return self.out / (self.folder or name)


class Progress:
    """What a caller may show; this one shows nothing."""

    def reading(self, n_films: int) -> None:
        """Films are going to be read."""

    def read(self) -> None:
        """One film was read."""

    def training(self, steps: Sequence[int], state: RunState) -> None:
        """Training begins or goes on; `steps` of each epoch."""

    def step(self) -> None:
        """One optimizer step was made."""

    def epoch(self, figures: EpochFigures) -> None:
        """An epoch ended."""


def pick_device(name: str) -> str:
    """ "auto" is the GPU where there is one.

    Raises:
        ModelError: torch has no such device.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ModelError(f"device {name!r}: torch finds no GPU on this machine; use 'cpu'.")
    if name.split(":")[0] not in ("cpu", "cuda"):
        raise ModelError(f"device {name!r}; expected auto, cpu or cuda.")
    return name


def train_network(
    name: str,
    data: Data,
    recipe: Recipe,
    options: TrainOptions,
    progress: Progress | None = None,
) -> tuple[Trainer, RunState]:
    """Train on the train part, choosing the epoch on select; no other part is read.

    Raises:
        CheckpointError: what is resumed is of another recipe or other data.
        DataError: films or labels are missing in train or select.
        ModelError: no such device or network, or no epoch came to a finite figure.
        OutputError: the folder holds an earlier run, and it is not resumed.
    """
    if whole_name(name) != name:
        raise ModelError(
            f"'{name}' is one fold of '{whole_name(name)}', expected the network's name. "
            f"Train it: clinicedge train {whole_name(name)} --fold K/N."
        )
    if options.threads:
        torch.set_num_threads(options.threads)
    model, folder = spec(name), options.run_folder(name)
    progress = progress or Progress()
    torch.manual_seed(recipe.seed)
    module, seconds = build(name), 0.0
    if recipe.start:
        weights.load_into(module, weights.find(spec(recipe.start), options.weights))
    if recipe.first_epochs and not (folder / CHECKPOINT).exists():
        first = _learn_first(module, data, (model, recipe), options, progress)
        module.load_state_dict(first.best)
        seconds = first.seconds
    device = pick_device(options.device)
    trainer = Trainer(module, model.input, recipe, folder, device, fingerprint(data))
    trainer.state.seconds = seconds
    if trainer.checkpoint.exists():
        if not options.resume:
            raise OutputError(
                f"{trainer.checkpoint} holds an earlier run; expected an empty run folder. "
                "Go on with --resume, choose another --out or remove it."
            )
        trainer.resume()
    return trainer, _train(trainer, model, data, options, progress)


def _learn_first(
    module: nn.Module,
    data: Data,
    wanted: tuple[ModelSpec, Recipe],
    options: TrainOptions,
    progress: Progress,
) -> RunState:
    """The run that a network begins with: easier labels, small films; in the folder's first/."""
    model, recipe = wanted
    short = easier_recipe(recipe)
    folder = options.run_folder(model.name) / "first"
    films = easier_data(model, data, recipe.first_labels)
    device = pick_device(options.device)
    trainer = Trainer(module, model.input, short, folder, device, fingerprint(films))
    if trainer.checkpoint.exists():
        trainer.resume()
    return _train(trainer, easier_spec(model, recipe.first_labels), films, options, progress)


def _train(
    trainer: Trainer, model: ModelSpec, data: Data, options: TrainOptions, progress: Progress
) -> RunState:
    state = trainer.state
    if state.finished:
        return kept(state, trainer.recipe)
    progress.reading(n_films(data))
    goal = objective(model, data, trainer.recipe, options.weights, progress.read)
    progress.training([trainer.steps(len(goal), e) for e in range(trainer.recipe.epochs)], state)
    return trainer.train(goal, Watch(progress.step, progress.epoch))
