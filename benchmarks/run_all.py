"""Every benchmark of this folder, one after the other on this machine.

python benchmarks/run_all.py            prints their tables
python benchmarks/run_all.py --json     one JSON document, keyed by benchmark
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def run(script: Path, as_json: bool) -> tuple[int, str]:
    """Exit code and what the benchmark printed; its last words where it printed nothing."""
    words = [sys.executable, str(script), *(["--json"] if as_json else [])]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    said = done.stderr.strip().splitlines()
    return done.returncode, done.stdout or (said[-1] if said else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results: dict[str, object] = {}
    failed = []
    for script in sorted(HERE.glob("*.py")):
        if script.name == Path(__file__).name or script.name.startswith("_"):
            continue
        print(f"running {script.stem} …", file=sys.stderr, flush=True)
        code, said = run(script, options.json)
        if code != 0:
            failed.append(script.stem)
        if options.json:
            results[script.stem] = json.loads(said) if code == 0 else {"not_measured": said}
        else:
            print(f"== {script.stem}\n{said}", flush=True)
    if options.json:
        print(json.dumps(results, indent=1))
    if failed:
        print(f"not measured: {', '.join(failed)}", file=sys.stderr)


if __name__ == "__main__":
    main()
