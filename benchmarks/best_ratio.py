"""How much faster the best INT8 is than the best f32, and how small its file.

Each model has its own target on processors with AMX and with VNNI (`_targets.py`); where the
processor has neither there is none, and the table says so. Fresh processes, interleaved rounds,
two threads; --json prints the numbers alone, a target or verdict that does not apply as null.

    python benchmarks/best_ratio.py bundles/mobilenet-1.0-224

segunet-512 has no weights of ours: `_random_bundle.py` makes a bundle for its size and speed.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from _targets import Kernels, Target, kernels_of, target_of, verdict
from _timing import medians

from clinicedge.profiles.machine import this_machine
from clinicedge.profiles.measure import Cell, Rounds, cells
from clinicedge.runtime import load
from clinicedge.runtime.bundle import Bundle

DEFAULT = Path("bundles/mobilenet-1.0-224")
WORDS = {True: "met", False: "NOT met", None: "no target"}


def sizes(bundle: Bundle, target: Target | None) -> list[dict[str, Any]]:
    """Each INT8 file in MB and over the FP32 file of its format."""
    whole = {a.format: a.bytes for a in bundle.manifest.artifacts if a.precision == "fp32"}
    found = []
    for artifact in bundle.manifest.artifacts:
        if artifact.precision != "int8" or artifact.format not in whole:
            continue
        mb, ratio = artifact.bytes / 1e6, artifact.bytes / whole[artifact.format]
        found.append(
            {
                "artifact": artifact.id,
                "mb": round(mb, 3),
                "target_mb": target.mb if target else None,
                "mb_met": verdict(mb, target.mb if target else None, at_most=True),
                "ratio": round(ratio, 4),
                "target_ratio": target.share if target else None,
                "ratio_met": verdict(ratio, target.share if target else None, at_most=True),
            }
        )
    return found


def fastest(bundle: Bundle, speeds: dict[Cell, float]) -> dict[str, tuple[float, str]]:
    """Milliseconds and artifact of the fastest that computes in f32, and in int8.

    Raises:
        SystemExit: the bundle lacks one of them.
    """
    best = {}
    for compute in ("f32", "int8"):
        rows = [(ms, cell.artifact) for cell, ms in speeds.items() if cell.compute == compute]
        if not rows:
            sys.exit(f"not measured: {bundle.folder} has no artifact that computes in {compute}")
        best[compute] = min(rows)
    return best


def speed_of(
    name: str, best: dict[str, tuple[float, str]], kernels: Kernels | None
) -> dict[str, Any]:
    """The ratio against what was aimed at for this model on this processor."""
    ratio = best["f32"][0] / best["int8"][0]
    target = target_of(name)
    return {
        "bundle": name,
        "kernels": kernels,
        "best_f32": best["f32"][1],
        "best_int8": best["int8"][1],
        "speed_ratio": round(ratio, 3),
        "target_speed": {"AMX": target.amx, "VNNI": target.vnni} if target else None,
        "speed_met": verdict(ratio, target.speed(kernels) if target else None),
    }


def speed_words(found: dict[str, Any]) -> str:
    """What the ratio says on this processor."""
    words = (
        f"best INT8 {found['best_int8']} is {found['speed_ratio']:.2f}x faster than best f32 "
        f"{found['best_f32']}"
    )
    targets, kernels = found["target_speed"], found["kernels"]
    if targets is None:
        return f"{words}; no target for {found['bundle']}"
    if kernels is None:
        aims = " and ".join(f"{value:g}x with {name}" for name, value in targets.items())
        return f"{words}; no VNNI or AMX here: the targets, {aims}, are not judged"
    return f"{words}; target with {kernels} {targets[kernels]:g}x: {WORDS[found['speed_met']]}"


def size_words(row: dict[str, Any]) -> str:
    """A file's size, and what was aimed at."""
    words = [f"{row['artifact']}: {row['mb']:.2f} MB, {row['ratio']:.3f} of FP32"]
    if row["target_mb"] is not None:
        words.append(f"target {row['target_mb']:g} MB: {WORDS[row['mb_met']]}")
    if row["target_ratio"] is not None:
        words.append(f"target {row['target_ratio']:g} of FP32: {WORDS[row['ratio_met']]}")
    return "; ".join(words)


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
    name = bundle.manifest.name
    found = speed_of(name, fastest(bundle, speeds), kernels_of(this_machine().flags))
    files = sizes(bundle, target_of(name))
    if options.json:
        times = {f"{c.artifact} {c.compute}": round(ms, 4) for c, ms in speeds.items()}
        rest = {"threads": options.threads, "median_ms": times, "size": files}
        print(json.dumps({**found, **rest}, indent=1))
        return
    print(f"{name}, {options.threads} threads, medians of {options.rounds} rounds")
    for cell, ms in sorted(speeds.items(), key=lambda item: item[1]):
        print(f"  {cell.artifact:<24}{cell.compute:<6}{ms:>9.3f} ms")
    print(speed_words(found))
    for row in files:
        print(size_words(row))


if __name__ == "__main__":
    main()
