"""`clinicedge install`: take a bundle onto this device, if this device reproduces its answers."""

from pathlib import Path
from typing import Annotated

import typer

from ._trust import PIN, REQUIRE_SIGNED, asked_trust


def run(
    source: Annotated[Path, typer.Argument(help="A file of `bundle pack`, or a bundle's folder.")],
    out: Annotated[Path, typer.Option(help="The bundle becomes OUT/NAME.")] = Path("bundles"),
    require_signed: REQUIRE_SIGNED = False,
    pin: PIN = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Check a bundle on this machine and keep it where it can be used.

    Every file is hashed, the signature is looked at, and every artifact scores the bundle's
    acceptance films in every engine that is installed. An artifact that fails is never used here;
    a bundle of which nothing can be used is not kept. Exit code 0: installed; 1: nothing in it
    can be used on this machine; 2: refused.

    \b
    Examples:
        clinicedge install /media/usb/chest.bundle.tar --out /srv/bundles
        clinicedge install bundles/mobilenet-0.5-160-on-lungs --out /srv/bundles --json
    """
    from ..profiles.installing import install
    from .printing import print_health, print_json

    done = install(source, out, asked_trust(require_signed, pin))
    folder = None if done.bundle is None else str(done.bundle.folder)
    if as_json:
        print_json({"bundle": folder, "unchanged": done.unchanged, "health": done.health})
    else:
        print_health(done.health)
        print(_words(folder, done.unchanged, done.health.passed))
    if folder is None:
        raise typer.Exit(1)


def _words(folder: str | None, unchanged: bool, all_passed: bool) -> str:
    if folder is None:
        return "NOT installed: nothing in it can be used on this machine"
    kept = f"{folder}: {'was there already' if unchanged else 'installed'}"
    return kept if all_passed else f"{kept}; what failed above is passed over on this machine"
