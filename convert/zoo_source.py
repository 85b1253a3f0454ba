"""A model of the zoo with its reference weights and their card."""

import json
from dataclasses import dataclass
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
class _Card:
    date: str
    training_data: str
    thresholds: dict[str, float]
    hygiene: DataHygiene | None


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
    card = _read_card(path.with_suffix(".json"), sha256, spec)
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


def _read_card(path: Path, weights_sha256: str, spec: ModelSpec) -> _Card:
    """What the card says; weights without a card are the user's own affair."""
    if not path.is_file():
        return _Card(NOT_RECORDED, NOT_RECORDED, {}, None)
    try:
        raw: dict[str, Any] = json.loads(path.read_bytes())
        named, thresholds = raw["weights_sha256"], _thresholds(raw, spec)
        used = {"data": raw["data"], "split": raw["split"], "parts": raw["parts"]}
        hygiene = from_json(DataHygiene, used, path.name)
        counts = ", ".join(
            f"{p.part} {p.n_films} films of {p.n_patients} patients" for p in hygiene.parts
        )
        told = f"{hygiene.data}: {counts}; split {hygiene.split}"
        card = _Card(str(raw["date"]), told, thresholds, hygiene)
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
