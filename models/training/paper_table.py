"""The published comparison of MobileNets as a table: what was run, beside what was published."""

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from ...profiles.splits import By
from ...runtime.files import write_atomic
from ...runtime.predictions import CAUTION
from ...runtime.records import dump_bytes
from ..mobilenets import VARIANTS
from .paper_cells import SCHEMES, SHUFFLES, CellResult, all_cells, read_result

PUBLISHED = "98.0 % +- 0.17"
NOT_MEASURED = "not measured"
NOT_GIVEN = "not given per variant"
_OF_ONE_LENGTH = " A mean is of the longest runs of its row alone."
IMAGE_NOTE = (
    "By image, films of one child stand in train and in test; by patient they do not: what is "
    "higher by image is flattered. Our recipe weighs both labels alike, so at one half it misses "
    "some of the commoner one; the AUC (mean) needs no threshold."
)


@dataclass(frozen=True)
class PaperRow:
    """One variant under one scheme; shares. `accuracy_sd` is None with fewer than two shuffles."""

    model: str
    scheme: str
    by: By
    shuffles: int
    accuracy_mean: float | None
    accuracy_sd: float | None
    auc_mean: float | None


@dataclass(frozen=True)
class PaperTable:
    """All rows, and the runs behind them."""

    published: str
    rows: tuple[PaperRow, ...]
    runs: tuple[CellResult, ...]


def collect(out: Path) -> PaperTable:
    """Read every finished run.

    Raises:
        SchemaError: a run's file is damaged.
    """
    results = [r for r in (read_result(out, cell) for cell in all_cells()) if r is not None]
    rows = tuple(
        _row(model, scheme, by, results)
        for model in VARIANTS
        for scheme in SCHEMES
        for by in get_args(By)
    )
    return PaperTable(PUBLISHED, rows, tuple(results))


def write_table(out: Path) -> PaperTable:
    """Write paper-table.md and paper-table.json of all finished runs.

    Raises:
        OutputError: the folder cannot be written.
    """
    table = collect(out)
    write_atomic(out / "paper-table.json", dump_bytes(table))
    write_atomic(out / "paper-table.md", render(table).encode("utf-8"))
    return table


def _row(model: str, scheme: str, by: By, results: Sequence[CellResult]) -> PaperRow:
    """Of equally long runs alone, the longest."""
    mine = [r for r in results if (r.cell.model, r.cell.scheme, r.cell.by) == (model, scheme, by)]
    most = max((r.length for r in mine), default=None)
    mine = [r for r in mine if r.length == most]
    shares = [r.accuracy.value for r in mine]
    return PaperRow(
        model=model,
        scheme=scheme,
        by=by,
        shuffles=len(mine),
        accuracy_mean=statistics.fmean(shares) if shares else None,
        accuracy_sd=statistics.stdev(shares) if len(shares) > 1 else None,
        auc_mean=statistics.fmean(r.auc.value for r in mine) if mine else None,
    )


def in_words(row: PaperRow) -> str:
    """e.g. "95.9 +- 0.4; 0.987": percent, AUC; says where not all three shuffles were run."""
    if row.accuracy_mean is None or row.auc_mean is None:
        return NOT_MEASURED
    value = f"{100 * row.accuracy_mean:.1f}"
    if row.accuracy_sd is not None:
        value += f" +- {100 * row.accuracy_sd:.1f}"
    value += f"; {row.auc_mean:.3f}"
    return value if row.shuffles == SHUFFLES else f"{value} ({row.shuffles} of {SHUFFLES})"


def render(table: PaperTable) -> str:
    """The table as Markdown."""
    heads = [f"{scheme.replace('-', '/')}, by {by}" for scheme in SCHEMES for by in get_args(By)]
    theirs = f"ImageNet-initialised (published overall: {table.published})"
    lines = [
        "# The 16 MobileNets under the published splitting schemes",
        "",
        f"**{CAUTION[0].upper()}{CAUTION[1:]}.** Accuracy in percent, mean +- standard deviation "
        f"over {SHUFFLES} shuffles, the larger probability decides; then the AUC. Ours from "
        "scratch.",
        "",
        f"| model | {' | '.join(heads)} | {theirs} |",
        f"|---|{'---|' * (len(heads) + 1)}",
    ]
    for model in VARIANTS:
        cells = [
            in_words(row)
            for scheme in SCHEMES
            for by in get_args(By)
            for row in table.rows
            if (row.model, row.scheme, row.by) == (model, scheme, by)
        ]
        lines.append(f"| {model} | {' | '.join(cells)} | {NOT_GIVEN} |")
    return "\n".join([*lines, "", *_notes(table), ""])


def _notes(table: PaperTable) -> list[str]:
    runs = table.runs
    if not runs:
        return [IMAGE_NOTE, "", "No run has been made yet."]
    epochs = Counter((r.epochs, r.max_steps) for r in runs)
    told = ", ".join(
        f"{n} runs of {e} epochs" + (f" cut at {steps} steps" if steps else "")
        for (e, steps), n in sorted(epochs.items(), key=str)
    )
    shared = [r.shared_patients for r in runs if r.cell.by == "image"]
    notes = [
        IMAGE_NOTE,
        "",
        f"Films: the official train part of {', '.join(sorted({r.data for r in runs}))}, "
        f"{max(r.n_train + r.n_test for r in runs)} of them in train and test at most; the "
        "official test films were not read. The paper pooled all films of the set.",
        f"{len(runs)} of {len(all_cells())} runs were made: {told}."
        f"{_OF_ONE_LENGTH * (len(epochs) > 1)}",
    ]
    if shared:
        notes.append(
            f"Split by image, {min(shared)} to {max(shared)} patients were in train and in test."
        )
    return notes
