"""`clinicedge train NAME --data DIR`"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..models.training.card import Card


def run(
    name: Annotated[str, typer.Argument(help="Model of the zoo; `clinicedge models` lists them.")],
    data: Annotated[Path, typer.Option(help="Folder with manifest.csv and the films.")],
    out: Annotated[Path, typer.Option(help="Run folders are made here.")] = Path("runs"),
    epochs: Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a stopped run.")] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="A few steps, to try the machinery.")
    ] = False,
    threads: Annotated[int, typer.Option(min=0, help="Processor threads, 0: all.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    fold: Annotated[
        str, typer.Option(metavar="K/N", help="Train one fold, in OUT/NAME-fold-K.")
    ] = "",
) -> None:
    """Train a model: weights, card, figures and curves in OUT/NAME.

    The patient split is fixed. Select films choose the epoch and the threshold; test films are
    read once, at the end. Stop at any time and go on with --resume.
    """
    from ..models.training.finish import finish
    from ..models.training.recipe import recipe_for
    from ..models.training.run import TrainOptions, train_network
    from ..models.training.targets import fold_of, read_data
    from ..models.zoo import spec
    from ._progress import Bars

    films = read_data(spec(name), data)
    options = TrainOptions(out, resume, threads, device)
    if fold:
        films, run_name = fold_of(films, name, fold)
        options = replace(options, folder=run_name)
    with Bars() as bars:
        _, state = train_network(name, films, recipe_for(name, epochs, quick), options, bars)
    print("measuring the test parts, once")
    folder = options.run_folder(name)
    card = finish(name, films, state, folder)
    _show(card, folder)


def _show(card: "Card", folder: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    from ..models.training.card import area, percent
    from ..runtime.predictions import CAUTION

    table = Table(title=f"{card.name}, threshold {card.threshold:.4f}")
    table.add_column("films")
    for column in ("n", "accuracy %", "sens. %", "spec. %", "AUC"):
        table.add_column(column, no_wrap=True)
    for row in card.measured:
        f = row.figures
        figures = [percent(x) for x in (f.accuracy, f.sensitivity, f.specificity)]
        figures.append(area(f.auc))
        table.add_row(row.what, str(f.accuracy.n), *(x.replace(" (", "\n(") for x in figures))
    console = Console()
    console.print(table)
    console.print(f"{folder}/{card.weights_file}, card {card.name}.md, figures {card.name}.json")
    console.print(CAUTION)
