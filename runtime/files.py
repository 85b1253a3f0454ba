"""Writing files so that a reader sees the old content or the new one, never a half."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from .errors import OutputError


def sha256_bytes(data: bytes) -> str:
    """Hex digest."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_atomic(path: Path, data: bytes) -> None:
    """Write `data` to `path`: temporary file beside it, fsync, rename.

    Raises:
        OutputError: the folder cannot be made or written.
    """
    with file_atomic(path) as stream:
        stream.write(data)


@contextmanager
def file_atomic(path: Path, durable: bool = True) -> Iterator[BinaryIO]:
    """A temporary file that takes the place of `path` when the block ends well.

    Args:
        durable: wait for the disk. Without it a power cut may leave anything under that name: for
            what can be told from damage and made again.

    Raises:
        OutputError: the folder cannot be made or written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as err:
        raise _unwritable(path, err) from err
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            if durable:
                os.fsync(stream.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
        if durable:
            fsync_folder(path.parent)
    except OSError as err:
        raise _unwritable(path, err) from err
    finally:
        Path(name).unlink(missing_ok=True)


def fsync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def folder_atomic(target: Path) -> Iterator[Path]:
    """A temporary folder that takes the place of `target` when the block ends well.

    An older `target` is replaced only then; on an error it stays as it was.

    Raises:
        OutputError: the parent cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as err:
        raise _unwritable(target, err) from err
    try:
        yield work
        os.chmod(work, 0o755)
        for path in sorted(p for p in work.rglob("*") if p.is_file()):
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
        try:
            _swap(work, target)
        except OSError as err:
            raise _unwritable(target, err) from err
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _swap(work: Path, target: Path) -> None:
    old = target.with_name(f".{target.name}.old-{os.getpid()}")
    if target.exists():
        os.replace(target, old)
    os.replace(work, target)
    fsync_folder(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def _unwritable(path: Path, err: OSError) -> OutputError:
    return OutputError(
        f"cannot write {path}: {err.strerror or err}. Choose a folder that you may write to, "
        "with enough free space."
    )
