"""`clinicedge tune`: measure the artifacts on this machine and remember the fastest."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..profiles.tuning import TuneResult


def run(
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    threads: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Try this thread count; may be given more than once."),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Fresh processes a candidate.")] = 5,
    seconds: Annotated[float, typer.Option(min=0.01, help="Of measuring in each.")] = 0.3,
    forget: Annotated[bool, typer.Option(help="Forget the remembered choice instead.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Measure the artifacts of a bundle on this machine and remember the best choice.

    Every engine x artifact x thread count that passes the bundle's acceptance here and decides
    as FP32 does on at least 99 % of the films runs in fresh processes, in interleaved rounds.
    The fastest is remembered for this machine; `engine auto, precision auto` then takes it.

    \b
    Examples:
        clinicedge tune demo/mobilenet-0.5-160-on-lungs
        clinicedge tune BUNDLE --threads 1 --threads 2 --json
        clinicedge tune BUNDLE --forget
    """
    from ..profiles.measure import Rounds
    from ..profiles.tuning import tune
    from ..runtime import load
    from ..runtime.choices import forget_choice
    from .printing import print_json, progress_bar

    opened = load(bundle)
    if forget:
        there = forget_choice(opened.id)
        print_json({"forgotten": there}) if as_json else print(
            "forgotten" if there else "not tuned"
        )
        return
    with progress_bar() as progress:
        result = tune(opened, Rounds(rounds, seconds), progress, tuple(threads or ()))
    if as_json:
        print_json(result)
    else:
        _print_result(result)


def _print_result(result: "TuneResult") -> None:
    from .printing import print_table, share

    print_table(
        f"{result.model} on this machine, fastest first",
        ("artifact", "engine", "compute", ">threads", ">agrees with FP32", ">median ms", ">rounds"),
        [
            (
                r.artifact,
                r.engine,
                r.compute,
                str(r.threads),
                share(r.decision_agreement),
                f"{r.p50_ms:.3f}",
                str(len(r.round_p50_ms)),
            )
            for r in result.rows
        ],
    )
    for rejected in result.rejected:
        print(f"not in the race: {rejected.artifact} in {rejected.engine}: {rejected.reason}")
    choice = result.choice
    print(
        f"chosen and remembered for this machine: {choice.artifact} in {choice.engine_version}, "
        f"{choice.compute}, {choice.threads} threads"
    )
