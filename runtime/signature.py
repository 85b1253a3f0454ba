"""Ed25519 (RFC 8032) over the bytes of bundle.json, in the file bundle.sig.json beside it.

The manifest holds the hash of every file and a pipeline's names its members by the hash of theirs,
so one signature covers all of a bundle. No date is in it: same bytes, same key, same file.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from .errors import OutputError, SchemaError, SignatureError
from .files import sha256_bytes, write_atomic
from .keys import INSTALL, KEY_BYTES, PublicKey, public_of
from .records import dump_bytes, from_json

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SIGNATURE = "bundle.sig.json"
SIGNATURE_SCHEMA = 1
SIGNATURE_BYTES = 64
MAX_SIGNATURE_FILE = 16 * 1024


@dataclass(frozen=True)
class Signature:
    """bundle.sig.json. `public_key` and `signature` in hex; `key_id`: SHA-256 of the public key.

    The public key is here so that a signature by a key unknown to a device can be told from a
    damaged one; nothing is trusted for it.
    """

    schema: int
    algorithm: Literal["ed25519"]
    bundle_id: str
    key_id: str
    public_key: str
    signature: str

    @property
    def key(self) -> PublicKey:
        """The key that the file names."""
        return PublicKey(bytes.fromhex(self.public_key))


def sign(manifest: bytes, secret: "Ed25519PrivateKey") -> Signature:
    """The signature of the bytes of a bundle.json."""
    key = public_of(secret)
    return Signature(
        schema=SIGNATURE_SCHEMA,
        algorithm="ed25519",
        bundle_id=sha256_bytes(manifest),
        key_id=key.id,
        public_key=key.raw.hex(),
        signature=secret.sign(manifest).hex(),
    )


def write_signature(folder: Path, signature: Signature, replace: bool = False) -> bool:
    """Write bundle.sig.json; False where these very bytes are there already.

    Raises:
        OutputError: another signature is there and `replace` is not set, or it cannot be written.
    """
    path, data = folder / SIGNATURE, dump_bytes(signature)
    if path.is_file():
        if path.read_bytes() == data:
            return False
        if not replace:
            raise OutputError(
                f"{path} holds another signature than that of key {signature.key_id[:12]}…. "
                "Give --replace to put yours in its place."
            )
    write_atomic(path, data)
    return True


def read_signature(folder: Path) -> Signature | None:
    """The signature beside a manifest; None where there is none.

    Raises:
        SignatureError: the file is damaged.
    """
    path = folder / SIGNATURE
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_SIGNATURE_FILE + 1)
    except FileNotFoundError:
        return None
    except OSError as err:
        raise SignatureError(f"cannot read {path}: {err.strerror or err}.") from err
    return parse_signature(data, str(path))


def parse_signature(data: bytes, where: str) -> Signature:
    """Read the bytes of a bundle.sig.json.

    Raises:
        SignatureError: they are none.
    """
    again = "Restore the file, or sign the bundle again with `clinicedge bundle sign`."
    if len(data) > MAX_SIGNATURE_FILE:
        raise SignatureError(f"{where} has more than {MAX_SIGNATURE_FILE} bytes. {again}")
    try:
        found = from_json(Signature, json.loads(data), where)
        key, signed = bytes.fromhex(found.public_key), bytes.fromhex(found.signature)
    except (ValueError, RecursionError, SchemaError) as err:
        raise SignatureError(f"{where} is no signature ({err}). {again}") from err
    right = (
        found.schema == SIGNATURE_SCHEMA
        and len(key) == KEY_BYTES
        and len(signed) == SIGNATURE_BYTES
        and found.key_id == PublicKey(key).id
        and (key.hex(), signed.hex()) == (found.public_key, found.signature)
        and dump_bytes(found) == data
    )
    if not right:
        raise SignatureError(
            f"{where}: schema {found.schema}, {len(key)} bytes of public key, {len(signed)} of "
            f"signature, key id {found.key_id[:12]!r}…; expected schema {SIGNATURE_SCHEMA}, "
            f"{KEY_BYTES}, {SIGNATURE_BYTES}, the SHA-256 of the key, and the form in which "
            f"`clinicedge bundle sign` writes. {again}"
        )
    return found


def can_verify() -> bool:
    """Whether `cryptography` is installed."""
    try:
        from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: F401
    except ImportError:
        return False
    return True


def verify_signature(manifest: bytes, signature: Signature, where: str) -> None:
    """Check that the named key signed exactly these bytes.

    Raises:
        SignatureError: it did not, or `cryptography` is not installed.
    """
    refuse_other_bundle(manifest, signature, where)
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError as err:
        raise SignatureError(f"cannot check the signature of {where}: {INSTALL}") from err
    try:
        key = Ed25519PublicKey.from_public_bytes(signature.key.raw)
        key.verify(bytes.fromhex(signature.signature), manifest)
    except (InvalidSignature, ValueError) as err:
        raise SignatureError(
            f"{where}: {SIGNATURE} says key {signature.key_id[:12]}… signed it, and it did not; "
            "the signature was forged or damaged. Fetch the bundle again from whom you trust."
        ) from err


def refuse_other_bundle(manifest: bytes, signature: Signature, where: str) -> None:
    """Needs no `cryptography`.

    Raises:
        SignatureError: the signature is of other bytes than these.
    """
    found = sha256_bytes(manifest)
    if found != signature.bundle_id:
        raise SignatureError(
            f"{where}: bundle.json has sha256 {found[:12]}…, its signature is of "
            f"{signature.bundle_id[:12]}…; one of the two was changed. Restore the bundle."
        )
