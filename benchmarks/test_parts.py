"""What the pipelines decide on the test parts, FP32 beside the INT8 of each format.

Reads the matrix that `clinicedge convert --all --evaluate --json` printed, or its
report/matrix.json; several, where models were converted one by one.

    python benchmarks/test_parts.py report/matrix.json
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from clinicedge.convert.matrix_records import Cell, Matrix, Row
from clinicedge.runtime.figures import Figure
from clinicedge.runtime.records import from_json

PARTS = {
    "test": "internal test",
    "official-test": "official test",
    "official-test-new-patients": "official, other numbers",
}
INT8 = {"onnx": "ONNX", "tflite": "TFLite", "openvino": "OpenVINO"}


def figure(cell: Cell, name: str, label: str, part: str) -> Figure | None:
    """Of the one answer of a cell (`label` ""), or of one finding, on a part of any data."""
    for measured in cell.figures:
        same = (measured.name, measured.label) == (name, label)
        if same and measured.where.endswith(f", {part}"):
            return measured.figure
    return None


def told(cell: Cell | None, label: str, part: str) -> str:
    """Accuracy in percent with its interval, and the AUC; why not, in a word."""
    if cell is None or cell.state != "made":
        return "none" if cell is None else cell.state
    share, area = figure(cell, "accuracy", label, part), figure(cell, "AUC", label, part)
    if share is None or area is None:
        return "not measured"
    low, value, high = (100 * v for v in (share.low, share.value, share.high))
    return f"{value:.1f} ({low:.1f}-{high:.1f}), {area.value:.3f}"


def lines(row: Row) -> Iterator[str]:
    """One for each answer and part that was read; none where no cell has figures of it.

    A cascade's findings are of the films that its first stage called positive, by FP32 here.
    """
    cells = {f"{c.format}/{c.precision}": c for c in row.cells}
    shown = [cells.get("onnx/fp32"), *(cells.get(f"{name}/int8") for name in INT8)]
    labels = dict.fromkeys(f.label for c in shown if c is not None for f in c.figures)
    for label in labels:
        name = f"{row.name}, {label}" if label else row.name
        for part, words in PARTS.items():
            known = (figure(c, "accuracy", label, part) for c in shown if c is not None)
            n = next((f.n for f in known if f is not None), None)
            if n is None:
                continue
            values = " | ".join(told(cell, label, part) for cell in shown)
            yield f"| {name} | {words}, {n} | {values} |"
            name = ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("matrices", nargs="+", type=Path)
    options = parser.parse_args()
    found = {}
    for path in options.matrices:
        matrix = from_json(Matrix, json.loads(path.read_bytes()), str(path))
        found.update({row.name: row for row in matrix.rows if row.kind == "pipeline"})
    body = [line for row in found.values() for line in lines(row)]
    if not body:
        sys.exit("not measured: no pipeline in these was evaluated; convert with --evaluate")
    heads = (f"INT8 {name}" for name in INT8.values())
    print(f"| pipeline | part | FP32 | {' | '.join(heads)} |")
    print("|" + "---|" * (3 + len(INT8)))
    print("\n".join(body))


if __name__ == "__main__":
    main()
