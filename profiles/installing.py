"""A bundle comes to this device: whole, admitted, and answering here as convert recorded."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from ..runtime.bundle import Bundle, read_bundle
from ..runtime.errors import OutputError
from ..runtime.pack import ENDING, pack, unpack
from ..runtime.trust import Trust
from .health import BundleHealth, verify


@dataclass(frozen=True)
class Installed:
    """What came of it.

    Attributes:
        bundle: where it lies now; None where nothing in it can be used here, so that nothing was
            kept.
        unchanged: the same bundle was there already.
        health: every artifact in every engine on this machine.
    """

    bundle: Bundle | None
    unchanged: bool
    health: BundleHealth


def install(source: Path, out: Path, trust: Trust) -> Installed:
    """Check a pack file, or a bundle's folder, on this machine and put it to OUT/NAME.

    It is tried out of sight and moved only when every model in it has an artifact that an engine
    here reproduces.

    Raises:
        PackError, IntegrityError, SchemaError, SignatureError, KeyFileError: as `unpack`.
        OutputError: OUT/NAME holds something else, or cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".install-", dir=out) as name:
            work = Path(name)
            file = _packed(source, work)
            health = verify(unpack(file, work / "tried", trust).bundle)
            if not health.usable:
                return Installed(None, False, health)
            done = unpack(file, out, trust)
            return Installed(done.bundle, done.unchanged, health)
    except OSError as err:
        raise OutputError(
            f"cannot install into {out}: {err.strerror or err}. Choose a folder that you may "
            "write to, with enough free space."
        ) from err


def _packed(source: Path, work: Path) -> Path:
    """A pack file is taken as it is, a folder is packed: one way in, with every check."""
    if source.is_dir():
        return pack(read_bundle(source), work / f"source{ENDING}").file
    return source
