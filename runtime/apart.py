"""Trials in a process of their own: an engine that kills it does not kill the server."""

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from .records import from_json, to_json
from .trial import Outcome, Trial, run

# A large network on a small box takes seconds a film; what takes longer than this hangs.
LIMIT_S = 600
# Raised by what the engine does itself; the others come from outside, or for want of memory.
_OWN_FAULT = ("SIGILL", "SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGTRAP")
_LAST_WORDS = 300


@dataclass(frozen=True)
class _Ended:
    """How the process ended: what it told, and the outcome of the trial that ended it."""

    told: tuple[Outcome, ...]
    last: Outcome


def run_apart(trials: Sequence[Trial], python: str | None = None) -> tuple[Outcome, ...]:
    """The outcome of each. A trial that ends the process fails; the next go on in a new one.

    In a program that was frozen into one file, where no second Python can be started, they run
    in this process.

    Args:
        python: None takes the one that runs this; another may be of another processor.
    """
    if python is None:
        if not sys.executable or getattr(sys, "frozen", False):
            return tuple(run(trial) for trial in trials)
        python = sys.executable
    found: list[Outcome] = []
    while len(found) < len(trials):
        ended = _process(python, trials[len(found) :])
        found += ended.told
        if len(found) < len(trials):
            found.append(ended.last)
    return tuple(found)


def _process(python: str, trials: Sequence[Trial]) -> _Ended:
    """Start a process with these; it ends after the last or in one of them."""
    # -P: nothing that lies in the present folder is imported.
    command = [python, "-P", "-m", f"{__package__}.trial"]
    jobs = json.dumps(to_json(tuple(trials))).encode("utf-8")
    limit_s = LIMIT_S * len(trials)
    try:
        done = subprocess.run(
            command, input=jobs, capture_output=True, timeout=limit_s, check=False
        )
    except subprocess.TimeoutExpired as err:
        problem = f"gave no answer within {limit_s} s"
        return _Ended(_told(err.stdout or b""), Outcome((), problem, lasting=False))
    except OSError as err:
        problem = f"no process could be started to try it: {err}"
        return _Ended((), Outcome((), problem, lasting=False))
    return _Ended(_told(done.stdout), _fault(done.returncode, done.stderr))


def _told(stdout: bytes) -> tuple[Outcome, ...]:
    """The whole lines; a cut one was being written when the process ended."""
    whole = stdout[: stdout.rfind(b"\n") + 1]
    return tuple(from_json(Outcome, json.loads(line), "outcome") for line in whole.splitlines())


def _fault(code: int, stderr: bytes) -> Outcome:
    """What became of the trial that the process ended in."""
    # A shell between us and it gives 128 + the signal.
    number = -code if code < 0 else code - 128
    try:
        name = signal.Signals(number).name
    except ValueError:
        words = stderr.decode("utf-8", "replace").strip().splitlines() or ["without a word"]
        return Outcome((), f"the engine ended with code {code}: {words[-1][:_LAST_WORDS]}")
    if name == "SIGILL":
        problem = "the engine used an instruction that this processor does not have (SIGILL)"
    else:
        problem = f"the engine's process was ended by {name}"
    return Outcome((), problem, lasting=name in _OWN_FAULT)
