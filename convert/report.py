"""The proof table: what each artifact weighs and what it lost."""

from collections.abc import Iterator
from dataclasses import dataclass

from ..runtime.figures import Accuracy, BoxAccuracy, Figure, Flips, MaskAccuracy, Reliability
from ..runtime.guarding import PairedLoss
from ..runtime.manifest import Artifact, Manifest, Threshold
from ..runtime.spec import Task


@dataclass(frozen=True)
class ProofRow:
    """One artifact, and of several findings one. `ratio`: bytes over those of the same format in
    FP32, None without it; `label` the finding, "" where there is one decision a film.

    `tolerance` is the acceptance band of its raw scores on a device; the figures are of the
    guard part at the artifact's own threshold, None where they were not measured. `flips` and
    `losses` are against FP32 of the same format there.
    """

    artifact: str
    bytes: int
    ratio: float | None
    max_abs_difference: float
    cosine: float
    features_cosine: float | None
    decision_agreement: float
    decision_flips: int
    n_films: int
    n_decisions: int
    threshold: float
    tolerance: float
    accuracy: Figure | None
    sensitivity: Figure | None
    specificity: Figure | None
    auc: Figure | None
    masks: MaskAccuracy | None = None
    boxes: BoxAccuracy | None = None
    label: str = ""
    flips: Flips | None = None
    losses: tuple[PairedLoss, ...] = ()
    reliability: Reliability | None = None


@dataclass(frozen=True)
class Proof:
    """All artifacts of a bundle against the source model, on `data`."""

    model: str
    version: str
    task: Task
    weights_sha256: str
    data: str
    part: str
    rows: tuple[ProofRow, ...]


def proof(manifest: Manifest) -> Proof:
    """Read the table out of a manifest that convert made."""
    first = manifest.artifacts[0]
    rows: tuple[Accuracy | MaskAccuracy | BoxAccuracy, ...]
    rows = (*first.accuracy, *first.masks, *first.boxes)
    return Proof(
        model=manifest.name,
        version=manifest.version,
        task=manifest.task,
        weights_sha256=manifest.provenance.weights_sha256 if manifest.provenance else "",
        data=first.parity.data,
        part=rows[0].part if rows else "none",
        rows=tuple(row for artifact in manifest.artifacts for row in _rows(manifest, artifact)),
    )


def _rows(manifest: Manifest, artifact: Artifact) -> Iterator[ProofRow]:
    """One a decided label."""
    decided = [t for t in manifest.thresholds if t.artifact == artifact.id]
    for threshold in decided:
        label = threshold.label if manifest.task in ("findings", "detection") else ""
        seen = next((a for a in artifact.accuracy if a.label == label), None)
        # A detector's decision is a film's boxes together.
        count = 1 if manifest.task == "detection" else len(decided)
        yield _row(manifest, artifact, (threshold, label, count), seen)


def _row(
    manifest: Manifest,
    artifact: Artifact,
    decided: tuple[Threshold, str, int],
    seen: Accuracy | None,
) -> ProofRow:
    threshold, label, count = decided
    whole = [
        a.bytes for a in manifest.artifacts if (a.format, a.precision) == (artifact.format, "fp32")
    ]
    films = manifest.acceptance.films if manifest.acceptance else ()
    bands = [e.tolerance for f in films for e in f.expected if e.artifact == artifact.id]
    parity = artifact.parity
    guarded = artifact.guard.losses if artifact.guard else ()
    return ProofRow(
        artifact=artifact.id,
        bytes=artifact.bytes,
        ratio=artifact.bytes / whole[0] if whole else None,
        max_abs_difference=parity.max_abs_difference,
        cosine=parity.cosine,
        features_cosine=parity.features_cosine,
        decision_agreement=parity.decision_agreement,
        decision_flips=parity.decision_flips,
        n_films=parity.n_films,
        n_decisions=parity.n_films * count,
        threshold=threshold.value,
        tolerance=max(bands, default=0.0),
        accuracy=seen.accuracy if seen else None,
        sensitivity=seen.sensitivity if seen else None,
        specificity=seen.specificity if seen else None,
        auc=seen.auc if seen else None,
        masks=artifact.masks[0] if artifact.masks else None,
        boxes=next((b for b in artifact.boxes if b.label == label), None),
        label=label,
        flips=next((f for f in artifact.flips if f.label == label), None),
        losses=tuple(loss for loss in guarded if loss.label == label),
        reliability=next((r for r in artifact.reliability if r.label == label), None),
    )
