"""`clinicedge keys`: signing keys of one's own, and the keys that this device trusts."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ._secrets import PASSPHRASE_FILE

if TYPE_CHECKING:
    from ..runtime.keys import PublicKey
    from ..runtime.trust import TrustedKey

app = typer.Typer(
    help="Make signing keys, and tell this device which ones to trust.\n\n"
    "An engineer signs with a private key; a device opens what the trusted public keys signed. "
    "The device's records lie in CLINICEDGE_TRUST, else among the user's own.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
JSON = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


class Unsigned(StrEnum):
    """What happens to a bundle that no trusted key signed."""

    ALLOW = "allow"
    REFUSE = "refuse"


def own_folder() -> Path:
    """Where one's own keys lie."""
    from ..runtime.choices import state_folder

    return state_folder() / "keys"


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="The files become NAME.key.pem and NAME.pub.pem.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder. [default: keys among your records]")
    ] = None,
    passphrase: Annotated[
        bool, typer.Option("--passphrase", help="Ask for one, and lock the private key with it.")
    ] = False,
    passphrase_file: PASSPHRASE_FILE = None,
    as_json: JSON = False,
) -> None:
    """Make an Ed25519 key pair; the private file is readable by you alone and never written over.

    \b
    Examples:
        clinicedge keys new hospital-ai --passphrase
        clinicedge keys new ci --out /run/secrets --passphrase-file pass.txt
    """
    from ..runtime.keys import check_name, new_key
    from ._secrets import asked, from_file
    from .printing import print_json

    check_name(name)
    secret = from_file(passphrase_file) if passphrase_file else None
    if passphrase and secret is None:
        secret = asked("passphrase of the new key", twice=True)
    made = new_key(out or own_folder(), name, secret)
    if as_json:
        print_json(
            {
                "name": name,
                "key_id": made.key.id,
                "private": str(made.private),
                "public": str(made.public),
                "locked": secret is not None,
            }
        )
        return
    print(f"key {made.key.id}")
    print(f"private: {made.private} (keep it, copy it nowhere else)")
    print(f"public: {made.public} (on each device: clinicedge keys trust {made.public.name})")


@app.command("list")
def list_keys(as_json: JSON = False) -> None:
    """Show your own keys, the keys that this device trusts or has revoked, and what it refuses.

    \b
    Examples:
        clinicedge keys list
        clinicedge keys list --json
    """
    from ..runtime.trust import device_trust, trust_folder
    from .printing import print_json, print_table

    own, trust = _own_keys(), device_trust()
    if as_json:
        print_json(
            {
                "own": [{"name": n, "key_id": k.id, "public": str(p)} for n, k, p in own],
                "trusted": trust.keys,
                "revoked": trust.revoked,
                "unsigned": trust.unsigned,
                "pinned": trust.pinned,
                "folder": str(trust_folder()),
            }
        )
        return
    rows = [("yours", name, key.id, str(path)) for name, key, path in own]
    rows += [("trusted here", k.name, k.key_id, str(trust_folder() / "keys")) for k in trust.keys]
    rows += [
        ("revoked here", k.name or "-", k.key_id, f"{k.when[:10]} {k.why}".rstrip())
        for k in trust.revoked
    ]
    print_table("Keys", ("what", "name", "key id", "where, or when and why"), rows)
    print(_rule(trust.unsigned, trust.pinned))


@app.command()
def show(
    key: Annotated[str, typer.Argument(help="A trusted or own key's name or id, or a PEM file.")],
    as_json: JSON = False,
) -> None:
    """Show one public key: its id, whether this device trusts it, and its PEM.

    \b
    Examples:
        clinicedge keys show hospital-ai
        clinicedge keys show hospital-ai.pub.pem --json
    """
    from ..runtime.trust import device_trust
    from .printing import print_json

    found = _find(key)
    name = device_trust().name_of(found.id)
    pem = found.pem.decode("ascii")
    if as_json:
        print_json({"key_id": found.id, "trusted_as": name, "pem": pem})
        return
    print(f"key {found.id}")
    print("not trusted by this device" if name is None else f"trusted by this device as {name}")
    print(pem, end="")


@app.command()
def trust(
    file: Annotated[Path, typer.Argument(help="A public key: NAME.pub.pem.")],
    name: Annotated[
        str | None, typer.Option(help="What it is called here. [default: the file's name]")
    ] = None,
    as_json: JSON = False,
) -> None:
    """Trust a public key on this device.

    Compare the key id with what its owner tells you by another way before you trust it.

    \b
    Examples:
        clinicedge keys trust hospital-ai.pub.pem
        CLINICEDGE_TRUST=/etc/clinicedge/trust clinicedge keys trust key.pem --name hospital-ai
    """
    from ..runtime.keys import PUBLIC_ENDING, read_public
    from ..runtime.trust import trust_key
    from .printing import print_json

    called = name or file.name.removesuffix(PUBLIC_ENDING).removesuffix(".pem")
    key = read_public(file)
    changed = trust_key(key, called)
    if as_json:
        print_json({"name": called, "key_id": key.id, "changed": changed})
        return
    print(f"{called}: key {key.id} {'is trusted now' if changed else 'was trusted already'}")


@app.command()
def untrust(
    name: Annotated[str, typer.Argument(help="The trusted key's name or id.")],
    as_json: JSON = False,
) -> None:
    """Trust a key no more; bundles that it signed count as signed by an unknown key from now on.

    It may be trusted again. For a key that leaked see `clinicedge keys revoke`.

    \b
    Examples:
        clinicedge keys untrust hospital-ai
    """
    from ..runtime.trust import untrust_key
    from .printing import print_json

    gone = untrust_key(name)
    if as_json:
        print_json({"name": gone.name, "key_id": gone.key_id})
        return
    print(f"{gone.name}: key {gone.key_id} is trusted no more")


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(help="A trusted or own key's name, a PEM file, or an id.")],
    why: Annotated[str, typer.Option(help="In words, for whoever reads it later.")] = "",
    as_json: JSON = False,
) -> None:
    """Never trust a key again on this device, whatever it signed and when.

    Bundles that it signed, installed ones too, count as signed by nobody: `verify` and `serve` say
    so, and where unsigned bundles are refused they open no more. A server that runs looks again
    when it starts anew. A revoked key cannot be trusted again.

    \b
    Examples:
        clinicedge keys revoke hospital-ai --why "laptop stolen"
        clinicedge keys revoke KEY-ID --json
    """
    from datetime import UTC, datetime

    from ..runtime.trust import revoke_key
    from .printing import print_json

    when = datetime.now(UTC).isoformat(timespec="seconds")
    gone = revoke_key(_id_of(key), when, why)
    if as_json:
        print_json(gone)
        return
    print(f"{gone.name or 'key'}: {gone.key_id} is revoked since {gone.when[:10]}")


@app.command()
def policy(
    unsigned: Annotated[
        Unsigned | None, typer.Option(help="Bundles that no trusted key signed.")
    ] = None,
    pin: Annotated[
        list[str] | None, typer.Option(help="Open only pinned bundles, and this id is one.")
    ] = None,
    unpin: Annotated[
        list[str] | None, typer.Option(help="Pin this id no more; without pins any id may open.")
    ] = None,
    as_json: JSON = False,
) -> None:
    """Show or set what this device refuses to open.

    `predict`, `verify`, `serve` and every other verb that runs a bundle go by it. The variable
    CLINICEDGE_UNSIGNED=refuse and the options --require-signed and --pin refuse more, never less.

    \b
    Examples:
        clinicedge keys policy
        clinicedge keys policy --unsigned refuse
        clinicedge keys policy --pin ID
    """
    from dataclasses import replace

    from ..runtime.errors import KeyFileError
    from ..runtime.trust import read_policy, write_policy
    from .printing import print_json

    held = read_policy()
    pins = list(dict.fromkeys((*(held.pinned or ()), *(pin or ()))))
    if strange := sorted(set(unpin or ()) - set(pins)):
        raise KeyFileError(f"{strange[0][:80]!r} is not pinned; pinned: {', '.join(pins) or '-'}.")
    left = tuple(p for p in pins if p not in (unpin or ()))
    wanted = replace(
        held,
        unsigned=held.unsigned if unsigned is None else unsigned.value,
        pinned=left or None if (pin or unpin) else held.pinned,
    )
    if wanted != held:
        write_policy(wanted)
    if as_json:
        print_json(wanted)
        return
    print(_rule(wanted.unsigned, wanted.pinned))


def _rule(unsigned: str, pinned: tuple[str, ...] | None) -> str:
    signed = "refused" if unsigned == "refuse" else "opened, and said so"
    ids = "any bundle id may open" if pinned is None else "only these ids open: "
    return f"not signed by a trusted key: {signed}; {ids}{', '.join(pinned or ())}"


def _id_of(key: str) -> str:
    """The id of a key that is found, or the id itself."""
    from ..runtime.errors import KeyFileError
    from ..runtime.trust import check_id, revoked_keys

    known = next((k for k in revoked_keys() if key == k.name), None)
    try:
        return known.key_id if known is not None else _find(key).id
    except KeyFileError as err:
        try:
            return check_id(key)
        except KeyFileError:
            raise err from None


def _own_keys() -> list[tuple[str, "PublicKey", Path]]:
    from ..runtime.keys import PUBLIC_ENDING, read_public

    found = sorted(own_folder().glob(f"*{PUBLIC_ENDING}"))
    return [(path.name.removesuffix(PUBLIC_ENDING), read_public(path), path) for path in found]


def _find(key: str) -> "PublicKey":
    """By path, else by name or id among the trusted keys, else among one's own."""
    from ..runtime.errors import KeyFileError
    from ..runtime.keys import PublicKey, read_public
    from ..runtime.trust import trusted_keys

    if Path(key).is_file():
        return read_public(Path(key))
    trusted: TrustedKey | None = next(
        (k for k in trusted_keys() if key in (k.name, k.key_id)), None
    )
    if trusted is not None:
        return PublicKey(bytes.fromhex(trusted.public_key))
    own = _own_keys()
    for name, found, _ in own:
        if key in (name, found.id):
            return found
    names = ", ".join(n for n, _, _ in own) or "none"
    raise KeyFileError(f"no key '{key[:80]}'; your own: {names}. See `clinicedge keys list`.")
