"""The card of trained weights as a page: how well they decide, and for what not."""

from collections.abc import Mapping
from typing import Any

from ....runtime.predictions import CAUTION
from ....runtime.spec import ModelSpec
from ...zoo import notes
from .audit_page import audit_section
from .card import Card, area, percent
from .published_page import beside_published


def render(card: Card, spec: ModelSpec) -> str:
    """The card as Markdown."""
    blocks = [
        _head(card, spec),
        _figures(card),
        *audit_section(card, spec),
        _data(card, spec),
        _making(card),
        *_notes(card),
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
        *_table(card),
        "",
        *_left_out(card),
    ]
    return "\n".join(lines)


def _table(card: Card) -> list[str]:
    if card.boxes:
        return _box_table(card)
    return _mask_table(card) if card.masks else _label_table(card)


def _left_out(card: Card) -> list[str]:
    """The films that gave no figures, and why."""
    if not card.not_measured:
        return []
    told = (f"- {films}: {reason};" for films, reason in card.not_measured.items())
    return ["Not measured:", "", *told, ""]


def _box_table(card: Card) -> list[str]:
    lines = [
        "A found box hits where its intersection over union (IoU) with a true one is at least 0.5; "
        "AP50 and IoU are shares.",
        "",
        "| films | label | n (patients) | AP50 | recall of boxes | precision of boxes "
        "| IoU of hits | found on films without |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in card.boxes:
        f = row.figures
        told = [area(f.ap50), percent(f.recall)]
        told.append(percent(f.precision) if f.precision else "nothing found")
        told.append(area(f.overlap) if f.overlap else "no hit")
        told.append(percent(f.false_alarms) if f.false_alarms else "no such film")
        films = f"{f.ap50.n} ({f.ap50.n_patients})"
        lines.append(f"| {row.what} | {f.label} | {films} | {' | '.join(told)} |")
    return lines


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
            f"{_between(f.precision, f.precision_range)} | {_between(f.recall, f.recall_range)} | "
            f"{alarms} |"
        )
    return lines


def _between(share: float, limits: tuple[float, float] | None) -> str:
    """In percent, with its interval where there is one."""
    told = f"{100 * share:.1f}"
    return told if limits is None else f"{told} ({100 * limits[0]:.1f}-{100 * limits[1]:.1f})"


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
    if _has_official_test(card):
        lines += [
            "",
            "Some patient numbers occur in both official parts; whether they are the same children "
            "is unknown, so the official test is reported twice.",
        ]
    lines.append("")
    return "\n".join(lines)


def _making(card: Card) -> str:
    recipe = card.recipe
    begin = f"From the weights of {recipe['start']}" if recipe.get("start") else "From scratch"
    if recipe.get("first_epochs"):
        labels = " / ".join(recipe["first_labels"])
        begin += f", after {recipe['first_epochs']} epochs of {labels} on small films"
    best = "best score" if recipe.get("keep") == "score" else "lowest loss"
    lines = [
        "## How it was made",
        "",
        f"{begin}: AdamW, {_schedule(recipe)}, weight decay {recipe['weight_decay']:g}, batch "
        f"{recipe['batch']}, {_goal(card)}, averaged weights ({recipe['ema_decay']:g}), "
        f"{card.epochs} epochs{_sizes(recipe)}, epoch {card.kept_epoch} kept ({best} on *select*).",
        "Augmentation: rotation, shift, zoom, aspect, left-right flip, exposure, sharpness, "
        "noise, blank margins and boxes (no vertical flip).",
        f"Seed {recipe['seed']}. {card.training_minutes:.0f} minutes; "
        + ", ".join(f"{k} {v}" for k, v in card.tools.items())
        + ".",
        "",
    ]
    return "\n".join(lines)


def _schedule(recipe: Mapping[str, Any]) -> str:
    """How the learning rate ran; cards from before there was a choice had one cycle."""
    peak = recipe["peak_lr"]
    name = recipe.get("schedule", "one-cycle")
    if name == "exponential":
        return (
            f"learning rate from {peak:g} down, exponentially to a tenth in every "
            f"{recipe['decay_epochs']:g} epochs"
        )
    if name == "plateau":
        return (
            f"learning rate {peak:g}, halved after every {recipe['plateau_epochs']} epochs without "
            "a better score on *select*"
        )
    rise = f"{100 * recipe['warmup']:.0f} %"
    if name == "cycle-a-size":
        if recipe.get("middle_epochs"):
            return (
                f"one cycle of the learning rate to {peak:g} for each size of the films, each "
                f"rising for {rise} of it"
            )
        return (
            f"one cycle of the learning rate to {peak:g} for the small films and one for those of "
            f"full size, each rising for {rise} of it"
        )
    return f"one cycle of the learning rate to {peak:g}, rising for {rise} of it"


def _sizes(recipe: Mapping[str, Any]) -> str:
    """Which epochs saw small films, and where those of full size were cut."""
    told = ""
    if recipe.get("small_epochs"):
        side = recipe["small_side"]
        told = f", the first {recipe['small_epochs']} on films of {side} x {side} pixels"
    if recipe.get("middle_epochs"):
        side = recipe["middle_side"]
        told += f", the next {recipe['middle_epochs']} on {side} x {side}"
    if recipe.get("full_steps"):
        told += f", those at full size of {recipe['full_steps']} batches at most"
    return told


def _goal(card: Card) -> str:
    recipe = card.recipe
    if card.boxes:
        return "varifocal, CIoU and distribution focal loss on task-aligned places"
    goal = "soft Dice and pixel loss" if card.masks else "class weights"
    if not card.masks:
        goal += f", label smoothing {recipe['label_smoothing']:g}"
    if recipe.get("focal_gamma"):
        goal += f" (focal, gamma {recipe['focal_gamma']:g})"
    if not card.masks:
        return goal
    told = {"positive_weight": "positive pixels", "focal_weight": "pixel loss"}
    weights = {words: recipe.get(key, 1.0) for key, words in told.items()}
    return goal + "".join(f", {words} weighted {w:g}" for words, w in weights.items() if w != 1.0)


def _notes(card: Card) -> list[str]:
    """What the zoo says of the architecture, below its own headings."""
    tables = beside_published(card)
    return [
        "\n".join([f"## {head}", "", text, "", *tables.get(head, ())])
        for head, text in notes(card.name).items()
    ]


def _limits(card: Card, spec: ModelSpec) -> str:
    lines = ["## Not for", ""]
    lines += [f"- {item};" for item in spec.intended_use.not_for]
    costs = ": the official test films were drawn differently and show what such a change costs"
    lines += [
        "- films from another place or machine before its own threshold was checked there"
        f"{costs * _has_official_test(card)}.",
        "",
        *_outside(spec),
        "",
    ]
    return "\n".join(lines)


def _has_official_test(card: Card) -> bool:
    return any(part.part == "official-test" for part in card.parts)


def _outside(spec: ModelSpec) -> list[str]:
    """What is known of evidence outside the lungs, for classifiers of chest films."""
    chest = spec.intended_use.body_part == "CHEST"
    if not chest or spec.task not in ("classification", "findings"):
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
