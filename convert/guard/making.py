"""An INT8 artifact with the record of how it came to keep its budget."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...runtime.errors import BudgetError, RecipeError
from ...runtime.guarding import Guarding
from ...runtime.manifest import FloatLayer
from ..recipes import GUARDED, PLAIN, Export, Recipe
from .bench import FormatBench
from .budget import broken, judged_trial, keeps
from .driver import Layer, Quantization
from .ranking import float_share
from .search import Found, search

if TYPE_CHECKING:
    from ..steps import Steps

_WHY = "in 8 bits the decisions broke the budget; found by trying, see `guard.trials`"


@dataclass(frozen=True, eq=False)
class Int8:
    """What the manifest holds of an INT8 artifact beside its comparison.

    `method`: of `Calibration`; `plain`: the same with nothing reverted, None where it is the same.
    """

    export: Export
    guard: Guarding
    method: str
    safe_on: tuple[str, ...]
    plain: Export | None = None


def make_int8(steps: "Steps", recipe: Recipe, limit: int, say: Callable[[str], None]) -> Int8:
    """Quantize, and refuse what breaks the budget.

    Args:
        limit: quantizations at most, of the guarded recipe.
        say: told in words what is being tried.

    Raises:
        RecipeError: the format has no means for the recipe.
        BudgetError: it loses more than the model's budget allows.
        ConversionError: the quantizer failed.
    """
    bench = FormatBench(steps, recipe)
    start = PLAIN if recipe.name == GUARDED else recipe.name
    if start not in bench.driver.RECIPES:
        raise RecipeError(
            f"{recipe.format} files have no means for {recipe.name}; their INT8 recipes are "
            f"{', '.join((GUARDED, *bench.driver.RECIPES))}. Leave this one out of --recipes or "
            "the format out of --formats."
        )
    if recipe.name == GUARDED:
        return _int8(steps, bench, search(bench, start, limit, say), limit)
    return _int8(steps, bench, _plain(bench, Quantization(start, bench.methods[0])), 1)


def _plain(bench: FormatBench, settings: Quantization) -> Found:
    """As it is, or not at all."""
    made = bench.quantize(settings)
    losses = bench.losses(made)
    if not keeps(losses):
        raise BudgetError(
            f"{broken(losses)} It was not written; {GUARDED} leaves layers in float until the "
            "budget is kept."
        )
    return Found(settings, made, losses or (), (judged_trial(settings, made, losses),), {}, made)


def _int8(steps: "Steps", bench: FormatBench, found: Found, limit: int) -> Int8:
    reverted = found.settings.float_layers
    layers = bench.layers()
    made, guard_films = found.export, steps.films.guard
    left = _float_layers([la for la in layers if la.name in reverted], found)
    return Int8(
        export=replace(made, float_layers=(*made.float_layers, *left)),
        guard=Guarding(
            data=guard_films.data,
            part=guard_films.part,
            n_films=len(guard_films),
            losses=found.losses,
            trials=found.trials,
            limit=limit,
            plain_bytes=found.plain.bytes,
            float_share=round(float_share(layers, reverted), 6),
        ),
        method=bench.driver.words(found.settings),
        safe_on=bench.driver.safe_on(found.settings),
        plain=found.plain if reverted else None,
    )


def _float_layers(reverted: Sequence[Layer], found: Found) -> tuple[FloatLayer, ...]:
    """The reverted layers; what they added to the file is shared out by their weights."""
    added = found.export.bytes - found.plain.bytes
    weights = [layer.weight_bytes for layer in reverted]
    if not sum(weights):
        weights = [1] * len(reverted)
    ends = [round(added * sum(weights[: i + 1]) / sum(weights)) for i in range(len(weights))]
    shares = [end - start for start, end in zip([0, *ends], ends, strict=False)]
    return tuple(
        FloatLayer(layer.name, _WHY, found.noise.get(layer.name), share)
        for layer, share in zip(reverted, shares, strict=True)
    )
