"""Passphrases: from a file, or asked for."""

from pathlib import Path
from typing import Annotated

import typer

PASSPHRASE_FILE = Annotated[
    Path | None, typer.Option(help="File with the passphrase in its first line.")
]


def from_file(path: Path) -> bytes:
    """The first line.

    Raises:
        KeyFileError: it cannot be read or is empty.
    """
    from ..runtime.errors import KeyFileError

    try:
        lines = path.read_bytes().splitlines()
    except OSError as err:
        raise KeyFileError(
            f"cannot read the passphrase file {path}: {err.strerror}. Expected one line of text."
        ) from err
    if not lines or not lines[0]:
        raise KeyFileError(f"the passphrase file {path} is empty; expected one line of text.")
    return lines[0]


def asked(prompt: str, twice: bool) -> bytes:
    """Typed by the user, unseen."""
    words: str = typer.prompt(prompt, hide_input=True, confirmation_prompt=twice, err=True)
    return words.encode("utf-8")
