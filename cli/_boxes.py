"""Boxes as they are typed."""

import typer


def typed_box(text: str) -> tuple[float, ...]:
    """X0,Y0,X1,Y1 as numbers.

    Raises:
        typer.BadParameter: it is no four numbers.
    """
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if len(values) != 4:
        raise typer.BadParameter(f"--box {text}: expected four numbers, X0,Y0,X1,Y1.")
    return values
