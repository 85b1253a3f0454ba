"""`clinicedge profile`: what every artifact costs on this machine."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..profiles.costs import Cost, CostReport
    from ..runtime import Bundle

COLUMNS = (
    *("artifact", "engine", "compute", ">thr", ">MB", ">import ms", ">load ms", ">first ms"),
    *(">p50 ms", ">p90 ms", ">p99 ms", ">peak MB", "remarks"),
)

# Load per core above which others took a share of the processor.
BUSY = 0.5


def run(
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    device: Annotated[
        str, typer.Option(help="Device profile whose budget counts; auto guesses it.")
    ] = "auto",
    threads: Annotated[int, typer.Option(min=0, help="0: the usable cores.")] = 0,
    rounds: Annotated[int, typer.Option(min=1, help="Fresh processes an artifact.")] = 5,
    seconds: Annotated[float, typer.Option(min=0.01, help="Of measuring in each.")] = 0.5,
    film: Annotated[
        Path | None, typer.Option(help="Film that a pipeline is measured with; else a phantom.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Write size, latency and accuracy as a PNG picture here.")
    ] = None,
    keep: Annotated[
        bool, typer.Option(help="Store the figures in the bundle's measurements folder.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Measure size, latency and memory of every artifact on this machine.

    Each engine x artifact runs in fresh processes, in interleaved rounds: import, load, first and
    steady latency, peak memory, file size. OpenVINO's bf16 is a row of its own where the processor
    has it. Of a pipeline every model's artifacts are measured, and the whole from the decoded
    film to the answer in each engine and precision; budget and picture are for the whole.
    Exit code 0: something validated fits the device's budget; 1: nothing does; 2: refused.

    \b
    Examples:
        clinicedge profile demo/mobilenet-0.5-160-on-lungs
        clinicedge profile BUNDLE --device raspberry-pi-4 --plot costs.png
        clinicedge profile BUNDLE --rounds 9 --json
    """
    from ..profiles.devices import detect
    from ..profiles.devices import device as named
    from ..profiles.measure import Rounds
    from ..profiles.profiling import measure_bundle
    from ..runtime import load
    from .printing import print_json, progress_bar

    opened = load(bundle)
    profile = detect().profile if device == "auto" else named(device)
    if plot is not None:
        _require_matplotlib()
    with progress_bar() as progress:
        plan = Rounds(rounds, seconds)
        report = measure_bundle(opened, profile, threads, plan, progress, film)
    if as_json:
        print_json(report)
    else:
        _print_report(report)
    if keep:
        _keep(opened, report)
    if plot is not None:
        from ..profiles.plots import draw_costs

        draw_costs(opened, report, plot)
    if report.best is None:
        raise typer.Exit(1)


def _require_matplotlib() -> None:
    from importlib.util import find_spec

    from ..runtime.errors import OutputError

    if find_spec("matplotlib") is None:
        raise OutputError(
            "the picture needs matplotlib, which is not installed. "
            "To have it: pip install 'clinicedge[plot]'; or leave --plot away."
        )


def _keep(bundle: "Bundle", report: "CostReport") -> None:
    """Store the figures; a bundle in a read-only folder is no reason to lose them."""
    from ..profiles.costs import keep
    from ..runtime.errors import OutputError

    try:
        keep(bundle, report)
    except OutputError as err:
        typer.echo(f"note: the figures were not stored: {err}", err=True)


def _print_report(report: "CostReport") -> None:
    from .printing import print_table

    machine = report.machine
    pipeline = bool(report.members)
    rows = [("whole", c) for c in report.costs]
    rows += [(", ".join(m.paths), c) for m in report.members for c in m.costs]
    print_table(
        f"{report.model} on {machine.processor}, {machine.cores} usable cores, "
        f"load {report.load:.2f} at the start, medians of fresh processes",
        ("member", *COLUMNS) if pipeline else COLUMNS,
        [(where, *_row(c)) if pipeline else _row(c) for where, c in rows],
    )
    _print_notes(report)
    if report.load > BUSY * machine.cores:
        print(f"the machine was busy (load {report.load:.2f}): latencies are upper bounds")
    print(f"budget of device profile '{report.device}'; energy: not measured")


def _row(c: "Cost") -> tuple[str, ...]:
    return (
        c.artifact,
        c.engine,
        c.compute,
        str(c.threads),
        f"{c.bytes / 1e6:.2f}",
        f"{c.import_ms:.0f}",
        f"{c.load_ms:.0f}",
        f"{c.first_ms:.2f}",
        f"{c.p50_ms:.3f}",
        f"{c.p90_ms:.3f}",
        f"{c.p99_ms:.3f}",
        f"{c.peak_rss_mb:.0f}" if c.peak_rss_mb else "not measured",
        "; ".join((() if c.validated else ("decisions not validated",)) + c.over_budget),
    )


def _print_notes(report: "CostReport") -> None:
    """What was skipped, what the whole was measured with, and what fits best."""
    whole = "whole: " if report.members else ""
    skipped = [(whole, s) for s in report.skipped]
    skipped += [(f"{', '.join(m.paths)}: ", s) for m in report.members for s in m.skipped]
    for where, s in skipped:
        print(f"{where}not measured: {s.artifact} in {s.engine}: {s.reason}")
    if report.members:
        print(f"whole: from the decoded film to the answer, {report.film}; the budget is for it")
        passed = {path for c in report.costs for path in c.ran}
        rest = [path for m in report.members for path in m.paths if path not in passed]
        if rest and report.costs:
            print(f"the film did not go through {', '.join(rest)}")
    if report.best is not None:
        best = report.best
        print(f"fastest within the budget: {best.artifact} in {best.engine}, {best.compute}")
