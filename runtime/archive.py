"""The form of a pack file: a plain ustar archive in which nothing is left open.

Every header has mode 0644, owner 0 and date 0, so equal files give equal bytes and any `tar` lists
a pack. Reading needs no parser of what others may write: a header that differs from the one that
we would write for its name and size is refused, and with it every link, folder, device, sparse
file and extension. Nothing is compressed, so nothing can blow up.
"""

import hashlib
import tarfile
from pathlib import Path
from typing import BinaryIO

from .errors import IntegrityError, PackError
from .manifest import FileEntry

BLOCK = 512
END = bytes(2 * BLOCK)
CHUNK = 1024 * 1024
# What a header's size field holds in octal digits.
MAX_BYTES = 8**11 - 1
_KINDS = {
    tarfile.LNKTYPE: "a hard link",
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
    tarfile.DIRTYPE: "a folder",
}


def header(name: str, size: int) -> bytes:
    """The 512 bytes before a file: POSIX.1-1988 ustar, written here so that no version of a
    library changes a pack.

    Raises:
        PackError: the path or the size does not fit.
    """
    prefix, rest = _split(name)
    if not 0 <= size <= MAX_BYTES:
        raise PackError(f"{name} has {size} bytes; a pack takes at most {MAX_BYTES} a file.")
    block = b"".join(
        (
            rest.ljust(100, b"\0"),
            b"0000644\0" + b"0000000\0" * 2,
            b"%011o\0" % size + b"%011o\0" % 0,
            b" " * 8 + b"0" + bytes(100) + b"ustar\00000" + bytes(80),
            prefix.ljust(155, b"\0") + bytes(12),
        )
    )
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _split(name: str) -> tuple[bytes, bytes]:
    """A path as the header's prefix and name; the shortest prefix that does."""
    raw = name.encode("utf-8")
    if len(raw) <= 100:
        return b"", raw
    for i, byte in enumerate(raw):
        if byte == ord("/") and i <= 155 and 0 < len(raw) - i - 1 <= 100:
            return raw[:i], raw[i + 1 :]
    raise PackError(f"the path {name} is too long for a pack. Give the model a shorter name.")


class Reader:
    """A pack file from front to back; whatever is not expected raises PackError."""

    def __init__(self, stream: BinaryIO, where: str) -> None:
        self._stream = stream
        self.where = where
        self._ahead: bytes | None = None

    def name(self) -> str:
        """What the next file is called; "" at the end.

        Its header must be the one that `pack` would write for that name and size.
        """
        block = self._block()
        if not any(block):
            return ""
        return self._parsed(block)[0]

    def small(self, name: str, limit: int) -> bytes:
        """The bytes of the next file, which must have that name and at most `limit` bytes."""
        found, size = self._next(name)
        if size > limit:
            raise self._wrong(f"{found} of {size} bytes", f"at most {limit}")
        data = self._take(size)
        self._padding(size)
        return data

    def copy(self, name: str, entry: FileEntry, target: Path) -> None:
        """Write the next file, which must be this one.

        Raises:
            IntegrityError: its hash is another.
        """
        _, size = self._next(name)
        if size != entry.bytes:
            raise self._wrong(f"{name} of {size} bytes", f"{entry.bytes} as its manifest says")
        digest, left = hashlib.sha256(), size
        with create(target) as out:
            while left:
                chunk = self._take(min(CHUNK, left))
                digest.update(chunk)
                left -= len(chunk)
                out.write(chunk)
        self._padding(size)
        if digest.hexdigest() != entry.sha256:
            raise IntegrityError(
                f"{self.where}: sha256 of {name} is {digest.hexdigest()[:12]}…, the manifest says "
                f"{entry.sha256[:12]}…; the pack was changed. Fetch it again."
            )

    def end(self) -> None:
        """Nothing may follow."""
        if self.name() or self._take(len(END) - BLOCK).strip(b"\0") or self._stream.read(1):
            raise self._wrong("more after the last file", "the end")

    def _next(self, wanted: str) -> tuple[str, int]:
        block = self._block()
        self._ahead = None
        if not any(block):
            raise self._wrong("the end", wanted)
        name, size = self._parsed(block)
        if name != wanted:
            raise self._wrong(repr(name[:120]), wanted)
        return name, size

    def _block(self) -> bytes:
        if self._ahead is None:
            self._ahead = self._take(BLOCK)
        return self._ahead

    def _parsed(self, block: bytes) -> tuple[str, int]:
        try:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
        except (tarfile.HeaderError, ValueError) as err:
            raise self._wrong(f"no header ({err})", "the next file") from err
        kind = _KINDS.get(info.type)
        if kind is not None:
            raise self._wrong(f"{kind}, {info.name[:120]!r}", "files alone")
        if not info.name or info.size < 0 or header(info.name, info.size) != block:
            raise self._wrong(
                f"{info.name[:120]!r} with a header of another form",
                "a pack as `clinicedge bundle pack` writes it",
            )
        return info.name, info.size

    def _padding(self, size: int) -> None:
        if any(self._take(-size % BLOCK)):
            raise self._wrong("bytes between two files", "none")

    def _take(self, size: int) -> bytes:
        data = self._stream.read(size)
        if len(data) != size:
            raise PackError(
                f"{self.where} is cut short: it ends at byte {self._stream.tell()}. Fetch it again."
            )
        return data

    def _wrong(self, found: str, expected: str) -> PackError:
        return PackError(
            f"{self.where}: found {found}; expected {expected}. Nothing was unpacked. Fetch the "
            "pack again from whom you trust."
        )


def create(path: Path) -> BinaryIO:
    """A new file for writing; never one that is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("xb")
