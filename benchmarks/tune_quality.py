"""How near `auto` comes to the best engine x artifact x threads, tuned and untuned.

Target: after tuning within 5 %, medians of 5 interleaved rounds, among artifacts that decide as
FP32 does on at least 99 % of the films. Untuned, the device profile's order: its ratio is
reported. The tuning is done anew in a state folder of its own. --json prints the numbers alone.

    python benchmarks/tune_quality.py bundles/mobilenet-1.0-224
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

from clinicedge.profiles.devices import detect
from clinicedge.profiles.measure import Cell, Rounds, cells, interleave, sample
from clinicedge.profiles.tuning import MIN_AGREEMENT, thread_counts, tune
from clinicedge.runtime import load
from clinicedge.runtime.bundle import Bundle
from clinicedge.runtime.choices import usable_cores

TARGET = 1.05
BUNDLES = ("bundles/mobilenet-1.0-224", "demo/mobilenet-0.5-160", "bundles/mobilenet-0.25-128")


def silent(_done: int, _total: int, _what: str) -> None:
    """No bar in a benchmark."""


def auto(bundle: Bundle) -> Cell:
    """What `engine auto, precision auto` opens."""
    report = bundle.predictor(order=detect().profile.engine_order).report
    session = report.session
    compute = bundle.artifact(report.artifact).computes[0]
    return Cell(report.artifact, session.engine, compute, session.threads)


def medians(bundle: Bundle, wanted: tuple[Cell, ...], plan: Rounds) -> dict[Cell, float]:
    """Milliseconds: the median of each cell's round medians."""
    seen: dict[Cell, list[float]] = {cell: [] for cell in wanted}

    def ask(cell: Cell, _round: int) -> None:
        taken = sample(bundle, cell, plan.seconds, plan.runs)
        seen[cell].append(statistics.median(taken.steady_ms))

    interleave(wanted, plan.rounds, ask, silent)
    return {cell: statistics.median(values) for cell, values in seen.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", nargs="?", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    folder = options.bundle or next((Path(b) for b in BUNDLES if Path(b).is_dir()), None)
    if folder is None:
        sys.exit("not measured: no bundle here; make one with `make convert-demo`")
    bundle = load(folder)
    with tempfile.TemporaryDirectory() as state:
        os.environ["CLINICEDGE_STATE"] = state
        untuned = auto(bundle)
        tune(bundle, Rounds(5, 0.3), silent)
        tuned = auto(bundle)
    found, _ = cells(bundle, thread_counts(usable_cores()))
    allowed = tuple(
        c for c in found if bundle.artifact(c.artifact).parity.decision_agreement >= MIN_AGREEMENT
    )
    wanted = tuple(dict.fromkeys((*allowed, untuned, tuned)))
    speeds = medians(bundle, wanted, Rounds(options.rounds, options.seconds, 1000))
    best = min(allowed, key=lambda c: speeds[c])
    document = {
        "bundle": bundle.manifest.name,
        "best": best.name,
        "tuned": tuned.name,
        "untuned": untuned.name,
        "best_ms": round(speeds[best], 4),
        "tuned_ratio": round(speeds[tuned] / speeds[best], 4),
        "untuned_ratio": round(speeds[untuned] / speeds[best], 4),
        "target_ratio": TARGET,
        "met": speeds[tuned] <= TARGET * speeds[best],
    }
    if options.json:
        print(json.dumps(document, indent=1))
        return
    print(f"{bundle.manifest.name}: medians of {options.rounds} interleaved rounds")
    for cell, ms in sorted(speeds.items(), key=lambda item: item[1]):
        print(f"  {cell.name:<58}{ms:>9.3f} ms  {ms / speeds[best]:>6.2f}x")
    print(f"best    {document['best']}, {document['best_ms']} ms")
    met = "met" if document["met"] else "NOT met"
    print(f"tuned   {tuned.name}: {document['tuned_ratio']}x, target {TARGET}x: {met}")
    print(f"untuned {untuned.name}: {document['untuned_ratio']}x")


if __name__ == "__main__":
    main()
