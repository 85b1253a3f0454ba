"""`clinicedge train NAME --data DIR`, `train --all PATTERN`, `train --paper-table OUT`"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ._data import data_folder

if TYPE_CHECKING:
    from ..models.training.recipe import Recipe
    from ..models.training.run import TrainOptions
    from ..models.training.train_all import Outcome

RUNS = Path("runs")
# Which of the three things to train an option belongs to; with another it is refused.
_BELONGS = {
    "--out": ("NAME", "--all"),
    "--fold": ("NAME",),
    "--loss": ("NAME",),
    "--forms": ("--all",),
    "--cells": ("--paper-table",),
}


@dataclass(frozen=True)
class _How:
    """How to train and to tell of it. `loss` "": the recipe's own."""

    epochs: int | None
    quick: bool
    as_json: bool
    fold: str = ""
    loss: str = ""


def run(
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder with manifest.csv and the films; a bare name is also looked for in "
            "CLINICEDGE_DATA. Needed but for --cells none.",
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Argument(help="Model of the zoo; `clinicedge models` lists them.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Run folders are made here.", show_default=str(RUNS))
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's.")] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with the stopped run of NAME; --all and --paper-table always do.",
        ),
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="A few steps, to try the machinery.")
    ] = False,
    threads: Annotated[int, typer.Option(min=0, help="Processor threads, 0: all.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    fold: Annotated[
        str, typer.Option(metavar="K/N", help="With NAME: train one fold, in OUT/NAME-fold-K.")
    ] = "",
    loss: Annotated[
        str,
        typer.Option(
            metavar="bce|focal",
            help="With NAME, of a model of findings: cross entropy or focal loss, instead of the "
            "recipe's.",
        ),
    ] = "",
    every: Annotated[
        str,
        typer.Option(
            "--all",
            metavar="PATTERN",
            help="Train all models that match, e.g. 'mobilenet-*', classifiers of chest films on "
            "lungs. Finished ones are left, stopped ones go on.",
        ),
    ] = "",
    forms: Annotated[
        str | None,
        typer.Option(
            help="With --all: plain, lung-crop, or both with a comma. Without it each model's "
            "default: lung-crop for classifiers of chest films, plain for the others.",
        ),
    ] = None,
    paper_table: Annotated[
        Path | None,
        typer.Option(
            help="Make the published comparison in this folder: 16 MobileNets, three schemes, "
            "three shuffles, by image and by patient. Finished runs are left, but for shorter "
            "ones (--quick, fewer --epochs), which are made anew.",
        ),
    ] = None,
    cells: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL:SCHEME:BY:SHUFFLE",
            help="With --paper-table: only matching runs, e.g. 'mobilenet-0.25-*:80-10-10:*:*'; "
            "may be given more than once. none: run nothing, write the table of what was run.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Train a model: weights, card, figures and curves in OUT/NAME.

    The patient split is fixed. Select films choose the epoch and the threshold; test films are
    read once, at the end. Stop at any time and go on with --resume. A GPU is used where there is
    one. Exit code 0: done; 1: some of --all were not trained, the output says why; 2: refused.

    \b
    Examples:
        clinicedge train mobilenet-0.5-160-lung-crop --data kermany224/
        clinicedge train densenet121-224 --loss focal --fold 1/3 --data vindr/
        clinicedge train --all 'mobilenet-*' --forms plain,lung-crop --data kermany224/
        clinicedge train --paper-table paper/ --data kermany224/
        clinicedge train --paper-table paper/ --cells none
    """
    asked = {"NAME": name, "--all": every, "--paper-table": paper_table}
    given = {"--out": out, "--fold": fold, "--loss": loss, "--forms": forms, "--cells": cells}
    _refuse_strangers(asked, given)
    _refuse_without_torch()
    from ..models.training.run import TrainOptions

    options = TrainOptions(paper_table or out or RUNS, resume, threads, device)
    how = _How(epochs, quick, as_json, fold, loss)
    if paper_table is not None:
        _paper(data, options, tuple(cells or ()), how)
    elif every:
        _all(_needed(data), options, (every, forms), how)
    else:
        _one(name or "", _needed(data), options, how)


def _refuse_strangers(asked: Mapping[str, object], given: Mapping[str, object]) -> None:
    """One thing to train, and no option of another.

    Raises:
        typer.BadParameter: otherwise.
    """
    found = [what for what, value in asked.items() if value]
    if len(found) != 1:
        raise typer.BadParameter(
            f"found {' and '.join(found) or 'nothing to train'}; give one of NAME, --all or "
            "--paper-table"
        )
    for option, value in given.items():
        if value not in (None, "") and found[0] not in _BELONGS[option]:
            raise typer.BadParameter(
                f"found {option} with {found[0]}; expected it with "
                f"{' or '.join(_BELONGS[option])}. Leave it out"
            )


def _refuse_without_torch() -> None:
    """A device's installation has none.

    Raises:
        ModelError: it is not installed.
    """
    from importlib.util import find_spec

    from ..runtime.errors import ModelError

    if find_spec("torch") is None:
        raise ModelError(
            "networks are trained with torch, which is not installed. "
            "Run: pip install 'clinicedge[train]'."
        )


def _needed(data: Path | None) -> Path:
    if data is None:
        raise typer.BadParameter("--data is missing; give the folder with manifest.csv")
    return data_folder(data)


def _one(name: str, data: Path, options: "TrainOptions", how: _How) -> None:
    from ..models.training.finish import finish
    from ..models.training.run import train_network
    from ..models.training.targets import fold_of, read_data
    from ..models.zoo import spec
    from ._progress import Bars
    from ._trained import card_document, print_cards
    from .printing import print_json

    model, recipe = spec(name), _recipe(name, options.device, how)
    _hint(name)
    films = read_data(model, data)
    if how.fold:
        films, run_name = fold_of(films, name, how.fold)
        options = replace(options, folder=run_name)
    with Bars() as bars:
        _, state = train_network(name, films, recipe, options, bars)
    typer.echo("measuring the test parts, once", err=True)
    folder = options.run_folder(name)
    card = finish(name, films, state, folder)
    if how.as_json:
        print_json(card_document(card, folder))
        return
    print_cards(f"{card.name}, threshold {card.threshold:.4f}", [(card, "trained")])
    print(f"{folder}/{card.weights_file}, card {card.name}.md, figures {card.name}.json")


def _recipe(name: str, device: str, how: _How) -> "Recipe":
    """The model's recipe, with the loss asked for.

    Raises:
        typer.BadParameter: no such loss, or the model has no choice of it.
    """
    from ..models.training.recipe import recipe_for, with_loss
    from ..models.training.run import pick_device
    from ..models.zoo import spec

    gpu = pick_device(device).startswith("cuda")
    recipe = recipe_for(name, how.epochs, how.quick, gpu)
    if not how.loss:
        return recipe
    task = spec(name).task
    if task != "findings":
        raise typer.BadParameter(f"--loss is for models of findings; '{name}' is one of {task}")
    if how.loss not in ("bce", "focal"):
        raise typer.BadParameter(f"--loss {how.loss!r}; expected bce or focal")
    return with_loss(recipe, "focal" if how.loss == "focal" else "bce")


def _hint(name: str) -> None:
    """Where a classifier of chest films is trained on whole ones."""
    from ..models.chest import LUNG_CROP
    from ..models.zoo import chest_names

    if name in chest_names():
        typer.echo(
            f"hint: whole films tell the label by more than the lungs; the default form is "
            f"clinicedge train {name}{LUNG_CROP}",
            err=True,
        )


def _all(data: Path, options: "TrainOptions", which: tuple[str, str | None], how: _How) -> None:
    from ..models.training.train_all import Plan, pick_models, train_all
    from ._progress import Bars
    from ._trained import outcome_document
    from .printing import print_json

    pattern, forms = which
    chosen = None if forms is None else [f.strip() for f in forms.split(",") if f.strip()]
    names = pick_models(pattern, chosen)
    outcomes: list[Outcome] = []
    with Bars() as bars:
        bars.title = f"1/{len(names)} {names[0]}, "
        for outcome in train_all(Plan(names, data, how.epochs, how.quick), options, bars):
            outcomes.append(outcome)
            bars.say(f"{outcome.name}: {outcome.state}{' - ' * bool(outcome.note)}{outcome.note}")
            if len(outcomes) < len(names):
                bars.title = f"{len(outcomes) + 1}/{len(names)} {names[len(outcomes)]}, "
    if how.as_json:
        told = [outcome_document(o, options.run_folder(o.name)) for o in outcomes]
        print_json({"data": str(data), "models": told})
    else:
        _show_all(outcomes, f"{len(names)} models on {data.name}")
    if any(o.card is None for o in outcomes):
        raise typer.Exit(1)


def _show_all(outcomes: "list[Outcome]", title: str) -> None:
    from ._trained import print_cards

    print_cards(title, [(o.card, o.state) for o in outcomes if o.card])
    for one in outcomes:
        if one.card is None:
            print(f"not trained: {one.name}: {one.note}")


def _paper(
    data: Path | None, options: "TrainOptions", patterns: tuple[str, ...], how: _How
) -> None:
    from ..models.chest import LABELS
    from ..models.training.paper_cells import cells_to_run, paper_recipe, pick_cells, run_cell
    from ..models.training.paper_table import render, write_table
    from ..profiles.datasets import read_dataset
    from ._progress import Bars
    from ._trained import paper_document
    from .printing import print_json

    wanted, recipe = pick_cells(patterns), paper_recipe(how.epochs, how.quick)
    if wanted:
        films = read_dataset(_needed(data), LABELS)
        with Bars() as bars:
            cells = cells_to_run(films, wanted, recipe, options.out)
            for number, cell in enumerate(cells, start=1):
                bars.title = f"{number}/{len(cells)} {cell.name}, "
                result = run_cell(films, cell, recipe, options, bars)
                bars.say(f"{cell.name}: accuracy {100 * result.accuracy.value:.1f} %")
                write_table(options.out)
    table = write_table(options.out)
    if how.as_json:
        print_json(paper_document(table, options.out))
        return
    print(render(table))
    print(f"{options.out}/paper-table.md, figures paper-table.json")
