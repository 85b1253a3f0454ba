"""The rows of the lesion table and how they are written."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from clinicedge.profiles.worker import Sample
from clinicedge.runtime.figures import Figure

NOT_MEASURED = "not measured"
COLUMNS = (
    *("model", "runs in", "input", "weights", "prompt", "Dice (95 %)", "IoU (95 %)"),
    *("MB", "ms", "peak MB", "remarks"),
)


@dataclass(frozen=True)
class Row:
    """One network or pipeline.

    Attributes:
        runs_in: engine, version and compute precision; "" where it did not run.
        input: side lengths in pixels, of a pipeline each network's.
        weights: what they are of, in words.
        prompt: what a person must give beside the film.
        dice, iou: None: not measured.
        size_mb: of the files that a device needs.
        ms: from the decoded film to the answer, the median of the rounds' medians; of each round
            in `round_ms`.
        peak_rss_mb: the highest of the rounds' processes.
        remarks: also why something was not measured.
    """

    model: str
    prompt: str
    weights: str
    input: str = ""
    runs_in: str = ""
    threads: int = 0
    dice: Figure | None = None
    iou: Figure | None = None
    size_mb: float | None = None
    ms: float | None = None
    round_ms: tuple[float, ...] = ()
    peak_rss_mb: float | None = None
    remarks: tuple[str, ...] = ()

    def noted(self, *words: str) -> "Row":
        """The same with more remarks."""
        return replace(self, remarks=(*self.remarks, *words))


def with_samples(row: Row, samples: Sequence[Sample]) -> Row:
    """The row with what its processes measured."""
    last = samples[-1]
    medians = tuple(round(statistics.median(s.steady_ms), 2) for s in samples)
    return replace(
        row,
        runs_in=f"{last.engine_version} {last.compute}",
        threads=last.threads,
        ms=statistics.median(medians),
        round_ms=medians,
        peak_rss_mb=round(max(s.peak_rss_mb for s in samples), 1),
    )


def markdown(rows: Sequence[Row], head: str) -> str:
    """The table below a line that says what was measured."""
    lines = [head, "", "| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    for row in rows:
        cells = (
            *(row.model, row.runs_in or "-", row.input or "-", row.weights, row.prompt),
            *(_figure(row.dice), _figure(row.iou)),
            *(_number(row.size_mb, 1), _number(row.ms, 1), _number(row.peak_rss_mb, 0)),
            "; ".join(row.remarks) or "-",
        )
        lines.append("| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |")
    return "\n".join(lines)


def _figure(figure: Figure | None) -> str:
    if figure is None:
        return NOT_MEASURED
    return f"{figure.value:.3f} ({figure.low:.3f}-{figure.high:.3f})"


def _number(value: float | None, digits: int) -> str:
    return NOT_MEASURED if value is None else f"{value:.{digits}f}"
