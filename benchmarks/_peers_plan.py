"""How the rows of the lesion table are measured: one plan, an entry a row, rounds interleaved."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from _peers_common import PeerError
from _peers_films import Held, TimedFilm
from _peers_table import Row, with_samples

from clinicedge.profiles.mask_metrics import MaskFigures
from clinicedge.profiles.measure import Rounds, interleave
from clinicedge.profiles.worker import Sample
from clinicedge.runtime.errors import ClinicEdgeError


@dataclass(frozen=True)
class Plan:
    """How everything is measured. `held` None: no accuracy. `engine` is of our own rows."""

    film: TimedFilm
    held: Held | None
    rounds: Rounds
    threads: int
    engine: str


@dataclass(frozen=True, eq=False)
class Entry:
    """A row to be, and how to time it in a fresh process; None: it cannot run."""

    row: Row
    take: Callable[[], Sample] | None = None

    @property
    def name(self) -> str:
        """For a progress line."""
        return self.row.model


def progress(done: int, total: int, what: str) -> None:
    """A line on stderr now and then."""
    if done % max(1, total // 20) == 0:
        print(f"{done} of {total}: {what}", file=sys.stderr, flush=True)


def judged(row: Row, measure: Callable[[], MaskFigures]) -> Row:
    """The row with Dice and IoU, or with why there are none."""
    try:
        figures = measure()
    except (ClinicEdgeError, PeerError) as err:
        return row.noted(f"accuracy not measured: {err}")
    return replace(row, dice=figures.dice, iou=figures.iou)


def time_all(entries: Sequence[Entry], rounds: int) -> list[Row]:
    """Every entry that runs, interleaved; one that failed once is left alone."""
    samples: dict[Entry, list[Sample]] = {}
    failed: dict[Entry, str] = {}

    def ask(entry: Entry, _round: int) -> None:
        if entry.take is None or entry in failed:
            return
        try:
            samples.setdefault(entry, []).append(entry.take())
        except (ClinicEdgeError, PeerError) as err:
            failed[entry] = str(err)

    interleave([e for e in entries if e.take is not None], rounds, ask, progress)
    rows = []
    for entry in entries:
        if entry in failed:
            rows.append(entry.row.noted(f"not timed: {failed[entry]}"))
        else:
            taken = samples.get(entry)
            rows.append(with_samples(entry.row, taken) if taken else entry.row)
    return rows
