"""Reliability diagrams: does a score of 0.8 mean 8 in 10?"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ..runtime.errors import DataError
from ..runtime.files import write_atomic
from .evaluation import ArtifactFigures, EvaluationReport
from .plots import COLOURS, MARKERS, OTHER_COLOURS

# More panels than these are no picture any more.
MAX_PANELS = 12
_COLUMNS = 3
_FORMATS = {"onnx": "onnxruntime", "tflite": "litert", "openvino": "openvino"}


def draw_reliability(report: EvaluationReport, path: Path) -> None:
    """Write a PNG with a panel a part and label: a line an artifact, and how films are spread.

    Raises:
        DataError: the report has no scores, as that of masks.
        OutputError: `path` cannot be written.
    """
    panels = [
        (f"part {part.part}{f', {label}' if label else ''}", rows)
        for part in report.parts
        for label in dict.fromkeys(row.label for row in part.rows)
        if (rows := [r for r in part.rows if r.label == label and r.bins])
    ][:MAX_PANELS]
    if not panels:
        raise DataError(
            f"'{report.model}' was evaluated without scores of films; a reliability diagram needs "
            "some. Masks have none."
        )
    columns = min(_COLUMNS, len(panels))
    lines = -(-len(panels) // columns)
    figure = Figure(figsize=(5.2 * columns, 5.4 * lines), dpi=110, layout="constrained")
    canvas: Any = FigureCanvasAgg(figure)
    figure.suptitle(f"{report.model} on {report.data}: scores against what is true", fontsize=12)
    axes = figure.subplots(lines, columns, squeeze=False).ravel()
    for place, (title, rows) in zip(axes, panels, strict=False):
        _panel(place, title, rows)
    for place in axes[len(panels) :]:
        place.set_visible(False)
    out = io.BytesIO()
    canvas.print_png(out)
    write_atomic(path, out.getvalue())


def _panel(axes: Any, title: str, rows: Sequence[ArtifactFigures]) -> None:
    first = rows[0]
    films = sum(b.n_films for b in first.bins)
    axes.set_title(f"{title}: {films} films", fontsize=10)
    axes.plot([0, 1], [0, 1], color="#999999", linewidth=1, linestyle=":")
    for b in first.bins:
        axes.bar((b.low + b.high) / 2, b.n_films / films, width=0.09, color="#e8e8e8", zorder=0)
    for number, row in enumerate(rows):
        format_, _, recipe = row.artifact.partition("/")
        colour = COLOURS.get(_FORMATS.get(format_, ""), OTHER_COLOURS[number % 3])
        told = f"{row.artifact}: ECE {row.ece.value:.3f}" if row.ece else row.artifact
        axes.plot(
            [b.mean_score for b in row.bins],
            [b.positive_share for b in row.bins],
            marker=MARKERS.get(recipe.partition("-")[0], "P"),
            ms=5,
            linewidth=1,
            alpha=0.8,
            color=colour,
            label=told,
        )
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel("mean score of the films in a bin")
    axes.set_ylabel("share of them that is positive\n(grey: share of all films in the bin)")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(fontsize=7, frameon=False, loc="upper left")
