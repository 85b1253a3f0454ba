"""Threads with a bounded queue, so that the event loop never waits and never drowns."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ..runtime.errors import BusyError

T = TypeVar("T")


class Workers:
    """`threads` threads and at most `limit` jobs, running and waiting together."""

    def __init__(self, name: str, threads: int, limit: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._name = name
        self._limit = limit
        self._jobs = 0

    async def run(self, job: Callable[[], T]) -> T:
        """Run `job` in a thread. Call it from the event loop alone.

        Raises:
            BusyError: `limit` jobs are there already.
        """
        if self._jobs >= self._limit:
            raise BusyError(
                f"{self._jobs} requests wait for {self._name} already; expected fewer than "
                f"{self._limit}. Nothing was kept of this one; send it again in a moment."
            )
        self._jobs += 1
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._pool, job)
        # The job counts until its thread is done, also when the client has gone away.
        future.add_done_callback(self._done)
        return await asyncio.shield(future)

    def _done(self, future: "asyncio.Future[T]") -> None:
        self._jobs -= 1
        if not future.cancelled():
            future.exception()  # Seen, also where nobody waits any more.

    def close(self) -> None:
        """Finish every job, then end the threads."""
        self._pool.shutdown(wait=True)
