"""The options of verbs that open a bundle, about who signed it."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..runtime.trust import Trust

REQUIRE_SIGNED = Annotated[
    bool,
    typer.Option(
        "--require-signed", help="Refuse a bundle that no key trusted here has signed."
    ),
]  # fmt: skip
PIN = Annotated[
    list[str] | None,
    typer.Option("--pin", metavar="ID", help="Open only the bundle of this id; more may follow."),
]


def asked_trust(require_signed: bool, pins: list[str] | None) -> "Trust":
    """What the device was told, and what the options refuse beside that.

    Raises:
        KeyFileError: what the device was told cannot be read, or a pin is no id.
    """
    from ..runtime.trust import device_trust

    return device_trust().tightened(require_signed, pins or ())
