"""Milliseconds of artifacts, for the benchmarks that compare several."""

import statistics
from collections.abc import Sequence

from clinicedge.profiles.measure import Cell, Rounds, interleave, sample
from clinicedge.runtime import Bundle


def silent(_done: int, _total: int, _what: str) -> None:
    """No bar in a benchmark."""


def medians(bundle: Bundle, wanted: Sequence[Cell], plan: Rounds) -> dict[Cell, float]:
    """Milliseconds in fresh processes, interleaved: the median of each cell's round medians."""
    seen: dict[Cell, list[float]] = {cell: [] for cell in wanted}

    def ask(cell: Cell, _round: int) -> None:
        taken = sample(bundle, cell, plan.seconds, plan.runs)
        seen[cell].append(statistics.median(taken.steady_ms))

    interleave(tuple(wanted), plan.rounds, ask, silent)
    return {cell: statistics.median(values) for cell, values in seen.items()}
