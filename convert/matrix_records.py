"""The matrix as data: every model x format x precision, what it costs and what it lost."""

from dataclasses import dataclass
from typing import Literal

from ..profiles.machine import Machine
from ..runtime.figures import Figure
from ..runtime.manifest import Format, Precision
from ..runtime.spec import Task

MATRIX_SCHEMA = 1
State = Literal["made", "failed", "missing"]


@dataclass(frozen=True)
class Measured:
    """One figure of a cell: `name` e.g. "accuracy", "Dice"; `label` the finding, "" for one
    answer; `where` the data and part it is of, e.g. "kermany224, guard"."""

    name: str
    label: str
    where: str
    figure: Figure


@dataclass(frozen=True)
class CellParity:
    """Raw scores and decisions against the source model, on `n_films` films of `data`."""

    max_abs_difference: float
    cosine: float
    decision_agreement: float
    n_films: int
    data: str


@dataclass(frozen=True)
class Cell:
    """A format in a precision.

    Attributes:
        reason: why it is not made, in the tool's own words; "" where it is.
        bytes: of its files; of a pipeline all members'.
        latency_ms: median of engine runs on this machine; of a pipeline the sum of its members'.
        latency_note: why there is no latency, else "".
        figures_note: why there are no figures of guard, else "".
    """

    format: Format
    precision: Precision
    state: State
    reason: str = ""
    bytes: int | None = None
    parity: CellParity | None = None
    figures: tuple[Measured, ...] = ()
    latency_ms: float | None = None
    latency_note: str = ""
    figures_note: str = ""


@dataclass(frozen=True)
class Row:
    """A model or a pipeline. `members` are the models of a pipeline, () for a model; `notes`
    what a reader should know."""

    name: str
    task: Task
    kind: Literal["model", "pipeline"]
    members: tuple[str, ...]
    cells: tuple[Cell, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Matrix:
    """All rows. `command` makes it again; `load` is the machine's 1-minute load at the start.

    `pending`: models and pipelines that are not reached yet; a run that was stopped leaves them.
    """

    schema: int
    command: str
    date: str
    machine: Machine
    threads: int
    load: float
    rows: tuple[Row, ...]
    pending: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every cell was made."""
        return not self.pending and all(
            cell.state == "made" for row in self.rows for cell in row.cells
        )

    def count(self, state: State) -> int:
        """Cells in that state."""
        return sum(cell.state == state for row in self.rows for cell in row.cells)
