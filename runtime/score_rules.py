"""What turns an artifact's raw scores into a decision: its temperatures and thresholds.

Both belong to one artifact in one compute precision; another's are never used instead. A clinic's
own threshold (`own_thresholds.py`) goes before the bundle's.
"""

from collections.abc import Mapping

from .errors import ArtifactError
from .figures import Compute
from .manifest import Artifact, Manifest, Threshold
from .spec import OutputSpec

Temperatures = tuple[float, ...]


def temperatures_of(
    manifest: Manifest, artifact_id: str, compute: Compute, output: OutputSpec
) -> Temperatures:
    """What each of the K raw scores is divided by; () where no temperature was fixed.

    An output with a positive label has one temperature for all its scores, findings one each.
    """
    found = {
        t.label: t.value
        for t in manifest.temperatures
        if (t.artifact, t.compute) == (artifact_id, compute)
    }
    return divisors(found, output)


def divisors(found: Mapping[str, float], output: OutputSpec) -> Temperatures:
    """As `temperatures_of`, of temperatures by label."""
    if not found:
        return ()
    if output.positive_label is not None:
        return (found.get(output.positive_label, 1.0),) * len(output.labels)
    return tuple(found.get(label, 1.0) for label in output.labels)


def bound_threshold(
    manifest: Manifest, artifact: Artifact, compute: Compute, label: str
) -> Threshold:
    """The threshold that convert set for this artifact, compute precision and label.

    Raises:
        ArtifactError: none was set, or it was set for other bytes under the same name.
    """
    for entry in manifest.thresholds:
        if (entry.artifact, entry.compute, entry.label) != (artifact.id, compute, label):
            continue
        if entry.artifact_sha256 not in ("", artifact.sha256):
            raise ArtifactError(
                f"'{manifest.name}': the threshold for '{label}' of {artifact.id} was set for an "
                f"artifact {entry.artifact_sha256[:12]}…, this one is {artifact.sha256[:12]}…; "
                "expected the same. Convert again, so that its threshold is set for it."
            )
        return entry
    raise ArtifactError(
        f"'{manifest.name}' has no threshold for '{label}' of {artifact.id} in {compute}; another "
        "artifact's is not used instead. Convert again with that compute precision."
    )
