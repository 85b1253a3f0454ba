"""Training many models, one after the other; what is finished is left as it is."""

import fnmatch
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ...runtime.errors import ClinicEdgeError, ModelError, UnknownModelError
from .. import lungs, zoo
from ..chest import LUNG_CROP
from .cards.card import Card, read_card
from .finish import finish
from .recipe import Recipe, recipe_for
from .run import Progress, TrainOptions, pick_device, train_network
from .targets import read_data

Form = Literal["plain", "lung-crop"]
FORMS: tuple[Form, ...] = ("plain", "lung-crop")
State = Literal["trained", "resumed", "finished before", "not trained"]


@dataclass(frozen=True)
class Plan:
    """What to train. `epochs` None: the recipes' own."""

    names: tuple[str, ...]
    data: Path
    epochs: int | None = None
    quick: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of a model. `note`: why it was not trained, or what to know of its weights."""

    name: str
    state: State
    card: Card | None
    note: str = ""


def pick_models(pattern: str, forms: Sequence[str] | None = None) -> tuple[str, ...]:
    """The zoo's names that match, a model before those that need its weights.

    Args:
        forms: None gives each model in its default form, classifiers of chest films on lungs.

    Raises:
        ModelError: an unknown form.
        UnknownModelError: nothing matches.
    """
    unknown = [form for form in forms or () if form not in FORMS]
    if unknown or (forms is not None and not forms):
        raise ModelError(f"form {', '.join(unknown) or '(none)'}; expected {' or '.join(FORMS)}.")
    every = [name for name in zoo.names() if fnmatch.fnmatchcase(name, pattern)]
    chest = [name for name in every if name in zoo.chest_names()]
    if forms is None:
        names = [name for name in every if name not in chest]
    else:
        names = [name for name in every if "plain" in forms]
    if forms is None or "lung-crop" in forms:
        names += [name + LUNG_CROP for name in chest]
    if not names:
        asked = "" if forms is None else f" in the form {' or '.join(forms)}"
        raise UnknownModelError(
            f"no model of the zoo matches {pattern!r}{asked}; expected e.g. 'mobilenet-*'. "
            "`clinicedge models` lists them."
        )
    return tuple(sorted(names, key=lambda n: (n != lungs.NAME, recipe_for(n).start in names)))


def train_all(plan: Plan, options: TrainOptions, progress: Progress) -> Iterator[Outcome]:
    """Train each model that has no card yet; a stopped run goes on.

    What one model cannot have (data, weights to begin with) does not stop the others. A run's
    own weights are found by the runs that begin with them.
    """
    gpu = pick_device(options.device).startswith("cuda")
    folders = tuple(options.out / name for name in plan.names)
    options = replace(options, weights=(*folders, *options.weights))
    for name in plan.names:
        recipe = recipe_for(name, plan.epochs, plan.quick, gpu)
        try:
            yield _train(name, recipe, plan, options, progress)
        except ClinicEdgeError as err:
            yield Outcome(name, "not trained", None, str(err))


def _train(
    name: str, recipe: Recipe, plan: Plan, options: TrainOptions, progress: Progress
) -> Outcome:
    folder = options.run_folder(name)
    known = folder / f"{name}.json"
    if known.is_file():
        card = read_card(known)
        return Outcome(name, "finished before", card, _other(card, recipe, plan.data))
    begun = (folder / "checkpoint.pt").is_file()
    data = read_data(zoo.spec(name), plan.data)
    _, state = train_network(name, data, recipe, replace(options, resume=begun), progress)
    card = finish(name, data, state, folder, options.weights)
    return Outcome(name, "resumed" if begun else "trained", card)


def _other(card: Card, recipe: Recipe, data: Path) -> str:
    """Says where a finished run was made with other numbers or data than asked for now."""
    wanted = {"epochs": recipe.epochs, "max_steps": recipe.max_steps}
    other = [f"{k} {card.recipe.get(k)}" for k, v in wanted.items() if card.recipe.get(k) != v]
    if card.data != data.resolve().name:
        other.append(f"data {card.data}")
    return f"kept as it is, made with {', '.join(other)}" if other else ""
