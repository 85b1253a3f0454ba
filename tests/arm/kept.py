"""Bundles converted once, and kept under the hash of what they are made of."""

import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from clinicedge.convert import ConvertOptions, convert_model, phantom_films
from clinicedge.convert.cache import key_of
from clinicedge.convert.recipes import FORMATS, GUARDED, REVISION, tool_versions
from clinicedge.convert.steps import CACHE
from clinicedge.runtime import Bundle, load
from clinicedge.runtime.choices import usable_cores
from clinicedge.runtime.errors import BundleError
from clinicedge.runtime.files import sha256_file

from .machines import REPOSITORY
from .mobilenets import Net, net, source

Nets = tuple[tuple[Net, Bundle], ...]
Process = subprocess.Popen[bytes]
# Raise it when what is asked of a conversion changes.
RECIPE = 1
# Few films: their drawing and judging would take longer than the conversion.
_PHANTOMS = 16
_CALIBRATION = 12
# Each takes one core and some gigabytes.
_AT_A_TIME = 4
_LOOK_S = 0.2


def find(wanted: Net, cache: Path) -> Bundle | None:
    """What an earlier run made of the same things; None where there is none."""
    try:
        return load(_folder(wanted, cache) / wanted.spec.name)
    except BundleError:
        return None


def make(wanted: Net, cache: Path) -> None:
    """Convert it in this process, FP32 and guarded INT8 in three formats.

    The guard's search has tests of its own: one quantization a format, which the budget allows.
    """
    folder = _folder(wanted, cache)
    options = ConvertOptions(
        folder,
        precisions=wanted.floats,
        recipes=(GUARDED,),
        calibration_films=_CALIBRATION,
        min_agreement=0.0,
        trials=1,
    )
    phantom_films.COUNT = _PHANTOMS
    convert_model(source(wanted), options)
    shutil.rmtree(folder / CACHE)
    for old in folder.parent.iterdir():
        if old != folder:
            shutil.rmtree(old)


def fill(wanted: Sequence[Net], cache: Path, seconds: float = math.inf) -> None:
    """Convert what is not there, in the order given, several at a time.

    Each in a process of its own: the converters keep much memory and start others. What is being
    made when `seconds` are over is stopped; the next run goes on from its finished steps.

    Raises:
        subprocess.CalledProcessError: a conversion failed; it has printed why.
    """
    began = time.monotonic()
    missing = deque(one for one in wanted if find(one, cache) is None)
    running: dict[Process, Net] = {}
    with tempfile.TemporaryDirectory() as scratch:
        try:
            while (missing or running) and time.monotonic() - began < seconds:
                if missing and len(running) < min(_AT_A_TIME, usable_cores()):
                    one = missing.popleft()
                    running[_start(one, cache, scratch)] = one
                    continue
                for process in [p for p in running if p.poll() is not None]:
                    _ended(process, running.pop(process), time.monotonic() - began)
                time.sleep(_LOOK_S)
        finally:
            for process in running:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _start(wanted: Net, cache: Path, scratch: str) -> Process:
    return subprocess.Popen(
        [sys.executable, "-m", __name__, wanted.name, str(cache)],
        cwd=REPOSITORY,
        env=os.environ | {"OMP_NUM_THREADS": "1", "TMPDIR": scratch},
        start_new_session=True,
    )


def _ended(process: Process, wanted: Net, seconds: float) -> None:
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    print(f"after {seconds:.0f} s: {wanted.spec.name} is converted", flush=True)


def _folder(wanted: Net, cache: Path) -> Path:
    weights = "random" if wanted.weights is None else sha256_file(wanted.weights)
    asked = (RECIPE, _PHANTOMS, _CALIBRATION, sorted(wanted.artifacts))
    key = key_of(weights, REVISION, tool_versions(FORMATS), wanted.spec, asked)
    return cache / "nets" / wanted.name / key[:16]


if __name__ == "__main__":
    make(net(sys.argv[1]), Path(sys.argv[2]))
