"""The training loop: one model, one data folder, one run folder."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ...runtime.spec import InputSpec
from .augment import shrink, to_input
from .objectives.objective import Asking, Objective
from .recipe import Recipe
from .state import EpochFigures, MovingAverage, RunState, kept, load_state, save_state

CHECKPOINT = "checkpoint.pt"
_PRIME = 1_000_003
_AUGMENTATION = 1 << 60
# Films at once where nothing is learned; encoders with attention need more memory a film.
_BATCH, _ASKED_BATCH = 64, 16


@dataclass(frozen=True)
class Watch:
    """What the loop tells while it runs: each step, each finished epoch."""

    step: Callable[[], None] = lambda: None
    epoch: Callable[[EpochFigures], None] = lambda _: None


class Trainer:
    """Trains a network; all that changes is in `state`, so a run can stop and go on.

    Args:
        spec: the network's input.
        folder: where checkpoint.pt is kept.
        device: torch's name of the device.
        data: the films' fingerprint; "" checks none on `resume`.
    """

    def __init__(
        self,
        module: nn.Module,
        spec: InputSpec,
        recipe: Recipe,
        folder: Path,
        device: str,
        data: str = "",
    ) -> None:
        self.recipe, self.spec, self.folder = recipe, spec, folder
        self.device = torch.device(device)
        # torch's stubs know no memory_format alone
        self.module = module.to(self.device)
        self.module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = _optimizer(self.module, recipe)
        self.ema = MovingAverage(self.module, recipe.ema_decay)
        self.state = RunState(recipe=asdict(recipe), data=data)

    @property
    def checkpoint(self) -> Path:
        """The file that `resume` reads."""
        return self.folder / CHECKPOINT

    def resume(self) -> None:
        """Go on from the checkpoint.

        Raises:
            CheckpointError: it does not fit this run.
        """
        self.state = load_state(self.checkpoint, self.state, self.module, self.optimizer, self.ema)

    def train(self, objective: Objective, watch: Watch) -> RunState:
        """Train to the end; select films choose the epoch and when to stop, nothing else.

        Raises:
            ModelError: no epoch came to a finite figure.
        """
        while not self.state.finished:
            self._epoch(objective, watch)
            self._close_epoch(objective, watch)
        return kept(self.state, self.recipe)

    def steps(self, n_films: int, epoch: int) -> int:
        """Batches of an epoch; the last, incomplete one is left out."""
        steps = max(1, n_films // self.recipe.batch)
        steps = min(steps, self.recipe.max_steps or steps)
        return steps if self.recipe.side(epoch) else min(steps, self.recipe.full_steps or steps)

    def _of_this_size(self, films: int) -> range:
        """The steps of the run with films of the size that they have in this epoch."""
        recipe = self.recipe
        side = recipe.side(self.state.epoch)
        first = next(e for e in range(recipe.epochs) if recipe.side(e) == side)
        number = sum(1 for e in range(recipe.epochs) if recipe.side(e) == side)
        before = sum(self.steps(films, e) for e in range(first))
        return range(before, before + sum(self.steps(films, first + e) for e in range(number)))

    def _epoch(self, objective: Objective, watch: Watch) -> None:
        state, films = self.state, len(objective)
        steps = self.steps(films, state.epoch)
        before = sum(self.steps(films, epoch) for epoch in range(state.epoch))
        # An average with the steps of another size, normalization statistics of smaller films
        # above all, would fit neither.
        at_this_size = before - self._of_this_size(films).start
        cycle = self._cycle(films)
        shuffle = torch.Generator().manual_seed(self.recipe.seed + _PRIME * (state.epoch + 1))
        order = torch.randperm(len(objective), generator=shuffle).numpy()
        self.module.train()
        self._hold(state.epoch < self.recipe.frozen_epochs)
        saved = began = time.monotonic()
        while state.step < steps:
            batch = order[state.step * self.recipe.batch : (state.step + 1) * self.recipe.batch]
            state.loss_sum += self._step(objective, batch, before + state.step, cycle)
            self.ema.update(self.module, at_this_size + state.step)
            state.step += 1
            watch.step()
            now = time.monotonic()
            if now - saved > 60 * self.recipe.checkpoint_minutes:
                state.seconds += now - began
                saved = began = now
                save_state(self.checkpoint, state, self.module, self.optimizer, self.ema)
        state.seconds += time.monotonic() - began

    def _hold(self, still: bool) -> None:
        """Whether the part of the network that `Recipe.frozen_epochs` is about learns nothing."""
        part = getattr(self.module, "first_part", None)
        if isinstance(part, nn.Module):
            part.requires_grad_(not still)

    def _cycle(self, films: int) -> range:
        """The steps of the run in which the learning rate rises and falls once."""
        if self.recipe.schedule == "cycle-a-size":
            return self._of_this_size(films)
        return range(sum(self.steps(films, epoch) for epoch in range(self.recipe.epochs)))

    def _step(
        self, objective: Objective, batch: NDArray[np.int64], number: int, cycle: range
    ) -> float:
        """Step `number` of the run, from 0."""
        seed = self.recipe.seed * _PRIME + number
        torch.manual_seed(seed)
        # Numbers of its own: with dropout's seed both would draw the same ones.
        own = torch.Generator().manual_seed(seed + _AUGMENTATION)
        pixels, targets = objective.batch(batch, own)
        side = self.recipe.side(self.state.epoch)
        if side:
            pixels, targets = shrink(pixels, targets, side)
        x = to_input(pixels, self.spec).to(self.device)
        scores = [line.select_score for line in self.state.history]
        rate = self.recipe.learning_rate(number - cycle.start, len(cycle), scores)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        targets = targets.to(self.device)
        with autocast(self.device):
            if isinstance(objective, Asking):
                outputs = objective.outputs(self.module, x, targets)
            else:
                outputs = self.module(x)
        loss = objective.loss(outputs.float(), targets)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return float(loss.detach())

    def _close_epoch(self, objective: Objective, watch: Watch) -> None:
        state = self.state
        loss, score = self._judge(objective)
        line = EpochFigures(
            epoch=state.epoch,
            train_loss=state.loss_sum / state.step,
            select_loss=loss,
            select_score=score,
            learning_rate=float(self.optimizer.param_groups[0]["lr"]),
            seconds=state.seconds,
            score_name=objective.score_name,
        )
        state.history.append(line)
        if self._is_best(line):
            state.best_epoch = state.epoch
            state.best = {k: v.detach().cpu().clone() for k, v in self.ema.values.items()}
        state.epoch, state.step, state.loss_sum = state.epoch + 1, 0, 0.0
        stale = state.epoch - 1 - state.best_epoch
        state.finished = state.epoch >= self.recipe.epochs or stale >= self.recipe.patience
        save_state(self.checkpoint, state, self.module, self.optimizer, self.ema)
        watch.epoch(line)

    def _is_best(self, line: EpochFigures) -> bool:
        """Whether the last epoch is to be kept; what came before full size does not compete.

        Equal is not better. Without a finite loss no score counts: masks of NaN are empty ones.
        """
        history = self.state.history[min(self.recipe.first_full_epoch, line.epoch) :]
        sound = [h for h in history if math.isfinite(h.select_loss)]
        by_score = self.recipe.keep == "score"
        goodness = {h.epoch: h.select_score if by_score else -h.select_loss for h in sound}
        last = goodness.pop(line.epoch, math.nan)
        return math.isfinite(last) and all(last > g for g in goodness.values() if g == g)

    def _judge(self, objective: Objective) -> tuple[float, float]:
        """Loss and score of the averaged weights on the select part, in float32.

        A network that has seen small films alone is judged on small ones. One that diverged, so
        that an output is not finite, gets NaN for both.
        """
        side = self.recipe.side(self.state.epoch)
        kept = {k: v.detach().clone() for k, v in self.module.state_dict().items()}
        self.module.load_state_dict(self.ema.values)
        ask = objective.select_outputs if isinstance(objective, Asking) else None
        batch = _BATCH if ask is None else _ASKED_BATCH
        outputs = predict_raw(self.module, objective.select_pixels, self.spec, batch, side, ask)
        self.module.load_state_dict(kept)
        return objective.judge(outputs) if np.isfinite(outputs).all() else (math.nan, math.nan)


def predict_raw(
    module: nn.Module,
    pixels: NDArray[np.uint8],
    spec: InputSpec,
    batch: int = _BATCH,
    side: int = 0,
    ask: Callable[[nn.Module, Tensor, slice], Tensor] | None = None,
) -> NDArray[np.float32]:
    """Raw outputs float32 (N, ...) of uint8 films (N, H, W) in evaluation mode, full precision.

    With `side` the network sees films shrunk to it; masks are widened again to (H, W). `ask` runs
    a network that takes more than films; the slice tells which of them.
    """
    module.eval()
    device = next(module.parameters()).device
    parts = []
    with torch.inference_mode():
        for i in range(0, len(pixels), batch):
            films = torch.from_numpy(pixels[i : i + batch])
            films = shrink(films, films, side)[0] if side else films
            x = to_input(films, spec).to(device)
            found = (module(x) if ask is None else ask(module, x, slice(i, i + batch))).float()
            if side and found.ndim == 4:
                found = functional.interpolate(found, pixels.shape[1:], mode="bilinear")
            parts.append(found.cpu().numpy())
    return np.concatenate(parts)


def autocast(device: torch.device) -> torch.autocast:
    """Mixed precision: bfloat16 needs no loss scaling. Its loss was not compared with float32's."""
    if device.type == "cpu":
        return torch.autocast("cpu", torch.bfloat16, enabled=_cpu_has_bf16())
    return torch.autocast(device.type, torch.bfloat16)


def _cpu_has_bf16() -> bool:
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _optimizer(module: nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW; normalization and bias are not decayed."""
    decayed = [p for p in module.parameters() if p.ndim > 1]
    rest = [p for p in module.parameters() if p.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": rest, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.peak_lr)
