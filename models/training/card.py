"""The card of trained weights: of what they were made, how well they decide, and for what not."""

from dataclasses import dataclass, field
from typing import Any

from ...profiles.shortcut_audit import AuditFigures
from ...runtime.figures import Figure
from ...runtime.manifest import DataPart
from ...runtime.predictions import CAUTION
from ...runtime.spec import ModelSpec
from .judgement import Measured, MeasuredMasks


@dataclass(frozen=True)
class Card:
    """What NAME.json holds and NAME.md says.

    `date` is the day the training ended, ISO 8601. `parts` carry the hashed patient keys, so
    that a conversion and an evaluation can refuse patients that the weights have seen.
    `thresholds` by label, where a model has several findings.
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
    audit: AuditFigures | None = None


def percent(figure: Figure) -> str:
    """e.g. "96.3 (94.1-97.9)", in percent."""
    return f"{100 * figure.value:.1f} ({100 * figure.low:.1f}-{100 * figure.high:.1f})"


def area(figure: Figure) -> str:
    """e.g. "0.995 (0.990-0.998)"."""
    return f"{figure.value:.3f} ({figure.low:.3f}-{figure.high:.3f})"


def render(card: Card, spec: ModelSpec) -> str:
    """The card as Markdown."""
    blocks = [
        _head(card, spec),
        _figures(card),
        *_audit(card, spec),
        _data(card, spec),
        _making(card),
        _limits(card, spec),
    ]
    return "\n".join(blocks)


def _head(card: Card, spec: ModelSpec) -> str:
    labels = " / ".join(spec.outputs[0].labels)
    seen = "the lungs of one film" if spec.input.region == "lungs" else "one film"
    lines = [
        f"# {card.name}",
        "",
        f"**{CAUTION[0].upper()}{CAUTION[1:]}.**",
        "",
        f"{labels} on {seen}, brought to {spec.input.width} x {spec.input.height} pixels.",
        f"Version {card.version}, {card.date}. {card.params:,} parameters, "
        f"{card.mult_adds / 1e6:.1f} M multiply-adds.",
        f"File `{card.weights_file}` (fp16), SHA-256 `{card.weights_sha256}`.",
        "",
        f"Use: {spec.intended_use.statement}.",
        "",
    ]
    return "\n".join(lines)


def _figures(card: Card) -> str:
    at = ", ".join(f"{label} {value:.4f}" for label, value in card.thresholds.items())
    lines = [
        "## How well it decides",
        "",
        f"Threshold {at or format(card.threshold, '.4f')}, with {card.threshold_n_films} films of "
        f"the part *select*: {card.threshold_rule}.",
        "Percent (AUC, Dice: share) with 95 % intervals from resampling patients. The weights as "
        "they ship, float32, through the runtime's preprocessing; these films steered nothing and "
        "were read once.",
        "",
        *(_mask_table(card) if card.masks else _label_table(card)),
        "",
    ]
    return "\n".join(lines)


def _label_table(card: Card) -> list[str]:
    lines = [
        "| films | label | n (patients) | no lungs found | accuracy | sensitivity | specificity "
        "| AUC |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in card.measured:
        f = row.figures
        lines.append(
            f"| {row.what} | {f.label or 'positive'} | {f.accuracy.n} ({f.accuracy.n_patients}) "
            f"| {row.no_score} | {percent(f.accuracy)} | {percent(f.sensitivity)} | "
            f"{percent(f.specificity)} | {area(f.auc)} |"
        )
    return lines if card.measured else [*lines, "| not measured | | | | | | | |"]


def _mask_table(card: Card) -> list[str]:
    lines = [
        "| films | n (patients) | Dice | IoU | precision | recall | drawn on films without |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in card.masks:
        f = row.figures
        alarms = percent(f.false_alarms) if f.false_alarms else "no such film"
        lines.append(
            f"| {row.what} | {f.dice.n} ({f.dice.n_patients}) | {area(f.dice)} | {area(f.iou)} | "
            f"{100 * f.precision:.1f} | {100 * f.recall:.1f} | {alarms} |"
        )
    return lines


_VIEWS = {
    "plain": "as it is",
    "lungs-hidden-silhouette": "lungs hidden, by their silhouette",
    "lungs-hidden-box": "lungs hidden, by their bounding box",
    "lungs-hidden-fixed-box": "one large fixed box hidden",
    "lungs-only": "only the lungs visible",
    "borders-hidden": "borders hidden",
    "corners-hidden": "corners hidden",
}


def _audit(card: Card, spec: ModelSpec) -> list[str]:
    """The table of the shortcut audit, of classifiers of chest films."""
    if spec.task != "classification":
        return []
    lines = ["## What it tells with the lungs hidden", ""]
    if card.audit is None:
        return ["\n".join([*lines, "Not measured.", ""])]
    a = card.audit
    lines += [
        f"AUC on {a.n_films} films of the internal test ({a.n_positive} positive, {a.n_patients} "
        "patients), hidden behind the film's own median grey; lungs as `lungs-128` draws them. "
        "Evidence is in the lungs alone: with them hidden, .5 is right and more is a shortcut.",
        "",
        "| film | AUC |",
        "|---|---|",
    ]
    for view in a.views:
        lines.append(f"| {_VIEWS[view.view]} | {area(view.auc) if view.auc else 'not measured'} |")
    if spec.input.region == "lungs":
        lines += ["", "Every view was cropped where the lungs are on the film as it is."]
    return ["\n".join([*lines, ""])]


def _data(card: Card, spec: ModelSpec) -> str:
    lines = [
        "## Data",
        "",
        f"`{card.data}`. {spec.weights.attribution}. Weights: {spec.weights.licence}.",
        "",
        f"Split: {card.split}.",
        "",
        "| part | films | patients | for |",
        "|---|---|---|---|",
    ]
    purpose = {
        "train": "training, calibration",
        "select": "choice of the epoch, threshold",
        "guard": "what quantization costs",
        "test": "figures above",
        "official-test": "figures above",
    }
    lines += [
        f"| {p.part} | {p.n_films} | {p.n_patients} | {purpose[p.part]} |" for p in card.parts
    ]
    lines += [
        "",
        "Some patient numbers occur in both official parts; whether they are the same children is "
        "unknown, so the official test is reported twice.",
        "",
    ]
    return "\n".join(lines)


def _making(card: Card) -> str:
    recipe = card.recipe
    goal = "soft Dice and pixel loss" if card.masks else "class weights"
    if not card.masks:
        goal += f", label smoothing {recipe['label_smoothing']:g}"
    if recipe.get("focal_gamma"):
        goal += f" (focal, gamma {recipe['focal_gamma']:g})"
    begin = f"From the weights of {recipe['start']}" if recipe.get("start") else "From scratch"
    small = ""
    if recipe.get("small_epochs"):
        side = recipe["small_side"]
        small = f", the first {recipe['small_epochs']} on films of {side} x {side} pixels"
    lines = [
        "## How it was made",
        "",
        f"{begin}: AdamW, one cycle to {recipe['peak_lr']:g}, weight decay "
        f"{recipe['weight_decay']:g}, batch {recipe['batch']}, {goal}, averaged weights "
        f"({recipe['ema_decay']:g}), {card.epochs} epochs{small}, epoch {card.kept_epoch} kept "
        "(lowest loss on *select*).",
        "Augmentation: rotation, shift, zoom, aspect, left-right flip, exposure, sharpness, "
        "noise, blank margins and boxes (no vertical flip).",
        f"Seed {recipe['seed']}. {card.training_minutes:.0f} minutes; "
        + ", ".join(f"{k} {v}" for k, v in card.tools.items())
        + ".",
        "",
    ]
    return "\n".join(lines)


def _limits(card: Card, spec: ModelSpec) -> str:
    lines = ["## Not for", ""]
    lines += [f"- {item};" for item in spec.intended_use.not_for]
    lines += [
        "- films from another place or machine before its own threshold was checked there: the "
        "official test films were drawn differently and show what such a change costs.",
        "",
        *_outside(spec),
        "",
    ]
    return "\n".join(lines)


def _outside(spec: ModelSpec) -> list[str]:
    """What is known of evidence outside the lungs, for classifiers of chest films."""
    if spec.intended_use.body_part != "CHEST" or spec.task == "segmentation":
        return []
    told = (
        "The data tell the label by more than the lungs (frame, exposure, position). Augmentation "
        "works against it and cannot exclude it: look at the heat map, and do not trust an answer "
        "whose evidence lies outside the lungs."
    )
    if spec.input.region == "lungs":
        return [
            told,
            "",
            "This network sees only the box around the lungs that `lungs-128` finds; where it "
            "finds none, there is no score.",
        ]
    return [told, "", f"The default form is {spec.name}-on-lungs, which sees the lungs alone."]
