"""How near `auto` comes to the best engine x artifact x threads, tuned and untuned.

Target: after tuning within 5 %, medians of 5 interleaved rounds, among artifacts that decide as
FP32 does on at least 99 % of the films. Untuned, the device profile's order: its ratio is
reported. The tuning is done anew in a state folder of its own. Of a pipeline every model is
measured. --json prints the numbers alone.

    python benchmarks/tune_quality.py bundles/mobilenet-1.0-224
"""

import argparse
import json
import os
import tempfile
from typing import Any

from _picking import add_bundle, pick_models
from _timing import medians, silent

from clinicedge.profiles.devices import detect
from clinicedge.profiles.measure import Cell, Rounds, cells
from clinicedge.profiles.tuning import MIN_AGREEMENT, thread_counts, tune
from clinicedge.runtime.bundle import Bundle
from clinicedge.runtime.choices import usable_cores

TARGET = 1.05


def auto(bundle: Bundle) -> Cell:
    """What `engine auto, precision auto` opens."""
    report = bundle.predictor(order=detect().profile.engine_order).report
    session = report.session
    compute = bundle.artifact(report.artifact).computes[0]
    return Cell(report.artifact, session.engine, compute, session.threads)


def quality(bundle: Bundle, plan: Rounds) -> dict[str, Any]:
    """The tuned and the untuned choice of a model against the best of all."""
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
    speeds = medians(bundle, wanted, plan)
    best = min(allowed, key=lambda c: speeds[c])
    return {
        "bundle": bundle.manifest.name,
        "best": best.name,
        "tuned": tuned.name,
        "untuned": untuned.name,
        "best_ms": round(speeds[best], 4),
        "tuned_ratio": round(speeds[tuned] / speeds[best], 4),
        "untuned_ratio": round(speeds[untuned] / speeds[best], 4),
        "target_ratio": TARGET,
        "met": speeds[tuned] <= TARGET * speeds[best],
        "all_ms": {c.name: round(ms, 4) for c, ms in sorted(speeds.items(), key=lambda i: i[1])},
    }


def show(found: dict[str, Any], rounds: int) -> None:
    print(f"{found['bundle']}: medians of {rounds} interleaved rounds")
    for name, ms in found["all_ms"].items():
        print(f"  {name:<58}{ms:>9.3f} ms  {ms / found['best_ms']:>6.2f}x")
    print(f"best    {found['best']}, {found['best_ms']} ms")
    met = "met" if found["met"] else "NOT met"
    print(f"tuned   {found['tuned']}: {found['tuned_ratio']}x, target {TARGET}x: {met}")
    print(f"untuned {found['untuned']}: {found['untuned_ratio']}x")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_bundle(parser)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    plan = Rounds(options.rounds, options.seconds, 1000)
    found = [quality(bundle, plan) for bundle in pick_models(options.bundle)]
    if options.json:
        print(json.dumps(found, indent=1))
        return
    for one in found:
        show(one, options.rounds)


if __name__ == "__main__":
    main()
