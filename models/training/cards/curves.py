"""The curves of a run as PNG."""

import io
from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ....runtime.files import write_atomic
from ..state import EpochFigures


def draw_curves(history: Sequence[EpochFigures], best_epoch: int, title: str, path: Path) -> None:
    """Losses and the select score by epoch, the kept epoch marked.

    Raises:
        OutputError: the file cannot be written.
    """
    figure = Figure(figsize=(9, 3.6), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    losses, areas = figure.subplots(1, 2)
    epochs = [line.epoch + 1 for line in history]
    losses.plot(epochs, [line.train_loss for line in history], label="train (augmented)")
    losses.plot(epochs, [line.select_loss for line in history], label="select (averaged weights)")
    losses.set_ylabel("loss")
    losses.legend(frameon=False)
    areas.plot(epochs, [line.select_score for line in history], color="tab:green")
    areas.set_ylabel(f"{history[-1].score_name} on select")
    for axes in (losses, areas):
        axes.axvline(best_epoch + 1, color="grey", linestyle=":", linewidth=1)
        axes.set_xlabel("epoch (dotted: kept)")
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title, fontsize=10)
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    write_atomic(path, stream.getvalue())
