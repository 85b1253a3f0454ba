"""Refuse thresholds and temperatures that belong to nothing, to other bytes, or to two things."""

import math
from collections import Counter
from collections.abc import Iterable

from .errors import SchemaError
from .manifest import Manifest, Temperature, Threshold

Records = Iterable[Threshold | Temperature]


def check_decisions(manifest: Manifest, where: str) -> None:
    """A model's thresholds and temperatures each belong to one of its artifacts.

    Raises:
        SchemaError: one does not, a threshold is bound to another hash than its artifact's, or to
            none in a bundle with a budget, a value is no number or out of range, or two are for
            the same artifact, compute and label.
    """
    _check_once(manifest.thresholds, "threshold", where)
    _check_once(manifest.temperatures, "temperature", where)
    for threshold in manifest.thresholds:
        if not math.isfinite(threshold.value):
            raise SchemaError(f"{where}: threshold {threshold.value} is no number. Convert again.")
    _check_temperatures(manifest, where)
    if manifest.kind == "model":
        _check_bound(manifest, where)


def _check_bound(manifest: Manifest, where: str) -> None:
    hashes = {a.id: a.sha256 for a in manifest.artifacts}
    records: tuple[Threshold | Temperature, ...] = (*manifest.thresholds, *manifest.temperatures)
    for record in records:
        if record.artifact not in hashes:
            raise SchemaError(
                f"{where}: a {_word(record)} for '{record.label}' belongs to the artifact "
                f"{record.artifact!r}; expected one of {', '.join(hashes) or 'none'}. Convert "
                "again."
            )
    for threshold in manifest.thresholds:
        _check_hash(threshold, hashes[threshold.artifact], manifest.guard is not None, where)


def _check_hash(threshold: Threshold, expected: str, must: bool, where: str) -> None:
    """`must`: convert binds every threshold since it writes a budget, so "" was put there."""
    found = threshold.artifact_sha256
    if not found and must:
        raise SchemaError(
            f"{where}: the threshold for '{threshold.label}' of {threshold.artifact} is bound to "
            f"no artifact's bytes; expected {expected[:12]}…, as in every bundle with a budget. "
            "Restore the bundle, or convert again, so that each artifact has its own threshold."
        )
    if found not in ("", expected):
        raise SchemaError(
            f"{where}: the threshold for '{threshold.label}' of {threshold.artifact} was set for "
            f"an artifact {found[:12]}…, the one here is {expected[:12]}…; expected the same. "
            "Convert again, so that each artifact has its own threshold."
        )


def _check_temperatures(manifest: Manifest, where: str) -> None:
    scored = manifest.task in ("classification", "findings")
    if manifest.temperatures and (manifest.kind == "pipeline" or not scored):
        kind = "detector" if manifest.task == "detection" else "mask"
        what = "pipeline" if manifest.kind == "pipeline" else kind
        raise SchemaError(
            f"{where}: a {what} has temperatures; expected them of a model's scores alone. "
            "Convert again."
        )
    for temperature in manifest.temperatures:
        if not 0 < temperature.value < math.inf:
            raise SchemaError(
                f"{where}: temperature {temperature.value} of {temperature.artifact}; expected a "
                "number above 0. Convert again."
            )


def _check_once(records: Records, word: str, where: str) -> None:
    counts = Counter((r.artifact, r.compute, r.label) for r in records)
    twice = [key for key, count in counts.items() if count > 1]
    if twice:
        artifact, compute, label = twice[0]
        raise SchemaError(
            f"{where}: {counts[twice[0]]} {word}s for '{label}' of {artifact} in {compute}; "
            "expected one. Convert again."
        )


def _word(record: Threshold | Temperature) -> str:
    return "threshold" if isinstance(record, Threshold) else "temperature"
