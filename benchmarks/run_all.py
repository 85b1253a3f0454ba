"""Every benchmark of this folder, one after the other on this machine.

python benchmarks/run_all.py            prints their tables
python benchmarks/run_all.py --json     one JSON document, keyed by benchmark

A benchmark that finds nothing to measure here says "not measured"; exits 1 where one failed.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Literal

HERE = Path(__file__).parent
# This one, and those that read or write files which one must name.
BY_HAND = ("run_all", "audit_cards", "test_parts")
State = Literal["measured", "not_measured", "failed"]


def run(script: Path, as_json: bool) -> tuple[State, str]:
    """What the benchmark printed; its last words where it did not end well."""
    words = [sys.executable, str(script), *(["--json"] if as_json else [])]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return "measured", done.stdout
    said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    return "not_measured" if said.startswith("not measured") else "failed", said


def scripts() -> list[Path]:
    """The benchmarks that measure this machine by themselves."""
    found = (p for p in sorted(HERE.glob("*.py")) if not p.name.startswith("_"))
    return [p for p in found if p.stem not in BY_HAND]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results: dict[str, object] = {}
    states: dict[State, list[str]] = {}
    for script in scripts():
        print(f"running {script.stem} …", file=sys.stderr, flush=True)
        state, said = run(script, options.json)
        states.setdefault(state, []).append(script.stem)
        if options.json:
            results[script.stem] = json.loads(said) if state == "measured" else {state: said}
        else:
            print(f"== {script.stem}\n{said}", flush=True)
    if options.json:
        print(json.dumps(results, indent=1))
    for state in ("not_measured", "failed"):
        if names := states.get(state):
            print(f"{state.replace('_', ' ')}: {', '.join(names)}", file=sys.stderr)
    sys.exit(1 if "failed" in states else 0)


if __name__ == "__main__":
    main()
