"""`clinicedge doctor`: what this machine is and what works on it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..profiles.health import MachineHealth
    from ..runtime.choices import Choice


def run(
    bundle: Annotated[
        Path | None, typer.Argument(help="Folder of a bundle to check here as well.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Tell what this machine is, which engines work and whether a bundle passes here.

    Exit code 0: an engine works and the bundle passes; 1: not so; 2: no such bundle.

    \b
    Examples:
        clinicedge doctor
        clinicedge doctor demo/mobilenet-0.5-160-on-lungs --json
    """
    from ..profiles.health import examine
    from ..runtime import load
    from .printing import print_health, print_json

    health = examine(load(bundle) if bundle is not None else None)
    if as_json:
        print_json(health)
    else:
        _print_machine(health)
        if health.bundle is not None:
            print_health(health.bundle)
            for path, choice in (health.member_choices or {"": health.choice}).items():
                print(f"tuned{f' {path}' if path else ''}: {_choice(choice)}")
        print("healthy" if health.healthy else "NOT healthy: see above")
    if not health.healthy:
        raise typer.Exit(1)


def _print_machine(health: "MachineHealth") -> None:
    from .printing import print_table

    machine, room = health.machine, health.room
    int8 = "yes" if machine.int8_dot_product else "no: INT8 gains less here"
    dicom = ", ".join(
        f"{name} {found or 'not installed'}" for name, found in health.packages.items()
    )
    rows = [
        ("clinicedge", health.version),
        ("machine", f"{machine.processor} ({machine.architecture}), id {machine.id}"),
        ("usable cores", str(machine.cores)),
        ("8-bit dot product", int8),
        ("bfloat16", "yes" if machine.bf16 else "no"),
        ("memory", f"{_mb(machine.memory_mb)}, {_mb(room.memory_mb)} free"),
        ("free disk", f"{_mb(room.disk_mb)} at {health.state_folder}"),
        ("load", f"{room.load:.2f}"),
        ("system", f"{machine.system}, Python {machine.python}"),
        ("device profile", f"{health.device} ({health.device_reason})"),
        *((f"engine {e.name}", _engine(e.version, e.problem)) for e in health.engines),
        ("DICOM", dicom),
    ]
    print_table("This machine", ("what", "found"), rows)


def _mb(value: int) -> str:
    return f"{value:,} MB" if value else "unknown"


def _engine(version: str | None, problem: str) -> str:
    if version is None:
        return "not installed"
    return f"{version}, works" if not problem else f"{version}, DOES NOT WORK: {problem}"


def _choice(choice: "Choice | None") -> str:
    if choice is None:
        return "no; the device profile's order is used. Run `clinicedge tune`"
    return (
        f"{choice.artifact} in {choice.engine_version}, {choice.compute}, {choice.threads} threads"
    )
