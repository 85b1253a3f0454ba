"""The matrix as a page, as Markdown and as JSON."""

from collections.abc import Iterator
from html import escape
from pathlib import Path

from ..runtime.figures import Figure
from ..runtime.files import write_atomic
from ..runtime.predictions import CAUTION
from ..runtime.records import dump_bytes
from .matrix_page import STYLE
from .matrix_records import Cell, Matrix, Measured, Row

NAME = "matrix"
FORMAT_NAMES = {"onnx": "ONNX", "tflite": "TFLite", "openvino": "OpenVINO"}
# The figure that a cell shows first, by the model's task.
FIRST = {
    "classification": "accuracy",
    "findings": "AUC",
    "segmentation": "Dice",
    "promptable-segmentation": "Dice",
    "detection": "AP50",
}
# Shares of equal decisions from which a cell's colour says good, fair and weak.
GOOD, FAIR = 0.99, 0.95


def write_report(matrix: Matrix, folder: Path) -> tuple[Path, ...]:
    """matrix.html, matrix.md and matrix.json in the folder.

    Raises:
        OutputError: the folder cannot be written.
    """
    pages = {
        "html": page(matrix).encode("utf-8"),
        "md": markdown(matrix).encode("utf-8"),
        "json": dump_bytes(matrix),
    }
    paths = []
    for ending, data in pages.items():
        paths.append(folder / f"{NAME}.{ending}")
        write_atomic(paths[-1], data)
    return tuple(paths)


def about(matrix: Matrix) -> str:
    """Where and when it was measured, in one sentence."""
    machine = matrix.machine
    latency = (
        f"Latency: median of engine runs, {matrix.threads} threads, load {matrix.load:.1f} at the "
        "start."
        if matrix.threads
        else "Latency was not measured."
    )
    left = f" Not reached yet: {', '.join(matrix.pending)}." if matrix.pending else ""
    return (
        f"{matrix.date}, {machine.processor} ({machine.architecture}, {machine.cores} cores). "
        f"{latency} {matrix.count('made')} cells made, {matrix.count('failed')} failed, "
        f"{matrix.count('missing')} without weights.{left}"
    )


EXPLAINED = (
    "Equal decisions: share of films that the artifact decides as the source network does, each "
    "at its own threshold (findings: of films and labels; masks: of films whose two masks overlap "
    "with Dice 0.9). Difference: the largest of the raw scores. Figures with 95 % intervals from "
    "resampling patients, on films that trained nothing; the part guard watched the conversion."
)


def markdown(matrix: Matrix) -> str:
    """One table a model."""
    lines = ["# Every model, every format", "", f"**{_caution()}**", "", about(matrix), ""]
    lines += [EXPLAINED, "", f"Made by `{matrix.command}`.", ""]
    for row in matrix.rows:
        lines += [f"## {row.name}", ""]
        if row.members:
            lines += [f"Pipeline of {', '.join(row.members)}.", ""]
        lines += [
            "| artifact | kB | equal decisions | difference | cosine | figures | latency ms |",
            "|---|---|---|---|---|---|---|",
            *(_markdown_cell(cell) for cell in row.cells),
            "",
        ]
        lines += [f"- {_inline(note)}" for note in (*_reasons(row), *row.notes)]
        lines.append("")
    return "\n".join(lines)


def _markdown_cell(cell: Cell) -> str:
    title = f"{cell.format}/{cell.precision}"
    if cell.state != "made" or cell.bytes is None:
        return f"| {title} | not made | | | | | |"
    p = cell.parity
    parity = (
        f"{p.decision_agreement:.3f} of {p.n_films} | {p.max_abs_difference:.2g} | {p.cosine:.5f}"
        if p
        else "not measured | |"
    )
    figures = "<br>".join(_figure_words(m) for m in cell.figures) or "not measured"
    return f"| {title} | {cell.bytes / 1000:,.0f} | {parity} | {figures} | {_latency(cell)} |"


def _latency(cell: Cell) -> str:
    return "not measured" if cell.latency_ms is None else f"{cell.latency_ms:.2f}"


def _figure_words(one: Measured) -> str:
    label = f" {one.label}" if one.label else ""
    return f"{one.name}{label} {_interval(one.figure)} ({one.where})"


def _interval(figure: Figure) -> str:
    value, low, high = (100 * v for v in (figure.value, figure.low, figure.high))
    return f"{value:.1f} ({low:.1f}-{high:.1f})"


def _reasons(row: Row) -> Iterator[str]:
    """Why cells are empty or lack something, each reason once with its cells."""
    found: dict[tuple[str, str], list[str]] = {}
    for cell in row.cells:
        for what, reason in _lacks(cell):
            found.setdefault((what, reason), []).append(f"{cell.format}/{cell.precision}")
    for (what, reason), ids in found.items():
        yield f"{what}, {', '.join(ids)}: {reason}"


def _lacks(cell: Cell) -> Iterator[tuple[str, str]]:
    if cell.state != "made":
        yield "not made", cell.reason
        return
    if not cell.figures and cell.figures_note:
        yield "figures not measured", cell.figures_note
    if cell.latency_ms is None and cell.latency_note:
        yield "latency not measured", cell.latency_note


def _inline(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _caution() -> str:
    return f"{CAUTION[0].upper()}{CAUTION[1:]}."


def page(matrix: Matrix) -> str:
    """One page without anything from elsewhere."""
    formats = list(dict.fromkeys(c.format for r in matrix.rows for c in r.cells))
    precisions = list(dict.fromkeys(c.precision for r in matrix.rows for c in r.cells))
    top = "".join(f'<th colspan="{len(precisions)}">{FORMAT_NAMES[f]}</th>' for f in formats)
    below = "".join(f"<th>{p.upper()}</th>" for _ in formats for p in precisions)
    groups = "".join(_group(matrix, kind, title) for kind, title in _GROUPS)
    details = "".join(_details(row) for row in matrix.rows)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>clinicedge: every model, every format</title><style>{STYLE}</style></head><body>"
        f"<h1>Every model, every format</h1><p class=caution>{escape(_caution())}</p>"
        f"<p>{escape(about(matrix))}</p>{_LEGEND}"
        f'<div class=wide><table class=matrix><thead><tr><th rowspan="2">model</th>{top}</tr>'
        f"<tr>{below}</tr></thead>{groups}</table></div>"
        f"<h2>All figures</h2><p>{escape(EXPLAINED)}</p>{details}"
        f"<p>Made by <code>{escape(matrix.command)}</code></p></body></html>\n"
    )


_GROUPS = (("pipeline", "Pipelines: what is served"), ("model", "Models"))
_LEGEND = (
    "<p class=legend>Colour: decisions equal to the source network's "
    "<span class=good>99 % and more</span> <span class=fair>95 %</span> "
    "<span class=weak>less</span> <span class=failed>not made</span> "
    "<span class=missing>no weights</span>. Bars: size, and time, against the row's largest.</p>"
)


def _group(matrix: Matrix, kind: str, title: str) -> str:
    rows = [row for row in matrix.rows if row.kind == kind]
    if not rows:
        return ""
    span = 1 + max(len(row.cells) for row in rows)
    head = f'<tr class=group><th colspan="{span}">{escape(title)}</th></tr>'
    return f"<tbody>{head}{''.join(_row(row) for row in rows)}</tbody>"


def _row(row: Row) -> str:
    sizes = max((c.bytes or 0 for c in row.cells), default=0)
    times = max((c.latency_ms or 0.0 for c in row.cells), default=0.0)
    cells = "".join(_cell(row, cell, (sizes, times)) for cell in row.cells)
    link = f'<a href="#{escape(row.name)}">{escape(row.name)}</a>'
    return f"<tr><th>{link}<small>{escape(row.task)}</small></th>{cells}</tr>"


def _cell(row: Row, cell: Cell, largest: tuple[float, float]) -> str:
    if cell.state != "made" or cell.bytes is None:
        words = "no weights" if cell.state == "missing" else "not made"
        return f'<td class={cell.state} title="{escape(cell.reason)}">{words}</td>'
    agreement = cell.parity.decision_agreement if cell.parity else 0.0
    colour = "good" if agreement >= GOOD else "fair" if agreement >= FAIR else "weak"
    size = f"{cell.bytes / 1e6:.2f} MB" + _bar(cell.bytes, largest[0])
    time = f"<span title='{escape(cell.latency_note)}'>time not measured</span>"
    if cell.latency_ms is not None:
        time = f"{cell.latency_ms:.2f} ms{_bar(cell.latency_ms, largest[1])}"
    shown = _first_figure(row, cell)
    figure = f"<span title='{escape(cell.figures_note)}'>figures not measured</span>"
    if shown:
        figure = f"<span title='{escape(_figure_words(shown))}'>{_short(shown)}</span>"
    return (
        f"<td class={colour}><b>{100 * agreement:.1f} %</b> equal<div>{figure}</div>"
        f"<div>{size}</div><div>{time}</div></td>"
    )


def _first_figure(row: Row, cell: Cell) -> Measured | None:
    """The one that the cell has room for: of the last part, of several findings the lowest."""
    wanted = [m for m in cell.figures if m.name == FIRST[row.task]]
    if not wanted:
        return None
    last = [m for m in wanted if m.where == wanted[-1].where]
    return min(last, key=lambda m: m.figure.value)


def _short(one: Measured) -> str:
    return f"{escape(one.name)} {escape(_interval(one.figure))}"


def _bar(value: float, largest: float) -> str:
    width = 100 * value / largest if largest else 0
    return f'<i class=bar><i style="width:{width:.0f}%"></i></i>'


def _details(row: Row) -> str:
    body = "".join(_details_row(cell) for cell in row.cells)
    listed = "".join(f"<li>{escape(text)}</li>" for text in (*_reasons(row), *row.notes))
    members = f"<p>Pipeline of {escape(', '.join(row.members))}.</p>" if row.members else ""
    return (
        f"<details><summary>{escape(row.name)}</summary>{members}"
        # A link into closed details opens them.
        f'<div class=wide id="{escape(row.name)}"><table><thead><tr><th>artifact<th>kB'
        "<th>equal decisions<th>difference"
        f"<th>cosine<th>figures, percent<th>latency ms</tr></thead>{body}</table></div>"
        f"<ul>{listed}</ul></details>"
    )


def _details_row(cell: Cell) -> str:
    title = f"{cell.format}/{cell.precision}"
    if cell.state != "made" or cell.bytes is None:
        return f"<tr class={cell.state}><td>{title}<td colspan=6>not made, see below</tr>"
    p = cell.parity
    parity = (
        f"<td>{p.decision_agreement:.3f} of {p.n_films}<td>{p.max_abs_difference:.2g}"
        f"<td>{p.cosine:.5f}"
        if p
        else "<td>not measured<td><td>"
    )
    figures = "<br>".join(escape(_figure_words(m)) for m in cell.figures) or "not measured"
    return (
        f"<tr><td>{title}<td>{cell.bytes / 1000:,.0f}{parity}<td>{figures}<td>{_latency(cell)}</tr>"
    )
