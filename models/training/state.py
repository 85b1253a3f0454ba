"""What a run needs to go on exactly where it stopped, in one file that is never half-written."""

import io
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...runtime.errors import CheckpointError, ModelError
from ...runtime.files import write_atomic
from .recipe import Recipe

FORM = "clinicedge-run-1"
_USUAL = {f.name: f.default for f in fields(Recipe) if f.default is not MISSING}


@dataclass(frozen=True)
class EpochFigures:
    """One line of the curves. `score_name`: what the select score is, e.g. "Dice"."""

    epoch: int
    train_loss: float
    select_loss: float
    select_score: float
    learning_rate: float
    seconds: float
    score_name: str = "AUC"


@dataclass
class RunState:
    """Where a run stands. Batches and augmentation follow from seed, epoch and step alone, so
    no generator's state is kept.

    `data`: what `fingerprint` says of the films, "" in files from before it was kept. `seconds`:
    of training so far, with the run on easier labels that it began with.
    """

    recipe: dict[str, Any]
    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0
    history: list[EpochFigures] = field(default_factory=list)
    best_epoch: int = -1
    best: dict[str, Tensor] = field(default_factory=dict)
    finished: bool = False
    data: str = ""


class MovingAverage:
    """Exponential moving average of weights and normalization statistics.

    The decay starts low, so the first steps, and what was averaged before them, do not weigh for
    long.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.values = {k: v.detach().clone() for k, v in module.state_dict().items()}

    def update(self, module: nn.Module, step: int) -> None:
        """Take in the values after optimizer step `step`, from 0 for films of this size."""
        decay = min(self.decay, (1 + step) / (10 + step))
        with torch.no_grad():
            for key, value in module.state_dict().items():
                if value.is_floating_point():
                    self.values[key].lerp_(value, 1 - decay)
                else:
                    self.values[key].copy_(value)


def save_state(
    path: Path, state: RunState, module: nn.Module, optimizer: Any, ema: MovingAverage
) -> None:
    """Write the checkpoint; a kill at any moment leaves the old file or the new one."""
    content = {
        "form": FORM,
        "run": {**vars(state), "history": [vars(line) for line in state.history]},
        "module": module.state_dict(),
        "optimizer": optimizer.state_dict(),
        "ema": ema.values,
    }
    stream = io.BytesIO()
    torch.save(content, stream)
    write_atomic(path, stream.getvalue())


def load_state(
    path: Path, wanted: RunState, module: nn.Module, optimizer: Any, ema: MovingAverage
) -> RunState:
    """Put a checkpoint's values back.

    Args:
        wanted: the run's recipe and data.

    Raises:
        CheckpointError: the file is damaged, of another form, recipe or network, or of other data.
    """
    try:
        if not zipfile.is_zipfile(path):
            raise OSError("it is cut short or no checkpoint")
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as err:
        raise CheckpointError(
            f"cannot read the checkpoint {path}: {err}. Remove it to start anew."
        ) from err
    if not isinstance(content, dict) or content.get("form") != FORM:
        raise CheckpointError(f"{path} is no {FORM} checkpoint. Remove it to start anew.")
    run = content["run"]
    _refuse_another(path, run, wanted)
    try:
        module.load_state_dict(content["module"])
        optimizer.load_state_dict(content["optimizer"])
    except (RuntimeError, ValueError, KeyError) as err:
        raise CheckpointError(f"{path} is of another network: {err}") from err
    for key, value in content["ema"].items():
        ema.values[key].copy_(value)
    history = [EpochFigures(**line) for line in run["history"]]
    return RunState(**{**run, "history": history, "data": wanted.data or run.get("data", "")})


def kept(state: RunState, recipe: Recipe) -> RunState:
    """The state of an ended run, which has weights to ship.

    Raises:
        ModelError: no epoch, at full size where there was one, came to a finite figure.
    """
    full = recipe.first_full_epoch
    if state.best and (state.best_epoch >= full or full >= recipe.epochs):
        return state
    raise ModelError(
        f"none of {len(state.history)} epochs{' at full size' if state.best else ''} came to a "
        "finite loss and score on the part select, so there are no weights to keep: training "
        "diverged. Try a lower learning rate (peak_lr of the recipe), check the films, and "
        "choose another --out or remove the run folder."
    )


def _refuse_another(path: Path, run: Mapping[str, Any], wanted: RunState) -> None:
    # A run from before a number was added had its usual value.
    stored = {**_USUAL, **run["recipe"]}
    changed = [k for k, value in wanted.recipe.items() if stored.get(k) != value]
    if changed:
        raise CheckpointError(
            f"{path} was made with another recipe ({', '.join(changed)} differ). "
            "Resume with the same options, or choose another --out."
        )
    data = run.get("data", "")
    if data and wanted.data and data != wanted.data:
        raise CheckpointError(
            f"{path} was made with other data: folder, fold, or the films of train and select, "
            "their labels or patients differ. Resume with the same --data and --fold, or choose "
            "another --out."
        )
