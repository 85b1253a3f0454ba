"""SNR, noise added and share of the work of every layer of an INT8 artifact, as PNG."""

import io
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from .quantization_records import LayerLoss, QuantizationReport

# Okabe and Ito's colours, told apart by colour-blind readers too.
INT8_COLOUR, FLOAT_COLOUR, WORK_COLOUR = "#D55E00", "#0072B2", "#999999"
# Inches a layer; a name needs as much, beyond so many layers only their numbers are written.
WIDTH_OF_LAYER, LEAST_WIDTH, MOST_WIDTH = 0.22, 8.0, 40.0
MOST_NAMES = 150
# A layer computed exactly reaches 120 dB and would flatten the rest; 60 dB is .1 % of the signal.
MOST_DB = 60.0


def picture(report: QuantizationReport) -> bytes:
    """PNG of `drawn`."""
    canvas: Any = FigureCanvasAgg(drawn(report))
    out = io.BytesIO()
    canvas.print_png(out)
    return out.getvalue()


def drawn(report: QuantizationReport) -> Figure:
    """Above the SNR along the network, below what each layer adds and what it computes."""
    count = len(report.layers)
    width = min(max(WIDTH_OF_LAYER * count + 1.5, LEAST_WIDTH), MOST_WIDTH)
    figure = Figure(figsize=(width, 7), dpi=100, layout="constrained")
    above, middle, below = figure.subplots(3, 1, sharex=True, height_ratios=(3, 2, 1))
    figure.suptitle(
        f"{report.model} {report.artifact}, {report.n_films} films of {report.data}, part "
        f"{report.part}",
        fontsize=11,
    )
    _bars(above, report.layers, [x.snr_db for x in report.layers], "SNR, dB")
    if any(x.snr_db is not None and x.snr_db > MOST_DB for x in report.layers):
        above.set_ylim(top=MOST_DB)
        above.set_ylabel(f"SNR, dB (cut at {MOST_DB:g})")
    added = [None if x.noise_added is None else 100 * x.noise_added for x in report.layers]
    _bars(middle, report.layers, added, "noise added,\n% of signal")
    below.bar(range(1, count + 1), [100 * x.share for x in report.layers], color=WORK_COLOUR)
    below.set_ylabel("multiply-\nadds, %")
    below.set_xlabel("layer, as they run")
    if count <= MOST_NAMES:
        names = [_short(x) for x in report.layers]
        below.set_xticks(range(1, count + 1), names, rotation=90, fontsize=7)
    below.set_xlim(0.2, count + 0.8)
    # Beside the plots: inside one it would cover bars.
    figure.legend(
        handles=[Patch(color=INT8_COLOUR, label="INT8"), Patch(color=FLOAT_COLOUR, label="float")],
        loc="outside lower right",
        ncols=2,
        fontsize=8,
        frameon=False,
    )
    return figure


def _bars(axes: Any, layers: tuple[LayerLoss, ...], values: list[float | None], words: str) -> None:
    colours = [FLOAT_COLOUR if x.in_float else INT8_COLOUR for x in layers]
    heights = [0.0 if v is None else v for v in values]
    axes.bar(range(1, len(layers) + 1), heights, color=colours)
    for place, value in enumerate(values, 1):
        if value is None:
            axes.annotate("?", (place, 0), ha="center", va="bottom", fontsize=8)
    axes.set_ylabel(words)
    axes.grid(True, axis="y", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)


def _short(layer: LayerLoss) -> str:
    return layer.name if len(layer.name) <= 28 else f"…{layer.name[-27:]}"
