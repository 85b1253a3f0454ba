"""Run one function in a fresh process.

The converters print at will, keep gigabytes and would meet in one process; a child each keeps
the terminal readable, the memory free and a crash contained. What they print is kept for the
error message.
"""

import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, TypeVarTuple, cast

from ..runtime.errors import ClinicEdgeError, ConversionError

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
_LOG_LINES = 15
# The children are short; more threads than this only fight with each other.
_ENVIRONMENT = {
    "PYTHONWARNINGS": "ignore",
    "PYTHONHASHSEED": "0",
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "OPENVINO_TELEMETRY_DISABLED": "1",
}


def call(function: Callable[[*Ts], T], *args: *Ts) -> T:
    """The result of `function(*args)`, computed in a child process.

    Args:
        function: importable by module and name; its arguments and result can be pickled.

    Raises:
        ClinicEdgeError: what the function raised on purpose.
        ConversionError: any other failure, with the end of what the child printed.
    """
    with tempfile.TemporaryDirectory(prefix="clinicedge-convert-") as name:
        folder = Path(name)
        (folder / "job").write_bytes(pickle.dumps((function, args)))
        log = folder / "log"
        with log.open("wb") as stream:
            done = subprocess.run(  # the child is this interpreter and this file alone
                [sys.executable, "-m", __name__, str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env=os.environ | _ENVIRONMENT,
                check=False,
            )
        result = folder / "result"
        if done.returncode != 0 or not result.is_file():
            raise ConversionError(_failure(function.__name__, done.returncode, log))
        value = pickle.loads(result.read_bytes())
    if isinstance(value, ClinicEdgeError):
        raise value
    return cast(T, value)


def _failure(what: str, code: int, log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    end = "\n  ".join(lines[-_LOG_LINES:]) or "it printed nothing"
    return f"{what} ended with code {code}, expected 0. The end of what it printed:\n  {end}"


def _main(folder: Path) -> None:
    function, args = pickle.loads((folder / "job").read_bytes())
    try:
        value = function(*args)
    except ClinicEdgeError as err:
        value = err
    (folder / "result").write_bytes(pickle.dumps(value))


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
