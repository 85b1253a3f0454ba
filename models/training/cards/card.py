"""The record of trained weights: of what they were made, how well they decide."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ....profiles.shortcut_audit import AuditFigures
from ....runtime.errors import SchemaError
from ....runtime.figures import Figure
from ....runtime.manifest import DataPart
from ....runtime.records import from_json
from ..judging.judgement import Measured, MeasuredBoxes, MeasuredMasks


@dataclass(frozen=True)
class Card:
    """What NAME.json holds and NAME.md says.

    `date` is the day the card was written, ISO 8601. `parts` carry the hashed patient keys, so
    that a conversion and an evaluation can refuse patients that the weights have seen.
    `thresholds` by label, where a model has several findings; so are `audits`, which such a model
    has instead of `audit`. `audit_note`: why there is neither, "" where it was not tried.
    `not_measured`: why films, in words, gave no figures.
    """

    name: str
    version: str
    date: str
    weights_file: str
    weights_sha256: str
    params: int
    mult_adds: int
    data: str
    split: str
    parts: tuple[DataPart, ...]
    threshold: float
    threshold_rule: str
    threshold_n_films: int
    measured: tuple[Measured, ...]
    epochs: int
    kept_epoch: int
    training_minutes: float
    tools: dict[str, str]
    recipe: dict[str, Any]
    thresholds: dict[str, float] = field(default_factory=dict)
    masks: tuple[MeasuredMasks, ...] = ()
    boxes: tuple[MeasuredBoxes, ...] = ()
    audit: AuditFigures | None = None
    audits: dict[str, AuditFigures] = field(default_factory=dict)
    audit_note: str = ""
    not_measured: dict[str, str] = field(default_factory=dict)


def read_card(path: Path) -> Card:
    """A card as it was written, NAME.json.

    Raises:
        SchemaError: the file is missing or damaged.
    """
    try:
        raw = json.loads(path.read_bytes())
        recipe = raw["recipe"]
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, TypeError, KeyError) as err:
        raise SchemaError(
            f"{path} is no card ({err!r}); expected NAME.json as training writes it. Restore it, "
            "or remove its folder to train the model again."
        ) from err
    # The recipe's values are of many types, kept as they were written.
    return replace(from_json(Card, {**raw, "recipe": {}}, str(path)), recipe=recipe)


def percent(figure: Figure) -> str:
    """e.g. "96.3 (94.1-97.9)", in percent."""
    return f"{100 * figure.value:.1f} ({100 * figure.low:.1f}-{100 * figure.high:.1f})"


def area(figure: Figure) -> str:
    """e.g. "0.995 (0.990-0.998)"."""
    return f"{figure.value:.3f} ({figure.low:.3f}-{figure.high:.3f})"
