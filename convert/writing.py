"""The manifest put together and the bundle's folder written in one go."""

import tempfile
from pathlib import Path

from ..runtime.bundle import MANIFEST
from ..runtime.errors import OutputError
from ..runtime.files import folder_atomic
from ..runtime.manifest import (
    SCHEMA,
    Acceptance,
    Artifact,
    DataHygiene,
    Manifest,
    Provenance,
    Threshold,
)
from ..runtime.records import dump_bytes
from .recipes import Recipe, defaults_of
from .sbom import Subject, sbom_bytes, sbom_entry
from .source import Source, linear_head

Files = list[tuple[str, bytes]]


def build_manifest(
    source: Source,
    tools: dict[str, str],
    artifacts: tuple[Artifact, ...],
    thresholds: tuple[Threshold, ...],
    acceptance: Acceptance,
    data: tuple[DataHygiene, ...],
) -> Manifest:
    """bundle.json of one model."""
    spec = source.spec
    subject = Subject(spec.name, spec.version, spec.licence, source.weights_sha256)
    return Manifest(
        schema=SCHEMA,
        kind="model",
        name=spec.name,
        version=spec.version,
        task=spec.task,
        licence=spec.licence,
        intended_use=spec.intended_use,
        provenance=Provenance(
            weights_file=source.weights_file,
            weights_sha256=source.weights_sha256,
            weights_date=source.weights_date,
            tools=tools,
            training_data=source.training_data,
            attribution=spec.weights.attribution,
        ),
        input=spec.input,
        outputs=spec.outputs,
        explanation=spec.explanation,
        head=linear_head(source),
        thresholds=thresholds,
        defaults=defaults_of(Recipe(a.format, a.recipe) for a in artifacts),
        artifacts=artifacts,
        acceptance=acceptance,
        data=data,
        guard=spec.budget,
        mask=spec.mask,
        detection=spec.detection,
        sbom=sbom_entry(sbom_bytes(subject, tools)),
    )


def _sbom(manifest: Manifest) -> Files:
    """The bill of materials that the manifest names."""
    made = manifest.provenance
    if manifest.sbom is None or made is None:
        return []
    subject = Subject(manifest.name, manifest.version, manifest.licence, made.weights_sha256)
    return [(manifest.sbom.path, sbom_bytes(subject, made.tools))]


def check_writable(out: Path) -> None:
    """Find out before the long work whether the result can be written.

    Raises:
        OutputError: it cannot.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as err:
        raise OutputError(
            f"cannot write into {out}: {err.strerror or err}. Choose a folder that you may "
            "write to with --out."
        ) from err


def write_bundle(folder: Path, manifest: Manifest, files: Files) -> bool:
    """Write the bundle, or leave it where every byte is there already; True if it was.

    The bill of materials that the manifest names is made here.

    Measurements that lie beside an equal manifest stay.

    Raises:
        OutputError: the folder cannot be written.
    """
    wanted = [*files, *_sbom(manifest), (MANIFEST, dump_bytes(manifest))]
    if all(_holds(folder / path, data) for path, data in wanted):
        return True
    with folder_atomic(folder) as work:
        for path, data in wanted:
            target = work / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
    return False


def _holds(path: Path, data: bytes) -> bool:
    try:
        return path.read_bytes() == data
    except OSError:
        return False
