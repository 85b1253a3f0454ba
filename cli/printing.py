"""How verbs print: tables for people, one JSON document for programs, a progress bar on stderr."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..runtime.records import to_json

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from ..profiles.health import BundleHealth
    from ..runtime.figures import Figure

# Wide enough that no cell is cut where the output is a file or a pipe.
PIPE_WIDTH = 180


def print_json(value: Any) -> None:
    """A record, or a dict of records, as one JSON document on stdout."""
    print(json.dumps(to_json(value), ensure_ascii=False, indent=1, allow_nan=False))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on stdout; columns whose name starts with ">" are right-aligned."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for name in columns:
        right = name.startswith(">")
        table.add_column(name.lstrip(">"), justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    console = Console(width=width, highlight=False, markup=False)
    console.print(title, style="bold")
    console.print(table)


@contextmanager
def progress_bar() -> Iterator[Any]:
    """A callback (done, total, what) that moves a bar on stderr; silent without a terminal."""
    if not sys.stderr.isatty():
        yield lambda _done, _total, _what: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    columns = (BarColumn(), MofNCompleteColumn(), Remaining(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)

        def move(done: int, total: int, what: str) -> None:
            bar.update(task, completed=done, total=total, description=what)

        yield move


def write_png(path: "Path", pixels: "NDArray[np.uint8]") -> None:
    """A picture (H, W) or (H, W, 3) as PNG.

    Raises:
        OutputError: `path` cannot be written.
    """
    import io

    from PIL import Image

    from ..runtime.files import write_atomic

    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    write_atomic(path, out.getvalue())


def share(value: float) -> str:
    """0.9634 as "96.3 %"."""
    return f"{value * 100:.1f} %"


def shares(figure: "Figure") -> str:
    """A share with its interval, "0.963 (0.950-0.971)"."""
    return f"{figure.value:.3f} ({figure.low:.3f}-{figure.high:.3f})"


def percents(figure: "Figure") -> str:
    """The same as "96.3 (95.0-97.1) %"."""
    value, low, high = (v * 100 for v in (figure.value, figure.low, figure.high))
    return f"{value:.1f} ({low:.1f}-{high:.1f}) %"


def print_health(health: "BundleHealth") -> None:
    """What `verify` found, one line an artifact and engine."""
    pipeline = any(a.member for a in health.artifacts)
    print_table(
        f"{health.model} (bundle {health.bundle_id[:12]}…)",
        (
            *(("member",) if pipeline else ()),
            *("artifact", "engine", "compute", "files", "acceptance", "detail"),
        ),
        [
            (
                *((a.member,) if pipeline else ()),
                *(a.artifact, a.engine, a.compute, a.files, a.acceptance, a.detail),
            )
            for a in health.artifacts
        ],
    )
    if health.signed.state != "unsigned":
        print(health.signed.words())
    if health.not_made:
        print(f"not made: {', '.join(health.not_made)}")
