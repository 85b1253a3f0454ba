"""What this device opens: trusted keys, whether unsigned bundles are refused, pinned bundle ids.

CLINICEDGE_TRUST names the folder, else it is `trust` among the user's records:

    policy.json        unsigned: allow | refuse; pinned: bundle ids, null for any
    keys/NAME.json     a trusted public key
    revoked/ID.json    a key that is never trusted again, whatever it signed and when

Settings only add up: what one of file, environment and option refuses, no other allows again. A
record that cannot be read is an error, never "allow".
"""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeVar, get_args

from .choices import state_folder
from .errors import KeyFileError, OutputError, SchemaError, SignatureError
from .files import sha256_bytes, write_atomic
from .keys import KEY_BYTES, PublicKey, check_name
from .records import dump_bytes, from_json
from .signature import can_verify, read_signature, refuse_other_bundle, verify_signature

TRUST_VARIABLE = "CLINICEDGE_TRUST"
UNSIGNED_VARIABLE = "CLINICEDGE_UNSIGNED"
TRUST_SCHEMA = 1
POLICY = "policy.json"
ID_LENGTH = 64
Unsigned = Literal["allow", "refuse"]
State = Literal["not looked at", "unsigned", "not checked", "unknown key", "revoked key", "trusted"]
Record = TypeVar("Record", "TrustedKey", "RevokedKey", "Policy")
MAX_WORDS = 200


@dataclass(frozen=True)
class TrustedKey:
    """keys/NAME.json. `public_key`: 32 bytes in hex; `key_id` their SHA-256."""

    schema: int
    name: str
    key_id: str
    public_key: str


@dataclass(frozen=True)
class RevokedKey:
    """revoked/ID.json, by the key id. `name`: what it was called here, "" where it was unknown.

    `when`: ISO 8601, UTC; `why`: in the words of whom it was revoked by.
    """

    schema: int
    key_id: str
    name: str
    when: str
    why: str = ""

    @property
    def words(self) -> str:
        """For a sentence."""
        return f"revoked on {self.when[:10]}{': ' if self.why else ''}{self.why}"


@dataclass(frozen=True)
class Policy:
    """policy.json. `pinned`: the only bundles that open, by id; None: any."""

    schema: int = TRUST_SCHEMA
    unsigned: Unsigned = "allow"
    pinned: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Trust:
    """What holds when a bundle is opened.

    Attributes:
        unsigned: "refuse" demands the signature of a key among `keys`.
        pinned: the only bundles that open, by id; None: any.
        revoked: never trusted, also where they are among `keys`.
    """

    unsigned: Unsigned = "allow"
    pinned: tuple[str, ...] | None = None
    keys: tuple[TrustedKey, ...] = ()
    revoked: tuple[RevokedKey, ...] = ()

    def tightened(self, require_signed: bool, pins: Iterable[str] = ()) -> "Trust":
        """The same, and more is refused.

        Raises:
            KeyFileError: a pin is no bundle id.
        """
        wanted = tuple(check_id(pin) for pin in pins)
        pinned = self.pinned
        if wanted:
            pinned = wanted if pinned is None else tuple(p for p in pinned if p in wanted)
        return replace(self, unsigned="refuse" if require_signed else self.unsigned, pinned=pinned)

    def name_of(self, key_id: str) -> str | None:
        """What a trusted key is called here; None where it is unknown or revoked."""
        known = None if self.revocation(key_id) else key_id
        return next((k.name for k in self.keys if k.key_id == known), None)

    def revocation(self, key_id: str) -> RevokedKey | None:
        """When and why a key was revoked here; None where it was not."""
        return next((k for k in self.revoked if k.key_id == key_id), None)


@dataclass(frozen=True)
class SignedBy:
    """Who signed a bundle, as far as this device can tell.

    Attributes:
        state: "unknown key": rightly signed, by nobody this device trusts; "not checked": signed,
            and `cryptography` is not installed here.
        name: what the trusted key is called here, or the revoked one was.
        revoked: when and why, of a revoked key.
    """

    state: State = "not looked at"
    key_id: str = ""
    name: str = ""
    revoked: str = ""

    def words(self) -> str:
        """For a table or a log."""
        match self.state:
            case "trusted":
                return f"signed by {self.name} (key {self.key_id[:12]}…)"
            case "unknown key":
                return f"signed by a key that this device does not know ({self.key_id[:12]}…)"
            case "revoked key":
                whose = f"{self.name}, " if self.name else ""
                return f"signed by a revoked key ({whose}{self.key_id[:12]}…, {self.revoked})"
            case "not checked":
                return f"signed by key {self.key_id[:12]}…, not checked: no `cryptography` here"
        return self.state


NOT_LOOKED_AT = SignedBy()


def check_id(text: str) -> str:
    """A bundle id or key id as it is written: 64 hex digits in small letters.

    Raises:
        KeyFileError: it is none.
    """
    if len(text) != ID_LENGTH or set(text) - set("0123456789abcdef"):
        raise KeyFileError(
            f"id {text[:80]!r}; expected {ID_LENGTH} hex digits as `clinicedge bundle show` "
            "prints them."
        )
    return text


def trust_folder() -> Path:
    """CLINICEDGE_TRUST, else `trust` in the user's state folder."""
    own = os.environ.get(TRUST_VARIABLE)
    return Path(own) if own else state_folder() / "trust"


def device_trust() -> Trust:
    """What this device was told, by its folder and CLINICEDGE_UNSIGNED.

    Raises:
        KeyFileError: a record is damaged or cannot be read, or the variable says something else.
    """
    named = os.environ.get(TRUST_VARIABLE)
    if named and not Path(named).is_dir():
        raise KeyFileError(
            f"{TRUST_VARIABLE} names {named}, which is no folder that can be read; so this device "
            "does not know what to trust. Make it with `clinicedge keys trust`, or unset it."
        )
    policy = read_policy()
    told = os.environ.get(UNSIGNED_VARIABLE) or "allow"
    if told not in get_args(Unsigned):
        raise KeyFileError(f"{UNSIGNED_VARIABLE} is {told!r}; expected allow or refuse.")
    trust = Trust(policy.unsigned, policy.pinned, trusted_keys(), revoked_keys())
    return trust.tightened(told == "refuse")


def read_policy() -> Policy:
    """policy.json; where there is none, everything may be opened.

    Raises:
        KeyFileError: it is damaged or cannot be read.
    """
    path = trust_folder() / POLICY
    try:
        found = _read(Policy, path)
    except (FileNotFoundError, NotADirectoryError):
        return Policy()
    for pin in found.pinned or ():
        check_id(pin)
    return found


def write_policy(policy: Policy) -> Path:
    """Write policy.json and give its path.

    Raises:
        KeyFileError: a pin is no bundle id.
        OutputError: the folder cannot be written.
    """
    for pin in policy.pinned or ():
        check_id(pin)
    path = trust_folder() / POLICY
    write_atomic(path, dump_bytes(policy))
    return path


def trusted_keys() -> tuple[TrustedKey, ...]:
    """By name.

    Raises:
        KeyFileError: a record is damaged or cannot be read.
    """
    return tuple(_trusted_key(path) for path in _records("keys"))


def revoked_keys() -> tuple[RevokedKey, ...]:
    """By key id.

    Raises:
        KeyFileError: a record is damaged or cannot be read.
    """
    return tuple(_revoked_key(path) for path in _records("revoked"))


def trust_key(key: PublicKey, name: str) -> bool:
    """Trust a key under a name; False where it is so already.

    Raises:
        KeyFileError: the name stands for another key, the key has another name, or was revoked.
        OutputError: the folder cannot be written.
    """
    gone = Trust(revoked=revoked_keys()).revocation(key.id)
    if gone is not None:
        raise KeyFileError(
            f"key {key.id[:12]}… was {gone.words} on this device and is never trusted "
            "again. Sign with a new one: `clinicedge keys new`."
        )
    record = TrustedKey(TRUST_SCHEMA, check_name(name), key.id, key.raw.hex())
    for known in trusted_keys():
        if known == record:
            return False
        if known.name == name or known.key_id == key.id:
            raise KeyFileError(
                f"this device trusts key {known.key_id[:12]}… under the name '{known.name}'; found "
                f"{key.id[:12]}… as '{name}'. Choose another name, or `clinicedge keys untrust "
                f"{known.name}` first."
            )
    write_atomic(trust_folder() / "keys" / f"{name}.json", dump_bytes(record))
    return True


def untrust_key(name: str) -> TrustedKey:
    """Trust the key of that name, or of that key id, no more.

    Raises:
        KeyFileError: there is none.
        OutputError: its record cannot be deleted.
    """
    known = trusted_keys()
    found = next((k for k in known if name in (k.name, k.key_id)), None)
    if found is None:
        names = ", ".join(k.name for k in known) or "none"
        raise KeyFileError(f"this device trusts no key '{name[:80]}'; it trusts {names}.")
    path = trust_folder() / "keys" / f"{found.name}.json"
    try:
        path.unlink()
    except OSError as err:
        raise OutputError(f"cannot delete {path}: {err.strerror}. Delete it by hand.") from err
    return found


def revoke_key(key_id: str, when: str, why: str = "") -> RevokedKey:
    """Never trust a key again: what it signed counts as signed by nobody, whenever that was.

    It need not be trusted here; revoked already it stays as it was. `when`, `why` as in the record.

    Raises:
        KeyFileError: `key_id` is no id, or `why` is too long.
        OutputError: the folder cannot be written.
    """
    check_id(key_id)
    if len(why) > MAX_WORDS or not why.isprintable():
        raise KeyFileError(f"why: {why[:40]!r}; expected at most {MAX_WORDS} printable characters.")
    known = Trust(revoked=revoked_keys()).revocation(key_id)
    trusted = next((k for k in trusted_keys() if k.key_id == key_id), None)
    record = known or RevokedKey(
        TRUST_SCHEMA, key_id, "" if trusted is None else trusted.name, when, why.strip()
    )
    if known is None:
        write_atomic(trust_folder() / "revoked" / f"{key_id}.json", dump_bytes(record))
    if trusted is not None:
        untrust_key(trusted.name)
    return record


def admit(trust: Trust, folder: Path, manifest: bytes) -> SignedBy:
    """Whether a bundle may be opened here: the one place where it is decided.

    Args:
        manifest: the bytes of its bundle.json.

    Raises:
        SignatureError: the signature is wrong; or unsigned, signed by an unknown key or not
            pinned, where this device demands otherwise.
    """
    found = sha256_bytes(manifest)
    if trust.pinned is not None and found not in trust.pinned:
        pins = ", ".join(f"{p[:12]}…" for p in trust.pinned) or "none"
        raise SignatureError(
            f"{folder} is bundle {found[:12]}…; this device opens only pinned ones ({pins}). It "
            "was changed, or is another one than expected. Restore it, or pin its id."
        )
    signed = _signed_by(trust, folder, manifest)
    if trust.unsigned == "refuse" and signed.state != "trusted":
        names = ", ".join(k.name for k in trust.keys) or "none"
        raise SignatureError(
            f"{folder} is {signed.words()}; this device opens only bundles signed by a key it "
            f"trusts ({names}). Have it signed, or `clinicedge keys trust` the signer's public key."
        )
    return signed


def _signed_by(trust: Trust, folder: Path, manifest: bytes) -> SignedBy:
    signature = read_signature(folder)
    if signature is None:
        return SignedBy("unsigned")
    checked = can_verify() or trust.unsigned == "refuse"
    (verify_signature if checked else refuse_other_bundle)(manifest, signature, str(folder))
    gone = trust.revocation(signature.key_id)
    if gone is not None:
        return SignedBy("revoked key", gone.key_id, gone.name, gone.words)
    if not checked:
        return SignedBy("not checked", signature.key_id)
    name = trust.name_of(signature.key_id)
    return SignedBy("unknown key" if name is None else "trusted", signature.key_id, name or "")


def _records(kind: str) -> tuple[Path, ...]:
    """The files of a folder of records, sorted."""
    folder = trust_folder() / kind
    try:
        found = (p for p in folder.iterdir() if p.suffix == ".json" and p.name[0] != ".")
        return tuple(sorted(found))
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except OSError as err:
        raise KeyFileError(f"cannot read {folder}: {err.strerror or err}.") from err


def _revoked_key(path: Path) -> RevokedKey:
    found = _read(RevokedKey, path)
    check_id(found.key_id)
    if f"{found.key_id}.json" != path.name:
        raise KeyFileError(
            f"{path} is damaged: it is about key {found.key_id[:12]}…, not the one in its name."
        )
    return found


def _trusted_key(path: Path) -> TrustedKey:
    found = _read(TrustedKey, path)
    try:
        raw = bytes.fromhex(found.public_key)
    except ValueError:
        raw = b""
    right = len(raw) == KEY_BYTES and PublicKey(raw).id == found.key_id
    if not right or f"{found.name}.json" != path.name:
        raise KeyFileError(
            f"{path} is damaged: name, key and key id do not belong together. Delete it and trust "
            "the key again."
        )
    return found


def _read(kind: type[Record], path: Path) -> Record:
    """A record of the trust folder; FileNotFoundError is left to the caller."""
    try:
        found = from_json(kind, json.loads(path.read_bytes()), path.name)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except (OSError, ValueError, RecursionError, SchemaError) as err:
        raise KeyFileError(
            f"{path} cannot be read ({err}), so this device does not know what to trust. Restore "
            "it or write it again with `clinicedge keys`."
        ) from err
    if found.schema != TRUST_SCHEMA:
        raise KeyFileError(
            f"{path} has schema {found.schema}; this clinicedge reads {TRUST_SCHEMA}. Update it."
        )
    return found
