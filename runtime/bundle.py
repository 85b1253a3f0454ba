"""A bundle on disk: read, check, open."""

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .consistency import check_consistency
from .errors import (
    ArtifactError,
    IntegrityError,
    KeyFileError,
    SchemaError,
    SignatureError,
)
from .figures import Compute
from .files import sha256_bytes, sha256_file
from .manifest import SCHEMA, Artifact, FileEntry, Manifest, Member
from .records import from_json
from .score_rules import bound_threshold
from .session import ArtifactFiles
from .trust import (
    NOT_LOOKED_AT,
    SignedBy,
    Trust,
    admit,
    device_trust,
    revoked_keys,
    trusted_keys,
)

if TYPE_CHECKING:
    from .predictor import Predictor

MANIFEST = "bundle.json"
# A manifest of 16 models' worth is far below this; more is not a manifest.
MAX_MANIFEST_BYTES = 64 * 1024 * 1024
MEMBERS = "members"
# Cascade, on-lungs, ensemble, model: nothing sensible is deeper.
MAX_DEPTH = 4


@dataclass(frozen=True)
class Bundle:
    """A model as a device receives it. `id` is the SHA-256 of bundle.json's bytes."""

    folder: Path
    manifest: Manifest
    id: str
    signed: SignedBy = NOT_LOOKED_AT

    def artifact(self, artifact_id: str) -> Artifact:
        """The artifact of that id, e.g. "onnx/fp32"; "onnx/int8" means the default recipe.

        Raises:
            ArtifactError: the bundle has none.
        """
        format_, _, recipe = artifact_id.partition("/")
        wanted = f"{format_}/{self.manifest.defaults.get(recipe, recipe)}"
        for artifact in self.manifest.artifacts:
            if artifact.id == wanted:
                return artifact
        if self.manifest.kind == "pipeline":
            raise ArtifactError(
                f"'{self.manifest.name}' is a pipeline and has no artifact '{artifact_id}' of its "
                f"own; its members do: {', '.join(m.name for m in self.manifest.members)}."
            )
        raise ArtifactError(
            f"'{self.manifest.name}' has no artifact '{artifact_id}'; it has "
            f"{', '.join(a.id for a in self.manifest.artifacts) or 'none'}."
        )

    def files(self, artifact_id: str) -> ArtifactFiles:
        """What `open_session` takes."""
        return ArtifactFiles(self.folder, self.artifact(artifact_id))

    def threshold(self, artifact_id: str, compute: Compute, label: str) -> float:
        """The threshold bound to this artifact's bytes and compute precision.

        A clinic's own goes before it when the bundle is opened, see `own_thresholds`.

        Raises:
            ArtifactError: none was set, or for other bytes; another's is never used instead.
        """
        return bound_threshold(self.manifest, self.artifact(artifact_id), compute, label).value

    def check(self, artifact_id: str) -> None:
        """Compare every file of an artifact with the manifest.

        Raises:
            IntegrityError: a file is missing or was changed.
        """
        artifact = self.artifact(artifact_id)
        what = f"artifact {artifact.id} of '{self.manifest.name}'"
        for graph in artifact.graphs:
            for entry in graph.files:
                check_file(self.folder, entry, what)

    def members(self) -> "tuple[tuple[Member, Bundle], ...]":
        """The bundles that a pipeline runs, from members/NAME in its folder; () for a model.

        Raises:
            ArtifactError: a member is missing.
            IntegrityError: a member is another bundle than the one named.
            SchemaError: a member's manifest is wrong, or lies around this bundle itself.
        """
        return tuple((member, self._member(member)) for member in self.manifest.members)

    def _member(self, member: Member) -> "Bundle":
        folder = self.folder / MEMBERS / member.name
        what = f"pipeline '{self.manifest.name}'"
        if not (folder / MANIFEST).is_file():
            raise ArtifactError(
                f"{what} names the member '{member.name}' ({member.role}), but {folder} has no "
                f"{MANIFEST}; expected bundle {member.bundle_id[:12]}… there. Copy it there or "
                "make the pipeline again with `clinicedge convert`."
            )
        if self.folder.resolve().is_relative_to(folder.resolve()):
            raise SchemaError(f"{what}: its member '{member.name}' leads back to itself: a circle.")
        # The signature over the pipeline's manifest, which names the member's id, covers it.
        file, data = _read(folder)
        found = sha256_bytes(data)
        if found != member.bundle_id:
            raise IntegrityError(
                f"{what}: the bundle in {folder} is {found[:12]}…, the manifest names "
                f"{member.bundle_id[:12]}…; the member was changed or exchanged. Restore it or "
                "make the pipeline again."
            )
        return Bundle(folder, parse_manifest(data, str(file)), found)

    def models(self, depth: int = 1) -> "tuple[tuple[str, Bundle], ...]":
        """Every model bundle inside with its path, e.g. "first/lungs"; ("", itself) for a model.

        A path has each member's role, and its name in an ensemble, where roles are alike.

        Raises:
            SchemaError: pipelines lie deeper in each other than 4.
            ArtifactError, IntegrityError: as `members`.
        """
        if self.manifest.kind == "model":
            return (("", self),)
        if depth >= MAX_DEPTH:
            raise SchemaError(
                f"pipeline '{self.manifest.name}' lies {depth} deep and has members of its own; "
                f"expected at most {MAX_DEPTH} bundles inside each other."
            )
        return tuple(
            ("/".join(filter(None, (member_path(member), path))), model)
            for member, bundle in self.members()
            for path, model in bundle.models(depth + 1)
        )

    def check_all(self) -> None:
        """Compare every file that the manifest names, those of a pipeline's members included.

        Raises:
            IntegrityError: a file is missing or was changed.
            ArtifactError, SchemaError: as `models`.
        """
        if self.manifest.kind == "pipeline":
            for _, model in self.models():
                model.check_all()
            return
        for artifact in self.manifest.artifacts:
            self.check(artifact.id)
        if self.manifest.acceptance:
            for film in self.manifest.acceptance.films:
                check_file(self.folder, film.file, f"acceptance film of '{self.manifest.name}'")
        if self.manifest.sbom:
            check_file(self.folder, self.manifest.sbom, f"SBOM of '{self.manifest.name}'")

    def predictor(
        self,
        engine: str = "auto",
        precision: str = "auto",
        threads: int = 0,
        order: tuple[str, ...] | None = None,
    ) -> "Predictor":
        """Open the predictor of the first artifact that this machine runs and reproduces.

        Of a pipeline, each member's; the wishes go to every member.

        Args:
            engine: "auto" or an engine's name.
            precision: "auto", "fp32", "fp16", "int8", or an artifact id.
            threads: 0 takes what `clinicedge tune` found, else every usable processor.
            order: engines to try in turn when `engine` is "auto"; the device profile's.

        Raises:
            EngineMissingError: no engine for it is installed.
            AcceptanceError: engines are there, but none reproduces the recorded answers.
            IntegrityError: a file was changed, or a pipeline's member exchanged.
            ArtifactError: nothing fits the wish, or a pipeline's member is missing.
        """
        from .pipelines import open_predictor
        from .selection import Wish

        return open_predictor(self, Wish(engine, precision, threads, order))


def member_path(member: Member) -> str:
    """What tells a member from the others of its pipeline: its role, or its name in an ensemble."""
    return member.name if member.role == "member" else member.role


def check_file(folder: Path, entry: FileEntry, what: str) -> None:
    """Compare one file with its entry.

    Raises:
        IntegrityError: missing, or another size or hash.
    """
    path = folder / entry.path
    if not path.is_file():
        raise IntegrityError(f"{what}: {entry.path} is missing. Restore it or convert again.")
    size = path.stat().st_size
    if size != entry.bytes:
        raise IntegrityError(
            f"{what}: {entry.path} has {size} bytes, the manifest says {entry.bytes}; "
            "the file was changed or cut short. Restore it or convert again."
        )
    found = sha256_file(path)
    if found != entry.sha256:
        raise IntegrityError(
            f"{what}: sha256 of {entry.path} is {found[:12]}…, the manifest says "
            f"{entry.sha256[:12]}…; the file was changed after conversion. "
            "Restore it or convert again."
        )


def load(path: str | Path, trust: Trust | None = None) -> Bundle:
    """Open the bundle in the folder `path`, if this device may.

    The artifacts' files are hashed when they are opened, not here.

    Args:
        trust: what is accepted; None takes what the device was told (see `trust.py`).

    Raises:
        SchemaError: no manifest, not JSON, an unknown schema version, a wrong field.
        IntegrityError: an artifact's hash is not that of its file list.
        SignatureError: the signature is wrong, or not one that the device demands.
        KeyFileError: what the device was told cannot be read.
    """
    file, data = _read(path)
    signed = admit(device_trust() if trust is None else trust, file.parent, data)
    return Bundle(file.parent, parse_manifest(data, str(file)), sha256_bytes(data), signed)


def read_bundle(path: str | Path) -> Bundle:
    """As `load`, whoever signed it: to make, sign, pack and compare bundles, not to run them.

    Raises:
        SchemaError, IntegrityError: as `load`.
    """
    file, data = _read(path)
    return Bundle(file.parent, parse_manifest(data, str(file)), sha256_bytes(data))


def standing(bundle: Bundle) -> tuple[SignedBy | None, str | None]:
    """Who signed a bundle, None where the signature is wrong; and why this device refuses it, None
    where it opens it.
    """
    refused = signed = None
    data = (bundle.folder / MANIFEST).read_bytes()
    try:
        admit(device_trust(), bundle.folder, data)
    except (KeyFileError, SignatureError) as err:
        refused = str(err)
    with suppress(KeyFileError, SignatureError):
        signed = admit(Trust(keys=trusted_keys(), revoked=revoked_keys()), bundle.folder, data)
    return signed, refused


def _read(path: str | Path) -> tuple[Path, bytes]:
    """The manifest's path and bytes."""
    folder = Path(path)
    file = folder / MANIFEST if folder.is_dir() else folder
    if not file.is_file():
        raise SchemaError(
            f"no bundle at {path}: expected a folder with {MANIFEST} in it. "
            "Make one with `clinicedge convert`."
        )
    if file.stat().st_size > MAX_MANIFEST_BYTES:
        raise SchemaError(f"{file} has {file.stat().st_size} bytes; that is no manifest.")
    return file, file.read_bytes()


# Fields of earlier versions that were never filled: bundles from then hold them as null.
_RETIRED = ("temperature",)


def parse_manifest(data: bytes, where: str) -> Manifest:
    """Read the bytes of a bundle.json.

    Raises:
        SchemaError: as `load`.
        IntegrityError: as `load`.
    """
    try:
        raw = json.loads(data)
    except (ValueError, RecursionError) as err:
        raise SchemaError(f"{where} is not JSON ({err}). Restore it or convert again.") from err
    version = raw.get("schema") if isinstance(raw, dict) else None
    if version != SCHEMA or isinstance(version, bool):
        raise SchemaError(
            f"{where}: schema {version!r}; this clinicedge reads schema {SCHEMA}. "
            "Update clinicedge, or convert the model again with this version."
        )
    for name in _RETIRED:
        if name in raw and raw[name] is None:
            del raw[name]
    manifest = from_json(Manifest, raw, where)
    check_consistency(manifest, where)
    return manifest
