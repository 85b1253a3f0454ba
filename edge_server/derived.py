"""Pictures that can be made again, kept without waiting for the disk.

Nothing is synced: after a power cut a file may hold anything. So each begins with the SHA-256 of
the rest, and one that does not fit is not there.
"""

import hashlib
from contextlib import suppress
from pathlib import Path

from ..runtime.errors import OutputError
from ..runtime.files import file_atomic

_DIGEST = hashlib.sha256().digest_size


class Derived:
    """A folder a case; any of it may be deleted at any time. Any thread may call any method."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, case_id: str, name: str) -> bytes | None:
        """What was kept under that name; None where it is to be made."""
        try:
            found = self.path(case_id, name).read_bytes()
        except OSError:
            return None
        data = found[_DIGEST:]
        return data if sealed(data) == found else None

    def keep(self, case_id: str, name: str, data: bytes) -> None:
        """Remember it; a full disk only means that it is made anew next time."""
        with suppress(OutputError), file_atomic(self.path(case_id, name), durable=False) as stream:
            stream.write(sealed(data))

    def path(self, case_id: str, name: str) -> Path:
        """Where it is kept."""
        return self._folder / case_id / name


def sealed(data: bytes) -> bytes:
    """The bytes as they are kept."""
    return hashlib.sha256(data).digest() + data
