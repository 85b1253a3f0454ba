"""Signing a bundle, and what a device opens."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from signing import unsigned_pipeline

from clinicedge.runtime import Bundle, keys, load, signature, trust
from clinicedge.runtime.bundle import read_bundle, standing
from clinicedge.runtime.errors import IntegrityError, KeyFileError, OutputError, SignatureError
from clinicedge.runtime.keys import NewKey
from clinicedge.runtime.records import dump_bytes
from clinicedge.runtime.trust import Policy, Trust

REFUSE = Trust("refuse")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unsigned_pipeline(tmp_path_factory.mktemp("made"))


@pytest.fixture
def bundle(made: Path, tmp_path: Path) -> Bundle:
    return read_bundle(shutil.copytree(made, tmp_path / made.name))


@pytest.fixture
def new(tmp_path: Path) -> Callable[..., NewKey]:
    def make(name: str, passphrase: bytes | None = None) -> NewKey:
        return keys.new_key(tmp_path / "keys", name, passphrase)

    return make


def sign(bundle: Bundle, key: NewKey, passphrase: bytes | None = None) -> None:
    data = (bundle.folder / "bundle.json").read_bytes()
    made = signature.sign(data, keys.read_private(key.private, passphrase))
    signature.write_signature(bundle.folder, made, replace=True)


def flip(path: Path, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[bit // 8 % len(data)] ^= 1 << bit % 8
    path.write_bytes(data)


def test_an_unsigned_bundle_opens_where_nobody_said_otherwise(bundle: Bundle) -> None:
    assert load(bundle.folder).signed.state == "unsigned"
    assert "unsigned" in load(bundle.folder).signed.words()


def test_a_bundle_signed_by_a_trusted_key_says_whose(
    bundle: Bundle, new: Callable[..., NewKey]
) -> None:
    key = new("hospital-ai")
    sign(bundle, key)
    assert load(bundle.folder).signed.state == "unknown key"
    assert trust.trust_key(key.key, "hospital-ai")
    assert not trust.trust_key(key.key, "hospital-ai")
    trust.write_policy(Policy(unsigned="refuse"))
    seen = load(bundle.folder)
    assert (seen.signed.state, seen.signed.name) == ("trusted", "hospital-ai")
    assert seen.signed.key_id == key.key.id
    # The members inside need no signature of their own.
    assert [m.manifest.name for _, m in seen.models()] == ["tiny-lungs", "tiny-lung-crop"]


def test_signing_again_gives_the_same_bytes(bundle: Bundle, new: Callable[..., NewKey]) -> None:
    key = new("one")
    sign(bundle, key)
    first = (bundle.folder / signature.SIGNATURE).read_bytes()
    sign(bundle, key)
    assert (bundle.folder / signature.SIGNATURE).read_bytes() == first
    other = signature.sign(b"{}", keys.read_private(new("two").private))
    with pytest.raises(OutputError, match="--replace"):
        signature.write_signature(bundle.folder, other)


@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "unknown key"])
def test_a_device_told_to_refuses_unsigned_bundles_and_unknown_keys(
    signed: bool, bundle: Bundle, new: Callable[..., NewKey], monkeypatch: pytest.MonkeyPatch
) -> None:
    if signed:
        sign(bundle, new("stranger"))
    trust.trust_key(new("known").key, "known")
    with pytest.raises(SignatureError, match=r"opens only bundles signed by a key it trusts"):
        load(bundle.folder, REFUSE)
    monkeypatch.setenv(trust.UNSIGNED_VARIABLE, "refuse")
    with pytest.raises(SignatureError):
        load(bundle.folder)
    # The policy's own `allow` does not loosen what the environment refuses.
    trust.write_policy(Policy(unsigned="allow"))
    with pytest.raises(SignatureError):
        load(bundle.folder)


def test_a_key_no_longer_trusted(bundle: Bundle, new: Callable[..., NewKey]) -> None:
    key = new("gone")
    sign(bundle, key)
    trust.trust_key(key.key, "gone")
    trust.write_policy(Policy(unsigned="refuse"))
    load(bundle.folder)
    assert trust.untrust_key("gone").key_id == key.key.id
    with pytest.raises(SignatureError):
        load(bundle.folder)
    with pytest.raises(KeyFileError, match="trusts no key 'gone'"):
        trust.untrust_key("gone")


def test_a_revoked_key_is_never_trusted_again(
    bundle: Bundle, new: Callable[..., NewKey], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = new("leaked")
    sign(bundle, key)
    trust.trust_key(key.key, "leaked")
    assert load(bundle.folder).signed.state == "trusted"
    gone = trust.revoke_key(key.key.id, "2026-11-21T10:00:00+00:00", "laptop stolen")
    assert (gone.name, trust.trusted_keys()) == ("leaked", ())
    seen = load(bundle.folder).signed
    assert (seen.state, seen.name) == ("revoked key", "leaked")
    assert "revoked on 2026-11-21: laptop stolen" in seen.words()
    assert standing(bundle)[0] == seen
    with pytest.raises(KeyFileError, match="never trusted again"):
        trust.trust_key(key.key, "leaked-2")
    assert trust.revoke_key(key.key.id, "2027-01-01T00:00:00+00:00") == gone, "the first stays"
    monkeypatch.setenv(trust.UNSIGNED_VARIABLE, "refuse")
    with pytest.raises(SignatureError, match="signed by a revoked key"):
        load(bundle.folder)
    # A copy of the trusted record, put back by hand or from a backup, changes nothing.
    record = trust.TrustedKey(1, "leaked", key.key.id, key.key.raw.hex())
    (trust.trust_folder() / "keys" / "leaked.json").write_bytes(dump_bytes(record))
    with pytest.raises(SignatureError, match="signed by a revoked key"):
        load(bundle.folder)


def test_a_damaged_revocation_is_no_leave_to_open(
    bundle: Bundle, new: Callable[..., NewKey]
) -> None:
    trust.revoke_key(new("one").key.id, "2026-11-21T10:00:00+00:00")
    (path,) = (trust.trust_folder() / "revoked").iterdir()
    path.rename(path.with_name(f"{'0' * 64}.json"))
    with pytest.raises(KeyFileError, match="not the one in its name"):
        load(bundle.folder)
    path.with_name(f"{'0' * 64}.json").write_bytes(b"{")
    with pytest.raises(KeyFileError, match="does not know what to trust"):
        load(bundle.folder)
    with pytest.raises(KeyFileError, match="64 hex digits"):
        trust.revoke_key("leaked", "2026-11-21T10:00:00+00:00")


@pytest.mark.parametrize("file", ["bundle.json", signature.SIGNATURE])
def test_one_flipped_bit_in_what_is_signed(
    file: str, bundle: Bundle, new: Callable[..., NewKey]
) -> None:
    """Refused with and without a policy, wherever the bit lies."""
    sign(bundle, new("signer"))
    path = bundle.folder / file
    whole = path.read_bytes()
    for bit in range(0, len(whole) * 8, max(1, len(whole) * 8 // 60)):
        flip(path, bit)
        with pytest.raises(SignatureError):
            load(bundle.folder)
        path.write_bytes(whole)
    load(bundle.folder)


def test_one_flipped_bit_where_the_id_is_pinned(bundle: Bundle) -> None:
    pinned = Trust().tightened(False, [bundle.id])
    assert load(bundle.folder, pinned).id == bundle.id
    flip(bundle.folder / "bundle.json", 4000)
    with pytest.raises(SignatureError, match="opens only pinned ones"):
        load(bundle.folder, pinned)


def test_pins_of_file_and_option_must_both_hold(bundle: Bundle) -> None:
    trust.write_policy(Policy(pinned=(bundle.id,)))
    load(bundle.folder)
    with pytest.raises(SignatureError):
        load(bundle.folder, trust.device_trust().tightened(False, ["0" * 64]))
    with pytest.raises(KeyFileError, match="64 hex digits"):
        Trust().tightened(False, [bundle.id[:12]])


def test_one_flipped_bit_in_any_file_of_a_signed_bundle(
    bundle: Bundle, new: Callable[..., NewKey]
) -> None:
    """The signature covers the members through the ids and hashes in the manifests."""
    sign(bundle, new("signer"))
    files = [p for p in bundle.folder.rglob("*") if p.is_file() and p.name != signature.SIGNATURE]
    assert len(files) == 9
    for path in files:
        whole = path.read_bytes()
        flip(path, len(whole) * 3)
        with pytest.raises((SignatureError, IntegrityError)):
            load(bundle.folder).check_all()
        if path.suffix == ".onnx":
            with pytest.raises(IntegrityError):
                load(bundle.folder).predictor()
        path.write_bytes(whole)
    load(bundle.folder).check_all()


def test_a_signature_of_another_bundle_or_key(bundle: Bundle, new: Callable[..., NewKey]) -> None:
    one, two = new("one"), new("two")
    sign(bundle, one)
    path = bundle.folder / signature.SIGNATURE
    found = signature.read_signature(bundle.folder)
    assert found is not None
    forged = replace(found, key_id=two.key.id, public_key=two.key.raw.hex())
    signature.write_signature(bundle.folder, forged, replace=True)
    with pytest.raises(SignatureError, match="and it did not"):
        load(bundle.folder)
    assert standing(read_bundle(bundle.folder))[0] is None
    path.write_bytes(b"x" * (signature.MAX_SIGNATURE_FILE + 1))
    with pytest.raises(SignatureError, match="more than"):
        load(bundle.folder)


def test_without_cryptography_a_signature_is_not_checked_and_said_so(
    bundle: Bundle, new: Callable[..., NewKey], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = new("signer")
    sign(bundle, key)
    trust.trust_key(key.key, "signer")
    for name in [n for n in sys.modules if n.split(".")[0] == "cryptography"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    assert load(bundle.folder).signed.state == "not checked"
    with pytest.raises(SignatureError, match=r"pip install 'clinicedge\[sign\]'"):
        load(bundle.folder, REFUSE)
    with pytest.raises(KeyFileError, match=r"pip install"):
        new("another")
    flip(bundle.folder / "bundle.json", 4000)
    with pytest.raises(SignatureError, match="one of the two was changed"):
        load(bundle.folder)


@pytest.mark.parametrize(
    "damage",
    [
        ("policy.json", "{"),
        ("policy.json", '{"schema":1,"unsigned":"maybe"}'),
        ("policy.json", '{"schema":2,"unsigned":"allow","pinned":null}'),
        ("policy.json", '{"schema":1,"unsigned":"allow","pinned":["12"]}'),
        ("keys/k.json", "[]"),
        ("keys/k.json", '{"schema":1,"name":"k","key_id":"00","public_key":"00"}'),
        ("keys/k.json", '{"schema":1,"name":"other","key_id":"00","public_key":"zz"}'),
    ],
)
def test_what_a_device_trusts_is_never_guessed(bundle: Bundle, damage: tuple[str, str]) -> None:
    path = trust.trust_folder() / damage[0]
    path.parent.mkdir(parents=True)
    path.write_text(damage[1], encoding="utf-8")
    with pytest.raises(KeyFileError):
        load(bundle.folder)


def test_a_trust_folder_that_is_not_there(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(trust.TRUST_VARIABLE, str(tmp_path / "unmounted"))
    with pytest.raises(KeyFileError, match=r"names .*unmounted, which is no folder"):
        load(bundle.folder)
    monkeypatch.delenv(trust.TRUST_VARIABLE)
    monkeypatch.setenv(trust.UNSIGNED_VARIABLE, "never")
    with pytest.raises(KeyFileError, match="expected allow or refuse"):
        load(bundle.folder)


def test_one_name_one_key(new: Callable[..., NewKey]) -> None:
    trust.trust_key(new("a").key, "a")
    with pytest.raises(KeyFileError, match="trusts key"):
        trust.trust_key(new("b").key, "a")
    with pytest.raises(KeyFileError, match="key name"):
        trust.trust_key(new("c").key, "../c")


def test_private_keys_are_the_owner_s_alone(new: Callable[..., NewKey], tmp_path: Path) -> None:
    made = new("mine", b"secret words")
    assert made.private.stat().st_mode & 0o777 == 0o600
    assert keys.is_locked(made.private)
    assert keys.public_of(keys.read_private(made.private, b"secret words")) == made.key
    with pytest.raises(KeyFileError, match="needs a passphrase"):
        keys.read_private(made.private)
    with pytest.raises(KeyFileError, match="passphrase is wrong"):
        keys.read_private(made.private, b"other words")
    with pytest.raises(KeyFileError, match="never written over"):
        new("mine")
    made.private.chmod(0o644)
    with pytest.raises(KeyFileError, match="chmod 600"):
        keys.read_private(made.private, b"secret words")
    assert keys.read_public(made.public) == made.key
    with pytest.raises(KeyFileError, match="private key: that one stays"):
        keys.read_public(made.private)
    with pytest.raises(KeyFileError, match="cannot read the key"):
        keys.read_public(tmp_path / "none")


def test_the_public_key_is_the_one_that_others_read(new: Callable[..., NewKey]) -> None:
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    made = new("mine")
    found = load_pem_public_key(made.public.read_bytes())
    assert found.public_bytes_raw() == made.key.raw  # type: ignore[union-attr]


def test_the_runtime_loads_no_cryptography() -> None:
    code = "import json, sys, clinicedge.runtime; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not [m for m in json.loads(done.stdout) if m.split(".")[0] == "cryptography"]
