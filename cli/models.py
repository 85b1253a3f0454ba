"""`clinicedge models`"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..models.zoo import ZooEntry


NOTE = (
    "Published multiply-adds and parameters are of the 1000-class network; published parameters "
    "count three of the four normalization vectors, at most 0.7 % off."
)


def run(
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    weights: Annotated[
        list[Path] | None, typer.Option(help="Folder with weights; may be given more than once.")
    ] = None,
) -> None:
    """List the zoo: parameters, multiply-adds, the published figures and where those are wrong."""
    from ..models.zoo import entry, names

    entries = [entry(name) for name in names()]
    found = {e.name: _weights(e.name, weights or []) for e in entries}
    if json:
        _print_json(entries, found)
    else:
        _print_table(entries, found)


def _weights(name: str, folders: list[Path]) -> str | None:
    from ..models.weights import find
    from ..models.zoo import spec
    from ..runtime.errors import WeightsMissingError

    try:
        return str(find(spec(name), folders))
    except WeightsMissingError:
        return None


def _print_json(entries: "list[ZooEntry]", found: dict[str, str | None]) -> None:
    import json

    from ..runtime.records import to_json

    rows = [{**to_json(e), "weights": found[e.name]} for e in entries]
    print(json.dumps({"models": rows, "note": NOTE}, indent=1))


def _print_table(entries: "list[ZooEntry]", found: dict[str, str | None]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="NORMAL / PNEUMONIA on chest films: MobileNetV1, width x resolution")
    table.add_column("name", no_wrap=True)
    for column in ("parameters", "mult-adds M", "1000 classes M", "published M"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("weights")
    table.add_column("published figure")
    for e in entries:
        table.add_row(
            e.name,
            f"{e.cost.params_total:,}",
            f"{e.cost.mult_adds / 1e6:.2f}",
            f"{e.cost_1000.mult_adds / 1e6:.2f}",
            str(e.published.mult_adds_millions),
            "here" if found[e.name] else "-",
            e.published_note or "holds",
        )
    console = Console()
    console.print(table)
    console.print(NOTE)
