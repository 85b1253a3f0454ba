"""`clinicedge verify`: is the bundle intact, and does this machine reproduce its answers?"""

from pathlib import Path
from typing import Annotated

import typer

from ._trust import PIN, REQUIRE_SIGNED, asked_trust


def run(
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    require_signed: REQUIRE_SIGNED = False,
    pin: PIN = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Check a bundle's files and that this machine reproduces its recorded answers.

    Every file is hashed, and every artifact scores the bundle's acceptance films in every engine
    that is installed; of a pipeline, all its members. Exit code 0: passed; 1: something failed;
    2: no bundle, or one that this device must not open.

    \b
    Examples:
        clinicedge verify demo/mobilenet-0.5-160-on-lungs
        clinicedge verify BUNDLE --json
        clinicedge verify BUNDLE --require-signed
    """
    from ..profiles.health import verify
    from ..runtime import load
    from .printing import print_health, print_json

    health = verify(load(bundle, asked_trust(require_signed, pin)))
    if as_json:
        print_json(health)
    else:
        print_health(health)
        print("passed" if health.passed else "FAILED: do not use what failed on this machine")
    if not health.passed:
        raise typer.Exit(1)
