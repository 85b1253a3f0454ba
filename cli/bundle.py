"""`clinicedge bundle`: pack, unpack, sign, show and compare bundles."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ._data import data_folder
from ._secrets import PASSPHRASE_FILE
from ._trust import PIN, REQUIRE_SIGNED, asked_trust

if TYPE_CHECKING:
    from ..profiles.bundle_diff import BundleDiff
    from ..profiles.changed_decisions import ChangedDecisions
    from ..runtime.bundle import Bundle

EXIT_DIFFERENT = 1
_SHOWN = 20
app = typer.Typer(
    help="Pack, unpack, sign, show and compare bundles.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
JSON = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
FOLDER = Annotated[Path, typer.Argument(help="Folder of the bundle.")]


@app.command()
def pack(
    bundle: FOLDER,
    out: Annotated[Path | None, typer.Option(help="The file. [default: NAME.bundle.tar]")] = None,
    measurements: Annotated[
        bool, typer.Option("--measurements", help="With what was measured on this machine.")
    ] = False,
    as_json: JSON = False,
) -> None:
    """Write a bundle as one file; the same bundle gives the same bytes.

    Every file is hashed on the way; a bundle that was changed is not packed. The signature goes
    with it.

    \b
    Examples:
        clinicedge bundle pack bundles/mobilenet-0.5-160-on-lungs
        clinicedge bundle pack BUNDLE --out /media/usb/chest.bundle.tar
    """
    from ..runtime.bundle import read_bundle
    from ..runtime.pack import ENDING
    from ..runtime.pack import pack as pack_bundle
    from .printing import print_json

    opened = read_bundle(bundle)
    made = pack_bundle(opened, out or Path(opened.manifest.name + ENDING), measurements)
    if as_json:
        print_json({**_plain(made), "file": str(made.file)})
        return
    print(f"{made.file}: {made.files} files, {made.bytes:,} bytes, sha256 {made.sha256}")
    print(f"bundle {made.bundle_id}")


@app.command()
def unpack(
    file: Annotated[Path, typer.Argument(help="A file that `bundle pack` wrote.")],
    out: Annotated[Path, typer.Option(help="The bundle becomes OUT/NAME.")] = Path("bundles"),
    require_signed: REQUIRE_SIGNED = False,
    pin: PIN = None,
    as_json: JSON = False,
) -> None:
    """Write the bundle of a pack file to OUT/NAME: the whole, checked, or nothing.

    What this device would refuse to open is not unpacked. Where the same bundle is there already
    the pack is checked to its end, and a new signature by a trusted key is taken over. Exit code
    0: it is there; 2: refused.

    \b
    Examples:
        clinicedge bundle unpack /media/usb/chest.bundle.tar --out /srv/bundles
        clinicedge bundle unpack chest.bundle.tar --require-signed
    """
    from ..runtime.pack import unpack as unpack_file
    from .printing import print_json

    done = unpack_file(file, out, asked_trust(require_signed, pin))
    bundle = done.bundle
    if as_json:
        print_json(
            {
                "bundle": str(bundle.folder),
                "bundle_id": bundle.id,
                "unchanged": done.unchanged,
                "resigned": done.resigned,
                "signed": bundle.signed,
            }
        )
        return
    done_words = "was there already" if done.unchanged else "written"
    if done.resigned:
        done_words = "was there already, now with the signature of the pack"
    print(f"{bundle.folder}: {done_words}")
    print(f"bundle {bundle.id}, {bundle.signed.words()}")
    print(f"next: clinicedge verify {bundle.folder}")


@app.command()
def sign(
    bundle: FOLDER,
    key: Annotated[
        str, typer.Option(help="Private key: a file, or the name of one of your own keys.")
    ],
    passphrase_file: PASSPHRASE_FILE = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Put it in the place of another signature.")
    ] = False,
    as_json: JSON = False,
) -> None:
    """Sign a bundle: Ed25519 over bundle.json, in bundle.sig.json beside it.

    Every file is hashed first; a bundle that was changed is not signed. A pipeline's signature
    covers its members. A locked key asks for its passphrase.

    \b
    Examples:
        clinicedge bundle sign bundles/mobilenet-0.5-160-on-lungs --key hospital-ai
        clinicedge bundle sign BUNDLE --key /run/secrets/ci.key.pem --passphrase-file pass.txt
    """
    from ..runtime import keys, signature
    from ..runtime.bundle import MANIFEST, read_bundle
    from ._secrets import asked, from_file
    from .keys import own_folder
    from .printing import print_json

    opened = read_bundle(bundle)
    opened.check_all()
    own = own_folder() / (key + keys.PRIVATE_ENDING)
    path = own if not Path(key).is_file() and own.is_file() else Path(key)
    secret = from_file(passphrase_file) if passphrase_file else None
    if secret is None and keys.is_locked(path):
        secret = asked(f"passphrase of {path.name}", twice=False)
    private = keys.read_private(path, secret)
    made = signature.sign((opened.folder / MANIFEST).read_bytes(), private)
    changed = signature.write_signature(opened.folder, made, replace)
    if as_json:
        print_json({**_plain(made), "changed": changed})
        return
    print(f"bundle {made.bundle_id}")
    print(f"{'signed' if changed else 'was signed already'} by key {made.key_id}")


@app.command()
def show(bundle: FOLDER, as_json: JSON = False) -> None:
    """Show what a bundle is, who signed it, and whether this device would open it.

    \b
    Examples:
        clinicedge bundle show demo/mobilenet-0.5-160-on-lungs
        clinicedge bundle show BUNDLE --json
    """
    from ..runtime.bundle import read_bundle, standing
    from .printing import print_json

    opened = read_bundle(bundle)
    signed, refused = standing(opened)
    if as_json:
        print_json(
            {
                "bundle_id": opened.id,
                "signed": signed,
                "refused": refused,
                "models": [_model_json(path, model) for path, model in opened.models()],
                "manifest": opened.manifest,
            }
        )
        return
    manifest = opened.manifest
    print(f"{manifest.name} {manifest.version}, {manifest.kind}, {manifest.task}")
    print(f"bundle {opened.id}")
    print(signed.words() if signed else "signature: WRONG")
    print("this device opens it" if refused is None else f"this device refuses it: {refused}")
    _print_artifacts(opened)


@app.command()
def diff(
    one: Annotated[Path, typer.Argument(help="Folder of a bundle.")],
    other: Annotated[Path, typer.Argument(help="Folder of another, e.g. of a later one.")],
    data: Annotated[
        Path | None,
        typer.Option(
            help="Data folder: ask both about the films of its guard part too; a bare name is "
            "also looked for in CLINICEDGE_DATA."
        ),
    ] = None,
    precision: Annotated[
        str, typer.Option(help="With --data: auto, fp32, fp16, int8, or an artifact's id.")
    ] = "auto",
    as_json: JSON = False,
) -> None:
    """Tell in words what changed between two bundles.

    Specification, input, labels, thresholds, artifacts, recorded accuracy and decisions, patients,
    tools, and every other value of the manifests by its path. With --data both score the guard
    part, and every changed decision is listed. Exit code 0: the same bundle; 1: they differ; 2:
    refused.

    \b
    Examples:
        clinicedge bundle diff bundles/old bundles/new
        clinicedge bundle diff OLD NEW --data kermany224/ --precision onnx/int8 --json
    """
    from ..profiles.bundle_diff import compare
    from ..profiles.changed_decisions import changed_decisions
    from ..runtime.bundle import load, read_bundle
    from .printing import print_json, progress_bar

    # Only what runs must be what this device opens.
    before, after = (load(p) if data else read_bundle(p) for p in (one, other))
    found = compare(before, after)
    decisions = None
    if data is not None:
        with progress_bar() as progress:
            decisions = changed_decisions(before, after, data_folder(data), precision, progress)
    if as_json:
        print_json({**_plain(found), "decisions": decisions})
    else:
        _print_diff(found)
        if decisions is not None:
            _print_decisions(decisions)
    if not found.same:
        raise typer.Exit(EXIT_DIFFERENT)


def _plain(record: Any) -> dict[str, Any]:
    from dataclasses import fields

    return {f.name: getattr(record, f.name) for f in fields(record)}


def _model_json(path: str, model: "Bundle") -> dict[str, Any]:
    return {
        "path": path,
        "name": model.manifest.name,
        "bundle_id": model.id,
        "artifacts": [
            {
                "id": a.id,
                "sha256": a.sha256,
                "bytes": a.bytes,
                "precision": a.precision,
                "float_layers": [layer.name for layer in a.float_layers],
            }
            for a in model.manifest.artifacts
        ],
        "sbom": model.manifest.sbom,
    }


def _print_artifacts(bundle: "Bundle") -> None:
    from .printing import print_table

    rows = [
        (
            path or model.manifest.name,
            a.id,
            f"{a.bytes:,}",
            a.precision,
            str(len(a.float_layers)) if a.precision == "int8" else "-",
            f"{a.sha256[:12]}…",
        )
        for path, model in bundle.models()
        for a in model.manifest.artifacts
    ]
    columns = ("model", "artifact", ">bytes", "precision", ">layers left float", "sha256")
    print_table("Artifacts", columns, rows)
    without = [path or "itself" for path, m in bundle.models() if m.manifest.sbom is None]
    if without:
        print(f"no SBOM: {', '.join(without)}")


def _print_diff(found: "BundleDiff") -> None:
    for side in (found.one, found.other):
        print(f"{side.name} {side.version}, bundle {side.bundle_id}")
    if found.same:
        print("the same bundle")
        return
    area = ""
    for change in found.changes:
        if change.area != area:
            area = change.area
            print(f"\n{area}")
        print(f"  {change.words}")
    if not found.changes:
        print("the manifests differ in their bytes alone")


def _print_decisions(found: "ChangedDecisions") -> None:
    from .printing import print_table

    rows = [
        (c.file, c.truth, c.before, c.after, _score(c.score_before), _score(c.score_after))
        for c in found.changed[:_SHOWN]
    ]
    print_table(
        f"{len(found.changed)} of {found.n_films} films of {found.data}/{found.part} are decided "
        f"otherwise ({found.one}, {found.other})",
        ("film", "truth", "before", "after", ">score before", ">score after"),
        rows,
    )
    if len(found.changed) > _SHOWN:
        print(f"and {len(found.changed) - _SHOWN} more: see --json")
    if found.p is not None:
        print(f"{found.mended} mended, {found.spoilt} spoilt, McNemar p = {found.p:.3g}")


def _score(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
