"""A bundle as one file, and back.

In it come bundle.json, its signature if there is one, the files in the manifest's order, then each
member in the same way. When read, the manifest says what must come next and how large it is;
anything else is refused, and nothing stays on the disk. See `archive.py` for the form.
"""

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from .archive import BLOCK, CHUNK, END, Reader, create, header
from .bundle import (
    MANIFEST,
    MAX_DEPTH,
    MAX_MANIFEST_BYTES,
    MEMBERS,
    Bundle,
    load,
    parse_manifest,
    read_bundle,
)
from .errors import BundleError, IntegrityError, OutputError, PackError
from .files import file_atomic, folder_atomic, sha256_file, write_atomic
from .manifest import Manifest, Member
from .signature import MAX_SIGNATURE_FILE, SIGNATURE
from .trust import Trust

ENDING = ".bundle.tar"
MEASUREMENTS = "measurements"
MAX_MEASUREMENT_BYTES = 16 * 1024 * 1024
MAX_MEASUREMENTS = 4096


@dataclass(frozen=True)
class Packed:
    """A pack file. `sha256` of its bytes; `files` in it."""

    file: Path
    bundle_id: str
    files: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Unpacked:
    """What came of a pack file.

    Attributes:
        unchanged: the same bundle with that signature was there already, whole.
        resigned: the same bundle was there, and took over the pack's signature.
    """

    bundle: Bundle
    unchanged: bool
    resigned: bool = False


@dataclass(frozen=True)
class _Item:
    """A file to pack. `sha256` that it must have, None where nothing says."""

    name: str
    source: Path
    bytes: int
    sha256: str | None


def pack(bundle: Bundle, target: Path, measurements: bool = False) -> Packed:
    """Write the bundle as one file.

    Args:
        target: the file; an existing one is replaced.
        measurements: what was measured on this machine too.

    Raises:
        IntegrityError: a file of the bundle is missing or was changed; nothing is written.
        ArtifactError, SchemaError: as `Bundle.models`.
        PackError: a file is too large or its path too long for the archive.
        OutputError: `target` cannot be written.
    """
    bundle.models()
    items = tuple(_items(bundle, "", measurements))
    with file_atomic(target) as out:
        for item in items:
            out.write(header(item.name, item.bytes))
            _put(item, out)
            out.write(bytes(-item.bytes % BLOCK))
        out.write(END)
    return Packed(target, bundle.id, len(items), target.stat().st_size, sha256_file(target))


def unpack(file: Path, out: Path, trust: Trust | None = None) -> Unpacked:
    """Write the bundle of a pack file to OUT/NAME: the whole, or nothing.

    Where the same bundle is there already, the pack is read to its end all the same, beside it.
    Its signature takes the place of the one there, or of none, if it is by a key that this device
    trusts; where none is there, any that this device admits.

    Args:
        trust: as in `load`; what this device would not open is not unpacked either.

    Raises:
        PackError: cut short, or anything in it that the manifest does not name.
        IntegrityError: a file differs from its hash.
        SchemaError: a manifest is wrong.
        SignatureError, KeyFileError: as `load`.
        OutputError: something else is at OUT/NAME, or the same bundle with another signature than
            that of an untrusted key in the pack, or it cannot be written.
    """
    if not file.is_file():
        raise PackError(f"no pack file at {file}; expected one of `clinicedge bundle pack`.")
    try:
        with file.open("rb") as stream:
            reader = Reader(stream, str(file))
            data = reader.small(MANIFEST, MAX_MANIFEST_BYTES)
            manifest = parse_manifest(data, f"{file}: {MANIFEST}")
            target = out / _folder_name(manifest, file)
            if target.exists() or target.is_symlink():
                _refuse_other(target, data, file)
                with TemporaryDirectory(prefix=f".{target.name}.", dir=out) as name:
                    _Unpacking(reader, Path(name), trust).run(data, manifest)
                    resigned = _take_signature(Path(name), target, file, trust)
                return Unpacked(load(target, trust), not resigned, resigned)
            with folder_atomic(target) as work:
                _Unpacking(reader, work, trust).run(data, manifest)
    except OSError as err:
        raise OutputError(
            f"cannot unpack {file} into {out}: {err.strerror or err}. Look at the path, the rights "
            "and the free space."
        ) from err
    return Unpacked(load(target, trust), False)


def _items(bundle: Bundle, prefix: str, measurements: bool) -> Iterator[_Item]:
    manifest = bundle.folder / MANIFEST
    yield _Item(prefix + MANIFEST, manifest, manifest.stat().st_size, bundle.id)
    signature = bundle.folder / SIGNATURE
    if not prefix and signature.is_file():
        yield _Item(SIGNATURE, signature, signature.stat().st_size, None)
    for entry in bundle.manifest.files:
        yield _Item(prefix + entry.path, bundle.folder / entry.path, entry.bytes, entry.sha256)
    if measurements:
        for path in sorted((bundle.folder / MEASUREMENTS).glob("[!.]*.json")):
            yield _Item(f"{prefix}{MEASUREMENTS}/{path.name}", path, path.stat().st_size, None)
    for member, inner in _by_name(bundle.members()):
        yield from _items(inner, f"{prefix}{MEMBERS}/{member.name}/", measurements)


def _by_name(members: tuple[tuple[Member, Bundle], ...]) -> list[tuple[Member, Bundle]]:
    return sorted(members, key=lambda pair: pair[0].name)


def _put(item: _Item, out: BinaryIO) -> None:
    """Copy a file and look at what was copied.

    Raises:
        IntegrityError: it is missing, or not what the manifest says.
    """
    digest, left = hashlib.sha256(), item.bytes
    try:
        stream = item.source.open("rb")
    except OSError as err:
        raise IntegrityError(
            f"{item.source} cannot be read: {err.strerror}. Restore it or convert again."
        ) from err
    with stream:
        while chunk := stream.read(min(CHUNK, left)):
            digest.update(chunk)
            left -= len(chunk)
            out.write(chunk)
        longer = bool(stream.read(1))
    if left or longer or (item.sha256 is not None and digest.hexdigest() != item.sha256):
        raise IntegrityError(
            f"{item.source} is not the file that the manifest names ({item.bytes} bytes, sha256 "
            f"{(item.sha256 or '-')[:12]}…); it was changed. Restore it or convert again."
        )


def _folder_name(manifest: Manifest, file: Path) -> str:
    name = manifest.name
    if not name or name.startswith(".") or not name.isprintable() or set(name) & set("/\\:"):
        raise PackError(
            f"{file}: the bundle's name {name[:80]!r} is no plain folder name. Pack it again "
            "under another."
        )
    return name


def _refuse_other(target: Path, data: bytes, file: Path) -> None:
    """Whatever is at `target` but the bundle of the pack, whole."""
    with suppress(BundleError):
        there = read_bundle(target)
        if there.id == hashlib.sha256(data).hexdigest():
            there.check_all()
            return
    raise OutputError(
        f"{target} is there already and is not the bundle of {file}, whole. Move it away, or "
        "choose another folder with --out."
    )


def _take_signature(work: Path, target: Path, file: Path, trust: Trust | None) -> bool:
    """Whether the signature in `work` was put beside the same bundle in `target`."""
    given, there = (_signature_bytes(folder) for folder in (work, target))
    if given is None or given == there:
        return False
    signed = load(work, trust).signed
    if there is not None and signed.state != "trusted":
        raise OutputError(
            f"{target} is the bundle of {file} with another signature; the pack is "
            f"{signed.words()}, expected a key that this device trusts. Trust it with `clinicedge "
            "keys trust`, or move the folder away."
        )
    write_atomic(target / SIGNATURE, given)
    return True


def _signature_bytes(folder: Path) -> bytes | None:
    """One byte more than a signature may have at most; None where there is none."""
    try:
        with (folder / SIGNATURE).open("rb") as stream:
            return stream.read(MAX_SIGNATURE_FILE + 1)
    except FileNotFoundError:
        return None


class _Unpacking:
    """One pack into one empty folder."""

    def __init__(self, reader: Reader, work: Path, trust: Trust | None) -> None:
        self._reader, self._work, self._trust = reader, work, trust

    def run(self, data: bytes, manifest: Manifest) -> None:
        """All of it; `data` are the bytes of the outermost manifest, which was read already."""
        self._write(MANIFEST, data)
        if self._reader.name() == SIGNATURE:
            self._write(SIGNATURE, self._reader.small(SIGNATURE, MAX_SIGNATURE_FILE))
        # Before anything large is written.
        load(self._work, self._trust)
        self._files(manifest, "", 1)
        self._reader.end()

    def _files(self, manifest: Manifest, prefix: str, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise PackError(
                f"'{manifest.name}' lies {depth} deep; expected at most {MAX_DEPTH} bundles inside "
                "each other."
            )
        for entry in manifest.files:
            name = prefix + entry.path
            self._reader.copy(name, entry, self._work / name)
        self._measurements(f"{prefix}{MEASUREMENTS}/")
        for member in sorted(manifest.members, key=lambda m: m.name):
            inner = f"{prefix}{MEMBERS}/{member.name}/"
            data = self._reader.small(inner + MANIFEST, MAX_MANIFEST_BYTES)
            found = self._member(data, member, inner)
            self._write(inner + MANIFEST, data)
            self._files(found, inner, depth + 1)

    def _member(self, data: bytes, member: Member, inner: str) -> Manifest:
        found, where = hashlib.sha256(data).hexdigest(), f"{self._reader.where}: {inner}{MANIFEST}"
        if found != member.bundle_id:
            raise IntegrityError(
                f"{where} is bundle {found[:12]}…, its pipeline names {member.bundle_id[:12]}…; "
                "the pack was changed. Fetch it again."
            )
        return parse_manifest(data, where)

    def _measurements(self, prefix: str) -> None:
        """Files that no manifest names: sorted, plainly named, bounded in size and number."""
        last = ""
        for _ in range(MAX_MEASUREMENTS):
            name = self._reader.name()
            plain = name.removeprefix(prefix)
            wanted = name.startswith(prefix) and plain.endswith(".json") and name > last
            if not wanted or plain.startswith(".") or set(plain) & set("/\\:"):
                return
            if not plain.isprintable():
                return
            self._write(name, self._reader.small(name, MAX_MEASUREMENT_BYTES))
            last = name

    def _write(self, name: str, data: bytes) -> None:
        with create(self._work / name) as out:
            out.write(data)
