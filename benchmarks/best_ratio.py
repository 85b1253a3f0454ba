"""How much faster the best INT8 is than the best f32, and how much smaller its file.

Target for mobilenet-1.0-224: at least 3x where the processor has VNNI or AMX, INT8 file at most
0.28 of FP32. Fresh processes, interleaved rounds, two threads; --json prints the numbers alone.

    python benchmarks/best_ratio.py bundles/mobilenet-1.0-224
"""

import argparse
import json
import sys
from pathlib import Path

from _timing import medians

from clinicedge.profiles.machine import this_machine
from clinicedge.profiles.measure import Rounds, cells
from clinicedge.runtime import load
from clinicedge.runtime.bundle import Bundle

TARGET_SPEED = 3.0
TARGET_SIZE = 0.28
DEFAULT = Path("bundles/mobilenet-1.0-224")


def sizes(bundle: Bundle) -> list[dict[str, object]]:
    """INT8 file over FP32 file, one row a format."""
    found: list[dict[str, object]] = []
    for form in ("onnx", "tflite", "openvino"):
        by_precision = {a.precision: a for a in bundle.manifest.artifacts if a.format == form}
        if {"fp32", "int8"} <= set(by_precision):
            ratio = by_precision["int8"].bytes / by_precision["fp32"].bytes
            found.append({"format": form, "ratio": round(ratio, 4), "met": ratio <= TARGET_SIZE})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", nargs="?", type=Path, default=DEFAULT)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not options.bundle.is_dir():
        sys.exit(f"not measured: no bundle at {options.bundle}; make it with `clinicedge convert`")
    bundle = load(options.bundle)
    plan = Rounds(options.rounds, options.seconds, 1000)
    speeds = medians(bundle, cells(bundle, (options.threads,))[0], plan)
    best = {
        compute: min((ms, cell.artifact) for cell, ms in speeds.items() if cell.compute == compute)
        for compute in ("f32", "int8")
    }
    ratio = best["f32"][0] / best["int8"][0]
    document = {
        "bundle": bundle.manifest.name,
        "int8_dot_product": this_machine().int8_dot_product,
        "threads": options.threads,
        "median_ms": {c.artifact: round(ms, 4) for c, ms in speeds.items()},
        "best_f32": best["f32"][1],
        "best_int8": best["int8"][1],
        "speed_ratio": round(ratio, 3),
        "target_speed": TARGET_SPEED,
        "speed_met": ratio >= TARGET_SPEED,
        "size": sizes(bundle),
        "target_size": TARGET_SIZE,
    }  # fmt: skip
    if options.json:
        print(json.dumps(document, indent=1))
        return
    verdict = "met" if ratio >= TARGET_SPEED else "NOT met"
    if ratio < TARGET_SPEED and not this_machine().int8_dot_product:
        verdict = "this processor has neither"
    print(f"{bundle.manifest.name}, {options.threads} threads, medians of {options.rounds} rounds")
    for cell, ms in sorted(speeds.items(), key=lambda item: item[1]):
        print(f"  {cell.artifact:<24}{cell.compute:<6}{ms:>9.3f} ms")
    print(
        f"best INT8 {best['int8'][1]} is {ratio:.2f}x faster than best f32 {best['f32'][1]}; "
        f"target {TARGET_SPEED}x with VNNI or AMX: {verdict}"
    )
    for row in sizes(bundle):
        met = "met" if row["met"] else "NOT met"
        print(f"INT8 over FP32 file, {row['format']}: {row['ratio']}; target {TARGET_SIZE}: {met}")


if __name__ == "__main__":
    main()
