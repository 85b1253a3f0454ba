"""Ed25519 keys: made, written, read. PEM as in RFC 8410, so that openssl reads them too."""

import base64
import binascii
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import KeyFileError, OutputError
from .files import sha256_bytes

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PRIVATE_ENDING = ".key.pem"
PUBLIC_ENDING = ".pub.pem"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
KEY_BYTES = 32
_MAX_FILE = 64 * 1024
# RFC 8410, section 10.1: everything of a public key's DER but its 32 bytes.
_PREFIX = bytes.fromhex("302a300506032b6570032100")
_PEM = re.compile(
    rb"\s*-----BEGIN PUBLIC KEY-----\s+([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----\s*"
)
_OTHERS = 0o077
INSTALL = "the package `cryptography` is not installed: pip install 'clinicedge[sign]'"


@dataclass(frozen=True)
class PublicKey:
    """`raw`: the 32 bytes of an Ed25519 public key."""

    raw: bytes

    @property
    def id(self) -> str:
        """SHA-256 of the 32 bytes, hex."""
        return sha256_bytes(self.raw)

    @property
    def pem(self) -> bytes:
        """As `openssl pkey -pubout` writes it."""
        body = base64.b64encode(_PREFIX + self.raw)
        return b"-----BEGIN PUBLIC KEY-----\n" + body + b"\n-----END PUBLIC KEY-----\n"


@dataclass(frozen=True)
class NewKey:
    """A pair as it was written. `private` can be read by its owner alone."""

    private: Path
    public: Path
    key: PublicKey


def check_name(name: str) -> str:
    """The name of a key, fit to be a file's.

    Raises:
        KeyFileError: it is not.
    """
    if not NAME.fullmatch(name):
        raise KeyFileError(
            f"key name {name[:80]!r}; expected 1 to 64 letters, digits, dots, hyphens and "
            "underscores, the first a letter or digit."
        )
    return name


def parse_public(data: bytes, where: str) -> PublicKey:
    """Read a public key in PEM.

    Raises:
        KeyFileError: it is none, or of another kind than Ed25519.
    """
    found = _PEM.fullmatch(data)
    try:
        der = base64.b64decode(b"".join(found[1].split()), validate=True) if found else b""
    except binascii.Error:
        der = b""
    if len(der) != len(_PREFIX) + KEY_BYTES or not der.startswith(_PREFIX):
        private = " It looks like a private key: that one stays where it is." * (
            b"PRIVATE KEY" in data
        )
        raise KeyFileError(
            f"{where} holds no Ed25519 public key in PEM; expected the file NAME{PUBLIC_ENDING} "
            f"that `clinicedge keys new` wrote.{private}"
        )
    return PublicKey(der[len(_PREFIX) :])


def read_public(path: Path) -> PublicKey:
    """As `parse_public`, of a file."""
    return parse_public(_read(path), str(path))


def new_key(folder: Path, name: str, passphrase: bytes | None = None) -> NewKey:
    """Make a pair and write NAME.key.pem (0600) and NAME.pub.pem into `folder`.

    Raises:
        KeyFileError: a file of that name is there, or `cryptography` is not installed.
        OutputError: the folder cannot be written.
    """
    check_name(name)
    private, public = folder / (name + PRIVATE_ENDING), folder / (name + PUBLIC_ENDING)
    for path in (private, public):
        if path.exists() or path.is_symlink():
            raise KeyFileError(
                f"{path} is there already, and a key is never written over: what it signed could "
                "not be signed again. Choose another name, or move it away yourself."
            )
    secret = _new_private()
    key = public_of(secret)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _create(private, _private_pem(secret, passphrase), 0o600)
        try:
            _create(public, key.pem, 0o644)
        except OSError:
            private.unlink(missing_ok=True)
            raise
    except OSError as err:
        raise OutputError(
            f"cannot write {err.filename or folder}: {err.strerror or err}. Choose another folder "
            "with --out."
        ) from err
    return NewKey(private, public, key)


def public_of(secret: "Ed25519PrivateKey") -> PublicKey:
    """The public half."""
    return PublicKey(secret.public_key().public_bytes_raw())


def read_private(path: Path, passphrase: bytes | None = None) -> "Ed25519PrivateKey":
    """Read a private key that only its owner can read.

    Raises:
        KeyFileError: no such file, no Ed25519 key, others may read it, or a wrong passphrase.
    """
    data = _read(path)
    mode = path.stat().st_mode & 0o777
    if mode & _OTHERS:
        raise KeyFileError(
            f"{path} has mode {mode:o}, others on this machine may read it; expected 600. Run "
            f"chmod 600 {path}, and make a new key if somebody may have seen it."
        )
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ImportError as err:
        raise KeyFileError(f"cannot sign: {INSTALL}") from err
    try:
        secret = load_pem_private_key(data, passphrase)
    except TypeError as err:
        wanted = "needs a passphrase" if passphrase is None else "has no passphrase, one was given"
        raise KeyFileError(f"{path} {wanted}. See --passphrase and --passphrase-file.") from err
    except (ValueError, UnsupportedAlgorithm) as err:
        raise KeyFileError(
            f"{path} cannot be read as a private key ({err}); the passphrase is wrong or the file "
            f"is none. Expected NAME{PRIVATE_ENDING} of `clinicedge keys new`."
        ) from err
    if not isinstance(secret, Ed25519PrivateKey):
        raise KeyFileError(f"{path} is a {type(secret).__name__}; expected an Ed25519 key.")
    return secret


def is_locked(path: Path) -> bool:
    """Whether a private key file asks for a passphrase.

    Raises:
        KeyFileError: it cannot be read.
    """
    return b"ENCRYPTED" in _read(path)


def _new_private() -> "Ed25519PrivateKey":
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    except ImportError as err:
        raise KeyFileError(f"cannot make a key: {INSTALL}") from err
    return Ed25519PrivateKey.generate()


def _private_pem(secret: "Ed25519PrivateKey", passphrase: bytes | None) -> bytes:
    from cryptography.hazmat.primitives import serialization as forms

    lock: forms.KeySerializationEncryption = forms.NoEncryption()
    if passphrase is not None:
        lock = forms.BestAvailableEncryption(passphrase)
    return secret.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, lock)


def _create(path: Path, data: bytes, mode: int) -> None:
    """A new file with these rights from its first byte on; never an old one."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(handle)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(_MAX_FILE)
    except OSError as err:
        raise KeyFileError(
            f"cannot read the key {path}: {err.strerror or err}. Expected the path of a key file; "
            "`clinicedge keys list` shows yours."
        ) from err
