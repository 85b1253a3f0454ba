"""`clinicedge tune`: measure the artifacts on this machine and remember the fastest."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..profiles.tuning import MemberTuning, PipelineTuning, TuneResult


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
    Of a pipeline every model in it is measured and remembered on its own; its JSON document has
    the models' documents in "members".

    \b
    Examples:
        clinicedge tune demo/mobilenet-0.5-160-on-lungs
        clinicedge tune BUNDLE --threads 1 --threads 2 --json
        clinicedge tune BUNDLE --forget
    """
    from ..profiles.measure import Rounds
    from ..profiles.tuning import forget as forget_all
    from ..profiles.tuning import tune, tune_members
    from ..runtime import load
    from .printing import print_json, progress_bar

    opened = load(bundle)
    if forget:
        there = forget_all(opened)
        print_json({"forgotten": there}) if as_json else print(
            "forgotten" if there else "not tuned"
        )
        return
    plan = Rounds(rounds, seconds)
    result: TuneResult | PipelineTuning
    with progress_bar() as progress:
        if opened.manifest.kind == "pipeline":
            result = tune_members(opened, plan, progress, tuple(threads or ()))
        else:
            result = tune(opened, plan, progress, tuple(threads or ()))
    if as_json:
        print_json(result)
    else:
        _print_result(result)


def _print_result(result: "TuneResult | PipelineTuning") -> None:
    from ..profiles.tuning import MemberTuning, PipelineTuning
    from .printing import print_table

    pipeline = isinstance(result, PipelineTuning)
    members = result.members if isinstance(result, PipelineTuning) else (MemberTuning((), result),)
    columns = (
        *("artifact", "engine", "compute", ">threads", ">agrees with FP32", ">median ms"),
        ">rounds",
    )
    print_table(
        f"{result.model} on this machine, fastest first",
        ("member", *columns) if pipeline else columns,
        [row if pipeline else row[1:] for member in members for row in _rows(member)],
    )
    for member in members:
        _print_member(member)


def _rows(member: "MemberTuning") -> list[tuple[str, ...]]:
    from .printing import share

    return [
        (
            ", ".join(member.paths),
            r.artifact,
            r.engine,
            r.compute,
            str(r.threads),
            share(r.decision_agreement),
            f"{r.p50_ms:.3f}",
            str(len(r.round_p50_ms)),
        )
        for r in member.result.rows
    ]


def _print_member(member: "MemberTuning") -> None:
    where = f"{', '.join(member.paths)}: " if member.paths else ""
    for rejected in member.result.rejected:
        print(
            f"{where}not in the race: {rejected.artifact} in {rejected.engine}: {rejected.reason}"
        )
    choice = member.result.choice
    print(
        f"{where}chosen and remembered for this machine: {choice.artifact} in "
        f"{choice.engine_version}, {choice.compute}, {choice.threads} threads"
    )
