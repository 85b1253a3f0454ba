"""A clinic's own thresholds: records on the device, beside the bundle and never in it.

STATE/thresholds/DIGEST.json, one a model, artifact, compute precision and label. A record holds
for the artifact's very bytes and temperature: with others it is refused, neither used nor left
aside, because either would change decisions without a word.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .bundle import Bundle
from .choices import state_folder
from .errors import ArtifactError, OutputError, SchemaError
from .figures import Compute
from .files import write_atomic
from .manifest import Artifact, Threshold
from .records import dump_bytes, from_json
from .score_rules import bound_threshold

OWN_SCHEMA = 1
MAX_WORDS = 200

Stamps = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True)
class OwnThreshold:
    """Positive means score >= value on this device.

    Attributes:
        model: the bundle's name.
        temperature: what the raw scores are divided by, 1 without temperature scaling; the value
            is about scores made with it.
        data: what it was chosen on, in the clinic's words; `n_films` of it, 0 where unknown.
        who, when: who set it, and the time (ISO 8601, UTC).
        bundle_value: the bundle's own at that time.
    """

    model: str
    artifact: str
    artifact_sha256: str
    compute: Compute
    label: str
    value: float
    temperature: float
    data: str
    n_films: int
    who: str
    when: str
    bundle_value: float


@dataclass(frozen=True)
class _Record:
    schema: int
    own: OwnThreshold


@dataclass(frozen=True)
class Wanted:
    """What a clinic asks for; see `OwnThreshold`."""

    artifact: str
    compute: Compute
    label: str
    value: float
    data: str
    who: str
    n_films: int = 0


@dataclass(frozen=True)
class InForce:
    """What decides for a label: the bundle's threshold, or the clinic's with a note."""

    threshold: Threshold
    note: str = ""


def own_path(model: str, artifact_id: str, compute: Compute, label: str) -> Path:
    """The file of a clinic's threshold."""
    key = json.dumps([model, artifact_id, compute, label])
    digest = hashlib.sha256(key.encode("utf-8")).hexdigest()
    return state_folder() / "thresholds" / f"{digest[:32]}.json"


def record_paths(bundle: Bundle) -> tuple[Path, ...]:
    """The file of every threshold that a clinic could set of the bundle, of a pipeline those of
    all its models."""
    return tuple(
        own_path(model.manifest.name, t.artifact, t.compute, t.label)
        for _, model in bundle.models()
        for t in model.manifest.thresholds
    )


def stamps(paths: Iterable[Path]) -> Stamps:
    """(inode, nanoseconds of the last change, bytes) of each file, None where there is none."""
    return tuple(_stamp(path) for path in paths)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def read_own(model: str, artifact_id: str, compute: Compute, label: str) -> OwnThreshold | None:
    """The record as it is; None where there is none.

    Raises:
        ArtifactError: it is damaged. It is not left aside: the clinic chose to decide otherwise.
    """
    path = own_path(model, artifact_id, compute, label)
    if not path.exists():
        return None
    try:
        record = from_json(_Record, json.loads(path.read_bytes()), path.name)
    except (OSError, ValueError, SchemaError) as err:
        raise ArtifactError(_damaged(path, str(err))) from err
    own = record.own
    found = (own.model, own.artifact, own.compute, own.label)
    if record.schema != OWN_SCHEMA or found != (model, artifact_id, compute, label):
        raise ArtifactError(_damaged(path, f"schema {record.schema}, of {'/'.join(found)}"))
    if not 0.0 < own.value < 1.0:
        raise ArtifactError(_damaged(path, f"value {own.value}"))
    return own


def in_force(bundle: Bundle, artifact: Artifact, compute: Compute, label: str) -> InForce:
    """What decides here.

    Raises:
        ArtifactError: no threshold is bound to the artifact; or the clinic's was set for other
            bytes or another temperature, or its record is damaged.
    """
    made = bound_threshold(bundle.manifest, artifact, compute, label)
    own = read_own(bundle.manifest.name, artifact.id, compute, label)
    if own is None:
        return InForce(made)
    here = _temperature(bundle, artifact.id, compute, label)
    if own.artifact_sha256 != artifact.sha256 or own.temperature != here:
        raise ArtifactError(
            f"this device's own threshold {own.value:g} for '{label}' of {artifact.id} of "
            f"'{own.model}' was set by {own.who} on {own.when[:10]} for the artifact "
            f"{own.artifact_sha256[:12]}… with temperature {own.temperature:g}; this one is "
            f"{artifact.sha256[:12]}… with temperature {here:g}. Set it anew for this one with "
            f"`clinicedge threshold set {bundle.folder}`, or go back to the bundle's "
            f"{made.value:g} with `clinicedge threshold clear`."
        )
    threshold = Threshold(
        artifact=artifact.id,
        compute=compute,
        label=label,
        value=own.value,
        rule=f"set on this device by {own.who} on {own.when[:10]}",
        data=own.data,
        part=made.part,
        n_films=own.n_films,
        artifact_sha256=artifact.sha256,
    )
    note = (
        f"threshold {own.value:g} for {label} set on this device by {own.who} on "
        f"{own.when[:10]} ({own.data}); the bundle's is {made.value:g}"
    )
    return InForce(threshold, note)


def set_own(bundle: Bundle, own: Wanted, when: str) -> OwnThreshold:
    """Store a clinic's threshold; it holds from the next time that the bundle is opened, on a
    running server from the next answer.

    Raises:
        ArtifactError: no threshold is bound to the artifact, compute precision and label, the
            value is not between 0 and 1, or who or the data are not told.
        OutputError: the state folder cannot be written.
    """
    artifact = bundle.artifact(own.artifact)
    made = bound_threshold(bundle.manifest, artifact, own.compute, own.label)
    if not 0.0 < own.value < 1.0:
        raise ArtifactError(f"threshold {own.value}; expected a probability between 0 and 1.")
    for what, words in (("who sets it", own.who), ("the data it was chosen on", own.data)):
        if not words.strip() or len(words) > MAX_WORDS or not words.isprintable():
            raise ArtifactError(
                f"{what}: {words[:40]!r}; expected 1 to {MAX_WORDS} printable characters."
            )
    record = OwnThreshold(
        model=bundle.manifest.name,
        artifact=artifact.id,
        artifact_sha256=artifact.sha256,
        compute=own.compute,
        label=own.label,
        value=own.value,
        temperature=_temperature(bundle, artifact.id, own.compute, own.label),
        data=own.data.strip(),
        n_films=own.n_films,
        who=own.who.strip(),
        when=when,
        bundle_value=made.value,
    )
    path = own_path(record.model, record.artifact, record.compute, record.label)
    write_atomic(path, dump_bytes(_Record(OWN_SCHEMA, record)))
    return record


def clear_own(model: str, artifact_id: str, compute: Compute, label: str) -> bool:
    """Delete a record, damaged or not; False where there was none.

    Raises:
        OutputError: the file cannot be deleted.
    """
    path = own_path(model, artifact_id, compute, label)
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as err:
        raise OutputError(f"cannot delete {path}: {err.strerror}. Delete it by hand.") from err
    return True


def _temperature(bundle: Bundle, artifact_id: str, compute: Compute, label: str) -> float:
    wanted = (artifact_id, compute, label)
    values = (
        t.value for t in bundle.manifest.temperatures if (t.artifact, t.compute, t.label) == wanted
    )
    return next(values, 1.0)


def _damaged(path: Path, why: str) -> str:
    return (
        f"the record of this device's own threshold {path} is damaged ({why}). Set the threshold "
        "anew with `clinicedge threshold set`, or remove it with `clinicedge threshold clear`."
    )
