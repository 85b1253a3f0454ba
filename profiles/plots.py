"""Size, latency and accuracy of a bundle's artifacts, or of a whole pipeline, in one picture."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from ..runtime.bundle import Bundle
from ..runtime.figures import Accuracy, Part
from ..runtime.files import write_atomic
from ..runtime.manifest import Artifact
from .costs import Cost, CostReport

# Okabe and Ito's colours, told apart by colour-blind readers too.
COLOURS = {"onnxruntime": "#0072B2", "litert": "#D55E00", "openvino": "#009E73"}
OTHER_COLOURS = ("#CC79A7", "#56B4E9", "#E69F00")
MARKERS = {"fp32": "o", "fp16": "s", "int8": "^"}
NOT_VALIDATED_MARKER = "D"
# What the picture prefers to show of the figures that convert recorded.
PART_ORDER: tuple[Part, ...] = ("test", "official-test", "guard", "select", "train")
# Path of the model that answers in a pipeline of lungs and classifier.
CLASSIFIER = "classifier"
LABEL_PT = 8
# Offsets of a label from its point, in points, tried in turn.
_OFFSETS = (
    (7, 0, "left"),
    (-7, 0, "right"),
    *(
        (side * 9, up * 11 * step, align)
        for step in range(1, 13)
        for up in (1, -1)
        for side, align in ((1, "left"), (-1, "right"))
    ),
)


@dataclass(frozen=True)
class _Point:
    x: float
    y: float
    label: str
    colour: str
    marker: str
    filled: bool
    interval: tuple[float, float] | None = None


def recorded_accuracy(artifact: Artifact) -> Accuracy | None:
    """The figures that convert recorded, of the part nearest to a test; None if it made none."""
    by_part = {a.part: a for a in artifact.accuracy}
    return next((by_part[part] for part in PART_ORDER if part in by_part), None)


def draw_costs(bundle: Bundle, report: CostReport, path: Path) -> None:
    """Write the picture as PNG.

    Raises:
        OutputError: `path` cannot be written.
    """
    figure = Figure(figsize=(13, 6.2), dpi=110, layout="constrained")
    canvas: Any = FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    machine = report.machine
    figure.suptitle(
        f"{report.model} on {machine.processor}, {machine.cores} cores, "
        f"{_threads(report)} - {report.date[:10]}",
        fontsize=12,
    )
    _latency_panel(left, report)
    _accuracy_panel(right, bundle, report)
    figure.legend(
        handles=_legend(report), loc="outside lower center", ncols=8, frameon=False, fontsize=9
    )
    canvas.draw()
    for axes in (left, right):
        _place_labels(axes, canvas.get_renderer())
    out = io.BytesIO()
    canvas.print_png(out)
    write_atomic(path, out.getvalue())


def _threads(report: CostReport) -> str:
    counts = sorted({c.threads for c in report.costs})
    return f"{' or '.join(map(str, counts)) or 'no'} threads"


def _latency_panel(axes: Any, report: CostReport) -> None:
    points = [_point(c, c.bytes / 1e6, c.p50_ms, report) for c in report.costs]
    axes.set_title("What it costs: lower left is better", fontsize=10)
    axes.set_xlabel("files, MB")
    axes.set_ylabel(_latency_words(report))
    _log(axes.xaxis, [p.x for p in points])
    _log(axes.yaxis, [p.y for p in points])
    _draw(axes, points)


def _accuracy_panel(axes: Any, bundle: Bundle, report: CostReport) -> None:
    points = []
    shown: Accuracy | None = None
    judged = _judged(bundle)
    for cost in report.costs:
        figures = judged and recorded_accuracy(judged.artifact(cost.artifact))
        if not figures or not cost.validated:
            continue
        shown = shown or figures
        value = figures.accuracy
        points.append(
            _point(
                cost, cost.p50_ms, value.value * 100, report, (value.low * 100, value.high * 100)
            )
        )
    axes.set_title("What it is worth: upper left is better", fontsize=10)
    axes.set_xlabel(_latency_words(report))
    if shown is None:
        axes.set_ylabel("accuracy, %")
        axes.set_xticks([])
        axes.set_yticks([])
        axes.text(0.5, 0.5, "accuracy: not measured", ha="center", transform=axes.transAxes)
        return
    axes.set_ylabel(
        f"accuracy on {shown.data}, part {shown.part}, %\n{_of_member(bundle)}"
        f"(95 % interval, {shown.accuracy.n} films of {shown.accuracy.n_patients} patients)"
    )
    _log(axes.xaxis, [p.x for p in points])
    _draw(axes, points)


def _latency_words(report: CostReport) -> str:
    through = "through the pipeline" if report.members else "in the engine"
    return f"latency of one film {through}, ms (median)"


def _judged(bundle: Bundle) -> Bundle | None:
    """The model whose recorded accuracy counts: a pipeline's classifier, where it has just one."""
    if bundle.manifest.kind == "model":
        return bundle
    return next((model for path, model in bundle.models() if path == CLASSIFIER), None)


def _of_member(bundle: Bundle) -> str:
    return "" if bundle.manifest.kind == "model" else "of the classifier alone, on lung crops\n"


def _point(
    cost: Cost, x: float, y: float, report: CostReport, interval: tuple[float, float] | None = None
) -> _Point:
    return _Point(
        x=x,
        y=y,
        label=cost.artifact if cost.validated else f"{cost.artifact} in {cost.compute}",
        colour=_colour(cost.engine, report),
        marker=MARKERS.get(cost.precision, "P") if cost.validated else NOT_VALIDATED_MARKER,
        filled=cost.validated,
        interval=interval,
    )


def _colour(engine: str, report: CostReport) -> str:
    strangers = sorted({c.engine for c in report.costs} - set(COLOURS))
    known = COLOURS | dict(zip(strangers, OTHER_COLOURS, strict=False))
    return known.get(engine, "#666666")


def _draw(axes: Any, points: Sequence[_Point]) -> None:
    axes.grid(True, which="major", color="#dddddd", linewidth=0.8)
    axes.grid(True, which="minor", color="#eeeeee", linewidth=0.5)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for p in points:
        if p.interval is not None:
            axes.vlines(p.x, *p.interval, color=p.colour, linewidth=1, alpha=0.45)
        face = p.colour if p.filled else "white"
        axes.plot(p.x, p.y, p.marker, ms=8, color=p.colour, mfc=face, mew=1.4, label=p.label)


def _log(axis: Any, values: Sequence[float]) -> None:
    """A log axis with plain numbers, wide enough that the labels at its ends fit."""
    low, high = min(values), max(values)
    margin = max((high / low) ** 0.18, 1.25)
    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    axis.axes.set(**{f"{axis.axis_name}lim": (low / margin, high * margin)})
    ticks = (1, 2, 5) if high / low > 10 else (1, 1.5, 2, 3, 4, 5, 7)
    axis.set_major_locator(LogLocator(base=10, subs=ticks))
    axis.set_minor_locator(LogLocator(base=10, subs=tuple(range(1, 10))))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _legend(report: CostReport) -> list[Line2D]:
    engines = sorted({c.engine for c in report.costs})
    precisions = [p for p in MARKERS if any(c.precision == p for c in report.costs)]
    handles = [
        Line2D([], [], color=_colour(name, report), linewidth=5, label=name) for name in engines
    ]
    handles += [
        Line2D([], [], color="#444444", marker=MARKERS[p], linestyle="", ms=8, label=p)
        for p in precisions
    ]
    if any(not c.validated for c in report.costs):
        handles.append(
            Line2D(
                [], [], color="#444444", marker=NOT_VALIDATED_MARKER, linestyle="", ms=8,
                mfc="white", label="decisions not validated",
            )
        )  # fmt: skip
    return handles


def _place_labels(axes: Any, renderer: Any) -> None:
    """Write each point's label beside it where it covers no other label and no point."""
    lines = [line for line in axes.get_lines() if line.get_marker() not in ("", "None", None)]
    if not lines:
        return
    half = 6 * renderer.dpi / 72
    spots = [axes.transData.transform((ln.get_xdata()[0], ln.get_ydata()[0])) for ln in lines]
    taken = [(x - half, y - half, x + half, y + half) for x, y in spots]
    frame = axes.get_window_extent(renderer)
    for line, (x, y) in sorted(zip(lines, spots, strict=True), key=lambda pair: -pair[1][1]):
        taken.append(_place(axes, renderer, line, (x, y), (taken, frame)))


def _place(
    axes: Any, renderer: Any, line: Any, spot: tuple[float, float], room: tuple[Any, Any]
) -> tuple[float, float, float, float]:
    """Try the offsets in turn; the box in pixels of the one that is free, else of the first."""
    taken, frame = room
    best: Any = None
    for dx, dy, align in _OFFSETS:
        text = axes.annotate(
            line.get_label(),
            (line.get_xdata()[0], line.get_ydata()[0]),
            (dx, dy),
            textcoords="offset points",
            ha=align,
            va="center",
            fontsize=LABEL_PT,
            color=line.get_color(),
            arrowprops={"arrowstyle": "-", "color": line.get_color(), "lw": 0.5, "alpha": 0.5}
            if abs(dy) > 10
            else None,
        )
        text.set_in_layout(False)
        text.update_positions(renderer)
        # The text alone; an annotation's own extent has the line to the point in it.
        extent = Text.get_window_extent(text, renderer)
        box = (extent.x0, extent.y0, extent.x1, extent.y1)
        inside = box[0] >= frame.x0 and box[2] <= frame.x1
        own = (spot[0] - 1, spot[1] - 1)
        free = not any(_overlap(box, other) for other in taken if not _holds(other, own) or dy == 0)
        if inside and free and frame.y0 <= box[1] and box[3] <= frame.y1:
            if best is not None:
                best[0].remove()
            return box
        if best is None:
            best = (text, box)
        else:
            text.remove()
    return best[1]  # type: ignore[no-any-return]


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _holds(box: tuple[float, ...], spot: tuple[float, float]) -> bool:
    return box[0] <= spot[0] <= box[2] and box[1] <= spot[1] <= box[3]
