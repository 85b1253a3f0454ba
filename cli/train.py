"""`clinicedge train NAME --data DIR`, `train --all PATTERN`, `train --paper-table OUT`"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..models.training.card import Card
    from ..models.training.run import TrainOptions
    from ..models.training.train_all import Outcome


def run(
    data: Annotated[Path, typer.Option(help="Folder with manifest.csv and the films.")],
    name: Annotated[
        str | None, typer.Argument(help="Model of the zoo; `clinicedge models` lists them.")
    ] = None,
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
    every: Annotated[
        str,
        typer.Option(
            "--all",
            metavar="PATTERN",
            help="Train all models that match, e.g. 'mobilenet-*'. Finished ones are left, "
            "stopped ones go on.",
        ),
    ] = "",
    forms: Annotated[
        str, typer.Option(help="With --all: plain, lung-crop, or both with a comma.")
    ] = "plain",
    paper_table: Annotated[
        Path | None,
        typer.Option(
            help="Make the published comparison in this folder: 16 MobileNets, three schemes, "
            "three shuffles, by image and by patient. Finished runs are left.",
        ),
    ] = None,
    cells: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL:SCHEME:BY:SHUFFLE",
            help="With --paper-table: only matching runs, e.g. 'mobilenet-0.25-*:80-10-10:*:*'; "
            "may be given more than once.",
        ),
    ] = None,
) -> None:
    """Train a model: weights, card, figures and curves in OUT/NAME.

    The patient split is fixed. Select films choose the epoch and the threshold; test films are
    read once, at the end. Stop at any time and go on with --resume. A GPU is used where there is
    one.

    \b
    Examples:
        clinicedge train mobilenet-0.5-160 --data kermany224/
        clinicedge train --all 'mobilenet-*' --forms plain,lung-crop --data kermany224/
        clinicedge train --paper-table paper/ --data kermany224/
    """
    from ..models.training.run import TrainOptions

    asked = [
        w for w, on in (("NAME", name), ("--all", every), ("--paper-table", paper_table)) if on
    ]
    if len(asked) != 1:
        raise typer.BadParameter(
            f"found {' and '.join(asked) or 'nothing to train'}; give one of NAME, --all or "
            "--paper-table"
        )
    options = TrainOptions(paper_table or out, resume, threads, device)
    if paper_table is not None:
        _paper(data, options, tuple(cells or ()), (epochs, quick))
    elif every:
        _all(data, options, (every, forms), (epochs, quick))
    else:
        _one(name or "", data, options, fold, (epochs, quick))


def _one(
    name: str, data: Path, options: "TrainOptions", fold: str, how: tuple[int | None, bool]
) -> None:
    from ..models.training.finish import finish
    from ..models.training.recipe import recipe_for
    from ..models.training.run import pick_device, train_network
    from ..models.training.targets import fold_of, read_data
    from ..models.zoo import spec
    from ._progress import Bars

    films = read_data(spec(name), data)
    if fold:
        films, run_name = fold_of(films, name, fold)
        options = replace(options, folder=run_name)
    recipe = recipe_for(name, *how, gpu=pick_device(options.device).startswith("cuda"))
    with Bars() as bars:
        _, state = train_network(name, films, recipe, options, bars)
    print("measuring the test parts, once")
    folder = options.run_folder(name)
    card = finish(name, films, state, folder)
    _show([(card, "trained")], f"{card.name}, threshold {card.threshold:.4f}")
    print(f"{folder}/{card.weights_file}, card {card.name}.md, figures {card.name}.json")


def _all(
    data: Path, options: "TrainOptions", which: tuple[str, str], how: tuple[int | None, bool]
) -> None:
    from ..models.training.train_all import Plan, pick_models, train_all
    from ._progress import Bars

    pattern, forms = which
    names = pick_models(pattern, [f.strip() for f in forms.split(",") if f.strip()])
    outcomes: list[Outcome] = []
    with Bars() as bars:
        bars.title = f"1/{len(names)} {names[0]}, "
        for outcome in train_all(Plan(names, data, *how), options, bars):
            outcomes.append(outcome)
            bars.say(f"{outcome.name}: {outcome.state}{' - ' * bool(outcome.note)}{outcome.note}")
            if len(outcomes) < len(names):
                bars.title = f"{len(outcomes) + 1}/{len(names)} {names[len(outcomes)]}, "
    _show([(o.card, o.state) for o in outcomes if o.card], f"{len(names)} models on {data.name}")
    failed = [o for o in outcomes if o.card is None]
    for one in failed:
        print(f"not trained: {one.name}: {one.note}")
    if failed:
        raise typer.Exit(1)


def _paper(
    data: Path,
    options: "TrainOptions",
    cells: tuple[str, ...],
    how: tuple[int | None, bool],
) -> None:
    from ..models.chest import LABELS
    from ..models.training.paper_cells import paper_recipe, pick_cells, read_result, run_cell
    from ..models.training.paper_table import render, write_table
    from ..profiles.datasets import read_dataset
    from ._progress import Bars

    wanted, recipe = pick_cells(cells), paper_recipe(*how)
    films = read_dataset(data, LABELS)
    with Bars() as bars:
        for number, cell in enumerate(wanted, start=1):
            bars.title = f"{number}/{len(wanted)} {cell.name}, "
            if read_result(options.out, cell) is None:
                result = run_cell(films, cell, recipe, options, bars)
                bars.say(f"{cell.name}: accuracy {100 * result.accuracy.value:.1f} %")
                write_table(options.out)
    print(render(write_table(options.out)))
    print(f"{options.out}/paper-table.md, figures paper-table.json")


def _show(cards: "list[tuple[Card, str]]", title: str) -> None:
    from ..models.training.card import area, percent
    from ..runtime.predictions import CAUTION
    from .printing import print_table

    rows = []
    for card, state in cards:
        for row in card.measured:
            f = row.figures
            shares = [percent(x) for x in (f.accuracy, f.sensitivity, f.specificity)]
            what = f"{row.what}{', ' * bool(f.label)}{f.label}"
            rows.append((card.name, state, what, str(f.accuracy.n), *shares, area(f.auc), ""))
        for mask in card.masks:
            g = mask.figures
            shares = ["", f"{100 * g.recall:.1f}", ""]
            rows.append((card.name, state, mask.what, str(g.dice.n), *shares, "", area(g.dice)))
    columns = ("model", "", "films", ">n", ">accuracy %", ">sens. %", ">spec. %", ">AUC", ">Dice")
    print_table(title, columns, rows)
    print(CAUTION)
