"""Progress bars of a training run."""

from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..models.training.run import Progress as TrainingProgress
from ..models.training.state import EpochFigures, RunState


class Bars(TrainingProgress):
    """Films read, then steps of the epoch; a line after each epoch; all on stderr.

    `title` goes before what is done, where several runs share the bar.
    """

    title = ""

    def __init__(self) -> None:
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task = self._bars.add_task("reading films", total=None)
        self._steps: Sequence[int] = ()

    def __enter__(self) -> "Bars":
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def reading(self, n_films: int) -> None:
        """Films are going to be read."""
        name = f"{self.title}reading films"
        self._bars.reset(self._task, total=n_films, description=name)

    def say(self, line: str) -> None:
        """A line above the bar."""
        self._bars.console.print(line, highlight=False, markup=False)

    def read(self) -> None:
        """One film was read."""
        self._bars.advance(self._task)

    def training(self, steps: Sequence[int], state: RunState) -> None:
        """Training begins or goes on; `steps` of each epoch."""
        self._steps = steps
        self._show(state.epoch, state.step)

    def _show(self, epoch: int, done: int) -> None:
        if epoch < len(self._steps):
            name, total = f"{self.title}epoch {epoch + 1}", self._steps[epoch]
            self._bars.reset(self._task, total=total, completed=done, description=name)

    def step(self) -> None:
        """One optimizer step was made."""
        self._bars.advance(self._task)

    def epoch(self, figures: EpochFigures) -> None:
        """An epoch ended."""
        self._bars.console.print(
            f"epoch {figures.epoch + 1}: loss {figures.train_loss:.4f}, "
            f"select loss {figures.select_loss:.4f}, "
            f"select {figures.score_name} {figures.select_score:.4f}"
        )
        self._show(figures.epoch + 1, 0)
