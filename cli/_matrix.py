"""`clinicedge convert --all`: the whole zoo, one bar, one report."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from ..convert import ConvertOptions
    from ..convert.matrix_records import Matrix

EMPTY_CELLS = 1


def run_matrix(
    options: "ConvertOptions",
    only: tuple[str, ...],
    plain: bool,
    how: tuple[Path, int, bool, bool],
) -> None:
    """Make the matrix and its report.

    Args:
        how: folder of the report, which is written anew after each model, threads of the
            latencies, whether test parts are read, whether the document goes to stdout.
    """
    from ..convert.matrix import Wish, chosen_names, make_matrix
    from ..convert.matrix_report import write_report
    from .printing import print_json, progress_bar

    folder, threads, tests, as_json = how
    names = chosen_names(only, plain)
    wish = Wish(names, options, threads, tests, ("clinicedge", *sys.argv[1:]))
    with progress_bar() as move:
        matrix = make_matrix(
            wish,
            lambda what, step, steps: move(step, steps, what),
            lambda so_far: write_report(so_far, folder),
        )
    written = write_report(matrix, folder)
    if as_json:
        print_json(matrix)
    else:
        _print(matrix)
        print("written: " + ", ".join(str(path) for path in written))
    if not matrix.complete:
        raise typer.Exit(EMPTY_CELLS)


def _print(matrix: "Matrix") -> None:
    from ..convert.matrix_report import about
    from .printing import print_table

    print_table(
        "Cells that were made, of each model and pipeline",
        ("name", "kind", ">made", "what is missing"),
        [
            (
                row.name,
                row.kind,
                f"{sum(c.state == 'made' for c in row.cells)}/{len(row.cells)}",
                "; ".join(dict.fromkeys(c.reason for c in row.cells if c.reason)),
            )
            for row in matrix.rows
        ],
    )
    print(about(matrix))
