"""Whose turn it is to ask a model: one at a time, answers before maps of many runs."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from ..runtime.errors import SlowMapError


class Turns:
    """Any thread may call any method."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._taken = False
        self._waiting = 0
        self._closed = False

    @contextmanager
    def soon(self) -> Iterator[None]:
        """For one run or a few: as soon as the run under way is done."""
        with self._changed:
            self._waiting += 1
            try:
                self._changed.wait_for(lambda: not self._taken)
            finally:
                self._waiting -= 1
            self._taken = True
        try:
            yield
        finally:
            self.leave()

    def patient(self, seconds: float) -> "Patient":
        """For many runs: whoever waits for `soon` goes between them.

        Args:
            seconds: how long all may take, waiting included.
        """
        return Patient(self, seconds)

    def close(self) -> None:
        """Patient work ends at its next run."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def leave(self) -> None:
        """The turn is over."""
        with self._changed:
            self._taken = False
            self._changed.notify_all()

    def take_late(self, until: float) -> bool:
        """Where nobody waits for `soon`; False where that was not before `until`, or at the end."""
        with self._changed:
            free = self._changed.wait_for(
                lambda: self._closed or not (self._taken or self._waiting),
                max(0.0, until - time.monotonic()),
            )
            if self._closed or not free:
                return False
            self._taken = True
            return True

    @property
    def wanted(self) -> bool:
        """Whether somebody waits for `soon`, or the end has come."""
        return self._waiting > 0 or self._closed


class Patient:
    """A turn that is given up between runs; see `Turns.patient`."""

    def __init__(self, turns: Turns, seconds: float) -> None:
        self._turns, self._seconds = turns, seconds
        self._until = time.monotonic() + seconds
        self._held = False

    def __enter__(self) -> "Patient":
        self._take("")
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if self._held:
            self._turns.leave()

    def between(self, done: int, total: int) -> None:
        """Called after each run.

        Raises:
            SlowMapError: the time is over.
        """
        if self._turns.wanted:
            self._held = False
            self._turns.leave()
            self._take(f", {done} of {total} runs done")
        elif time.monotonic() > self._until:
            raise self._too_slow(f", {done} of {total} runs done")

    def _take(self, words: str) -> None:
        self._held = self._turns.take_late(self._until)
        if not self._held:
            raise self._too_slow(words)

    def _too_slow(self, words: str) -> SlowMapError:
        return SlowMapError(
            f"the map was not finished within {self._seconds:g} s{words}; answers for films go "
            "before it. Ask again when fewer films come, or for a method without further runs of "
            "the network."
        )
