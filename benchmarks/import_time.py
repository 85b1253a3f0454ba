"""How long `import clinicedge.runtime` takes without numpy's own import, and what it loads.

Target: at most 0.25 s, and neither torch nor tensorflow in sys.modules of runtime or server.
Fresh processes, interleaved; --json prints the numbers alone.
"""

import argparse
import json
import statistics
import subprocess
import sys

TARGET_S = 0.25
NEVER = ("torch", "tensorflow", "keras")
MODULES = ("clinicedge.runtime", "clinicedge.edge_server", "clinicedge.edge_server.app")
CODE = """
import json, sys, time
import numpy
start = time.perf_counter()
import {module}
took = time.perf_counter() - start
print(json.dumps([took, [m for m in {never!r} if m in sys.modules]]))
"""


def once(module: str) -> tuple[float, list[str]] | None:
    """Seconds and the forbidden modules found; None where it cannot be imported."""
    code = CODE.format(module=module, never=NEVER)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return None
    took, found = json.loads(done.stdout)
    return float(took), list(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    seen: dict[str, list[tuple[float, list[str]]]] = {name: [] for name in MODULES}
    for _ in range(options.rounds):
        for name in MODULES:
            if (result := once(name)) is not None:
                seen[name].append(result)
    rows: list[dict[str, object]] = []
    for name, results in seen.items():
        if not results:
            rows.append({"module": name, "median_s": None, "target_s": None, "met": None})
            continue
        median = statistics.median(took for took, _ in results)
        target = TARGET_S if name == "clinicedge.runtime" else None
        forbidden = sorted({m for _, found in results for m in found})
        rows.append(
            {
                "module": name,
                "median_s": round(median, 4),
                "target_s": target,
                "forbidden": forbidden,
                "met": not forbidden and (target is None or median <= target),
            }
        )
    if options.json:
        print(json.dumps(rows, indent=1))
        return
    print(f"{'import, numpy there already':<30}{'median s':>10}{'target':>8}  torch or tensorflow")
    for row in rows:
        if row["median_s"] is None:
            print(f"{row['module']:<30}not measured: cannot be imported here")
            continue
        found = ", ".join(row["forbidden"]) or "none"  # type: ignore[arg-type]
        print(f"{row['module']:<30}{row['median_s']:>10}{row['target_s'] or '-':>8}  {found}")


if __name__ == "__main__":
    main()
