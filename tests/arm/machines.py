"""A Python that runs on an emulated processor: a script that starts it under qemu."""

import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from itertools import chain
from pathlib import Path

from clinicedge.runtime.apart import run_apart
from clinicedge.runtime.trial import Outcome, Trial

from .processors import Processor, draw

LIMIT_S = 900
# Trials that one process takes without help.
FEW = 3
REPOSITORY = Path(__file__).parents[2]
# Child processes are started through the script as well, or they would run on this machine.
_MAIN = (
    "import sys; sys.executable = sys.argv.pop(1); "
    "from clinicedge.cli import main; main(sys.argv[1:])"
)


@dataclass(frozen=True)
class Machine:
    """An emulated machine: `python` starts its Python, `state` keeps what it remembers."""

    processor: Processor
    python: Path
    state: Path

    def clinicedge(self, *words: object) -> "subprocess.CompletedProcess[str]":
        """Run the command `clinicedge WORDS` on it, LIMIT_S at most."""
        command = [str(self.python), "-P", "-c", _MAIN, str(self.python), *map(str, words)]
        environment = {"CLINICEDGE_STATE": str(self.state), "PATH": "/usr/bin:/bin"}
        return subprocess.run(
            command, capture_output=True, text=True, timeout=LIMIT_S, check=False, env=environment
        )

    def outcomes(self, trials: Sequence[Trial]) -> tuple[Outcome, ...]:
        """What comes of each trial on it, in the order given; two processes at a time."""
        groups = list(_groups(trials))
        with ThreadPoolExecutor(2) as pool:
            found = list(pool.map(lambda group: run_apart(group, str(self.python)), groups))
        by_trial = dict(zip(chain(*groups), chain(*found), strict=True))
        return tuple(by_trial[trial] for trial in trials)


def _groups(trials: Sequence[Trial]) -> Iterator[list[Trial]]:
    """By engine, many in two halves: a start costs as much as some films."""
    for engine in dict.fromkeys(t.engine for t in trials):
        own = [t for t in trials if t.engine == engine]
        yield from (own[::2], own[1::2]) if len(own) > FEW else (own,)


def machine(processor: Processor, root: Path | None, folder: Path) -> Machine:
    """Make the machine's files in `folder`.

    Args:
        root: of `aarch64_root`; None for a processor that runs this machine's own Python.
    """
    prefix = folder / "prefix"
    prefix.mkdir(parents=True)
    draw(processor, prefix)
    python = Path(sys.executable)
    paths: list[Path] = []
    if root is not None:
        for part in ("bin", "etc", "lib", "sbin", "usr", "var"):
            (prefix / part).symlink_to(root / part)
        python, paths = prefix / "usr/bin/python3", [_named(folder), REPOSITORY / ".dev"]
    script = folder / f"python-{processor.name}"
    run = [processor.qemu, "-cpu", processor.cpu, "-L", str(prefix), str(python)]
    script.write_text(
        "#!/bin/sh\n"
        # Emulated threads wait for each other more than they compute.
        "export OMP_NUM_THREADS=1\n"
        f"export PYTHONPATH={shlex.quote(':'.join(map(str, paths)))}\n"
        f'exec {shlex.join(run)} "$@"\n'
    )
    script.chmod(0o755)
    state = folder / "state"
    state.mkdir()
    return Machine(processor, script, state)


def _named(folder: Path) -> Path:
    """A folder with what pip would write: the version, and the engines by their entry points."""
    here = metadata.distribution("clinicedge")
    target = folder / "installed" / f"clinicedge-{here.version}.dist-info"
    target.mkdir(parents=True)
    (target / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: clinicedge\nVersion: {here.version}\n"
    )
    group = "clinicedge.engines"
    found = [f"{e.name} = {e.value}\n" for e in here.entry_points if e.group == group]
    (target / "entry_points.txt").write_text(f"[{group}]\n{''.join(found)}")
    return target.parent
