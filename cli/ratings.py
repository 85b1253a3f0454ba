"""`clinicedge ratings`: what clinicians think of the heat maps."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..edge_server.ratings import RatingList

app = typer.Typer(
    help="What the clinicians of a box think of its heat maps.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def _group() -> None:
    """One verb is a verb of its own too."""


@app.command()
def export(
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of the cases. [default: where `clinicedge serve` keeps them]"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the CSV or JSON there. [default: print it]")
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="One line a rating.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document: ratings, counts by method.")
    ] = False,
) -> None:
    """Show how often each method was found helpful, misleading or in the wrong place, or export.

    A server may run on the folder meanwhile; nothing in it is changed. Ratings name cases by number
    and id, never patients. Exit code 0: done; 2: refused.

    \b
    Examples:
        clinicedge ratings export
        clinicedge ratings export --data /srv/cases --csv --out ratings.csv
        clinicedge ratings export --json
    """
    from ..edge_server import ratings
    from ..edge_server.settings import default_data
    from ..runtime.files import write_atomic
    from ..runtime.records import dump_bytes

    if as_csv and as_json:
        raise typer.BadParameter("--csv and --json; expected one of them")
    if out is not None and not (as_csv or as_json):
        raise typer.BadParameter("--out needs --csv or --json")
    folder = data or default_data()
    found = ratings.read_ratings(folder)
    if not (as_csv or as_json):
        _print(found, folder)
        return
    told = ratings.as_csv(found) if as_csv else dump_bytes(found)
    if out is None:
        sys.stdout.write(told.decode("utf-8"))
        return
    write_atomic(out, told)
    print(f"{len(found.ratings)} ratings: {out}")


def _print(found: "RatingList", folder: Path) -> None:
    from ..edge_server.ratings import VERDICTS
    from .printing import print_table

    if not found.ratings:
        print(f"no ratings of heat maps in {folder} yet")
        return
    rows = [
        (method, *(str(counts[v]) for v in VERDICTS), str(sum(counts.values())))
        for method, counts in found.counts.items()
    ]
    heads = ("method", *(f">{v}" for v in VERDICTS), ">all")
    print_table(f"{len(found.ratings)} ratings of heat maps", heads, rows)
