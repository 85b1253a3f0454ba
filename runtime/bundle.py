"""A bundle on disk: read, check, open."""

import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from .errors import ArtifactError, IntegrityError, SchemaError
from .files import sha256_bytes, sha256_file
from .manifest import SCHEMA, Artifact, Compute, FileEntry, Manifest, artifact_sha256
from .records import from_json
from .session import ArtifactFiles

if TYPE_CHECKING:
    from .predictor import Predictor

MANIFEST = "bundle.json"
# A manifest of 16 models' worth is far below this; more is not a manifest.
MAX_MANIFEST_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Bundle:
    """A model as a device receives it. `id` is the SHA-256 of bundle.json's bytes."""

    folder: Path
    manifest: Manifest
    id: str

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
        raise ArtifactError(
            f"'{self.manifest.name}' has no artifact '{artifact_id}'; it has "
            f"{', '.join(a.id for a in self.manifest.artifacts) or 'none'}."
        )

    def files(self, artifact_id: str) -> ArtifactFiles:
        """What `open_session` takes."""
        return ArtifactFiles(self.folder, self.artifact(artifact_id))

    def threshold(self, artifact_id: str, compute: Compute, label: str) -> float:
        """The threshold bound to this artifact and compute precision.

        Raises:
            ArtifactError: none was set; another artifact's is never used instead.
        """
        wanted = self.artifact(artifact_id).id
        for entry in self.manifest.thresholds:
            if (entry.artifact, entry.compute, entry.label) == (wanted, compute, label):
                return entry.value
        raise ArtifactError(
            f"'{self.manifest.name}' has no threshold for '{label}' of {wanted} in {compute}; "
            "convert again with that compute precision."
        )

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

    def check_all(self) -> None:
        """Compare every file that the manifest names.

        Raises:
            IntegrityError: a file is missing or was changed.
        """
        for artifact in self.manifest.artifacts:
            self.check(artifact.id)
        if self.manifest.acceptance:
            for film in self.manifest.acceptance.films:
                check_file(self.folder, film.file, f"acceptance film of '{self.manifest.name}'")

    def predictor(
        self,
        engine: str = "auto",
        precision: str = "auto",
        threads: int = 0,
        order: tuple[str, ...] | None = None,
    ) -> "Predictor":
        """Open the predictor of the first artifact that this machine runs and reproduces.

        Args:
            engine: "auto" or an engine's name.
            precision: "auto", "fp32", "fp16", "int8", or an artifact id.
            threads: 0 takes what `clinicedge tune` found, else every usable processor.
            order: engines to try in turn when `engine` is "auto"; the device profile's.

        Raises:
            EngineMissingError: no engine for it is installed.
            AcceptanceError: engines are there, but none reproduces the recorded answers.
            IntegrityError: a file was changed.
        """
        from .selection import Wish, open_predictor

        return open_predictor(self, Wish(engine, precision, threads, order))


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


def load(path: str | Path) -> Bundle:
    """Read and check the manifest of the bundle in the folder `path`.

    The artifacts' files are hashed when they are opened, not here.

    Raises:
        SchemaError: no manifest, not JSON, an unknown schema version, a wrong field.
        IntegrityError: an artifact's hash is not that of its file list.
    """
    folder = Path(path)
    file = folder / MANIFEST if folder.is_dir() else folder
    if not file.is_file():
        raise SchemaError(
            f"no bundle at {path}: expected a folder with {MANIFEST} in it. "
            "Make one with `clinicedge convert`."
        )
    if file.stat().st_size > MAX_MANIFEST_BYTES:
        raise SchemaError(f"{file} has {file.stat().st_size} bytes; that is no manifest.")
    data = file.read_bytes()
    return Bundle(file.parent, parse_manifest(data, str(file)), sha256_bytes(data))


def parse_manifest(data: bytes, where: str) -> Manifest:
    """Read the bytes of a bundle.json.

    Raises:
        SchemaError: as `load`.
        IntegrityError: as `load`.
    """
    try:
        raw = json.loads(data)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as err:
        raise SchemaError(f"{where} is not JSON ({err}). Restore it or convert again.") from err
    version = raw.get("schema") if isinstance(raw, dict) else None
    if version != SCHEMA or isinstance(version, bool):
        raise SchemaError(
            f"{where}: schema {version!r}; this clinicedge reads schema {SCHEMA}. "
            "Update clinicedge, or convert the model again with this version."
        )
    manifest = from_json(Manifest, raw, where)
    _check_consistency(manifest, where)
    return manifest


def _check_consistency(manifest: Manifest, where: str) -> None:
    """What types alone cannot say."""
    ids = [a.id for a in manifest.artifacts]
    if len(set(ids)) != len(ids):
        raise SchemaError(f"{where}: an artifact id occurs twice: {', '.join(sorted(ids))}.")
    if manifest.kind == "model" and (manifest.input is None or not manifest.outputs):
        raise SchemaError(f"{where}: a model needs `input` and `outputs`. Convert again.")
    entries = [f for a in manifest.artifacts for g in a.graphs for f in g.files]
    films = manifest.acceptance.films if manifest.acceptance else ()
    for entry in (*entries, *(f.file for f in films)):
        _check_path(entry.path, where)
    for artifact in manifest.artifacts:
        found = artifact_sha256(f for g in artifact.graphs for f in g.files)
        if artifact.id != f"{artifact.format}/{artifact.recipe}":
            raise SchemaError(
                f"{where}: artifact id {artifact.id!r} is not format/recipe "
                f"'{artifact.format}/{artifact.recipe}'. Convert again."
            )
        if found != artifact.sha256:
            raise IntegrityError(
                f"{where}: artifact {artifact.id} says sha256 {artifact.sha256[:12]}…, its file "
                f"list gives {found[:12]}…; the manifest was changed. Convert again or restore it."
            )
    for graph in (g for a in manifest.artifacts for g in a.graphs):
        if not graph.files:
            raise SchemaError(f"{where}: graph '{graph.name}' has no files. Convert again.")
    _check_labels(manifest, where)


def _check_labels(manifest: Manifest, where: str) -> None:
    for output in manifest.outputs:
        if output.labels and output.shape != (len(output.labels),):
            raise SchemaError(
                f"{where}: output '{output.name}' has {len(output.labels)} labels and shape "
                f"{output.shape}; they must agree. Convert again."
            )
        if output.positive_label is not None and output.positive_label not in output.labels:
            raise SchemaError(
                f"{where}: positive label {output.positive_label!r} is not among "
                f"{output.labels}. Convert again."
            )
    spec = manifest.input
    if spec is not None and not (
        len(spec.scaling.mean) == len(spec.scaling.std) == spec.channels
        and all(std > 0 for std in spec.scaling.std)
        and min(spec.height, spec.width, spec.channels) > 0
    ):
        raise SchemaError(
            f"{where}: the input has {spec.channels} channels; mean and std need as many "
            "values, std above 0, and a size above 0. Convert again."
        )


def _check_path(path: str, where: str) -> None:
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or "\\" in path or not pure.parts:
        raise SchemaError(
            f"{where}: file path {path!r} leaves the bundle; expected a relative path inside it."
        )
