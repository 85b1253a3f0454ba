"""A model of the zoo with its reference weights and their card."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..models import weights, zoo
from ..runtime.errors import CheckpointError, SchemaError
from ..runtime.files import sha256_file
from ..runtime.manifest import DataHygiene
from ..runtime.records import from_json
from ..runtime.spec import ModelSpec
from .source import Source, scores_output

NOT_RECORDED = "not recorded"


@dataclass(frozen=True)
class WeightsCard:
    """What is known of weights: thresholds by label, and whose films trained them."""

    date: str = NOT_RECORDED
    training_data: str = NOT_RECORDED
    thresholds: dict[str, float] = field(default_factory=dict)
    hygiene: DataHygiene | None = None


def load_source(name: str, folders: tuple[Path, ...] = ()) -> Source:
    """Build the network, load its weights, read NAME.json beside them.

    Raises:
        UnknownModelError: the zoo has no such name.
        WeightsMissingError: no weights.
        CheckpointError: the weights are of another network, or the card of other weights.
    """
    spec = zoo.spec(name)
    path = weights.find(spec, folders)
    sha256 = sha256_file(path)
    card = card_beside(path, sha256, spec)
    module = zoo.build(name)
    weights.load_into(module, path)
    return Source(
        spec=spec,
        network=module,
        weights_file=path.name,
        weights_sha256=sha256,
        weights_date=card.date,
        training_data=card.training_data,
        thresholds=card.thresholds,
        hygiene=card.hygiene,
    )


def card_beside(weights_file: Path, weights_sha256: str, spec: ModelSpec) -> WeightsCard:
    """What the card beside weights says; weights without a card are the user's own affair.

    Raises:
        CheckpointError: the card cannot be read, or is of other weights.
    """
    path = weights_file.with_suffix(".json")
    if not path.is_file():
        return WeightsCard()
    try:
        raw: dict[str, Any] = json.loads(path.read_bytes())
        named, thresholds = raw["weights_sha256"], _thresholds(raw, spec)
        used = {"data": raw["data"], "split": raw["split"], "parts": raw["parts"]}
        hygiene = from_json(DataHygiene, used, path.name)
        counts = ", ".join(
            f"{p.part} {p.n_films} films of {p.n_patients} patients" for p in hygiene.parts
        )
        told = f"{hygiene.data}: {counts}; split {hygiene.split}"
        card = WeightsCard(str(raw["date"]), told, thresholds, hygiene)
    except (OSError, ValueError, KeyError, TypeError, SchemaError) as err:
        raise CheckpointError(
            f"cannot read the card {path}: {err!r}. Restore it, or move it away to convert "
            "weights without a card."
        ) from err
    if named != weights_sha256:
        raise CheckpointError(
            f"{path} is the card of weights with sha256 {named[:12]}…, the file beside it has "
            f"{weights_sha256[:12]}…. Restore the pair, or move the card away."
        )
    return card


def _thresholds(raw: dict[str, Any], spec: ModelSpec) -> dict[str, float]:
    """By label; the card of a model with one decision has a single threshold."""
    if spec.task in ("findings", "detection"):
        return {str(label): float(value) for label, value in raw["thresholds"].items()}
    output = scores_output(spec)
    return {output.positive_label or output.labels[-1]: float(raw["threshold"])}
