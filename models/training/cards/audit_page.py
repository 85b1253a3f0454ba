"""The shortcut audit on a card's page: of every model of chest films, or why there is none."""

from ....profiles.shortcut_audit import AuditFigures
from ....runtime.spec import ModelSpec
from .card import Card, area

_VIEWS = {
    "plain": "as it is",
    "lungs-hidden-silhouette": "lungs hidden, by their silhouette",
    "lungs-hidden-box": "lungs hidden, by their bounding box",
    "lungs-hidden-fixed-box": "one large fixed box hidden",
    "lungs-only": "only the lungs visible",
    "borders-hidden": "borders hidden",
    "corners-hidden": "corners hidden",
}
_NO_SCORE = "the audit compares scores of films, and this network draws boxes or outlines"
_NOT_TRIED = "the audit of such models was not there yet when these weights were made"


def audit_section(card: Card, spec: ModelSpec) -> list[str]:
    """The section, [] for films of other body parts."""
    if spec.intended_use.body_part != "CHEST":
        return []
    audits = card.audits or ({"": card.audit} if card.audit else {})
    told = _measured(audits, spec) if audits else [f"Not measured: {_reason(card, spec)}."]
    return ["\n".join(["## What it tells with the lungs hidden", "", *told, ""])]


def _reason(card: Card, spec: ModelSpec) -> str:
    if spec.task not in ("classification", "findings"):
        return _NO_SCORE
    return card.audit_note or _NOT_TRIED


def _measured(audits: dict[str, AuditFigures], spec: ModelSpec) -> list[str]:
    first = next(iter(audits.values()))
    counts = ", ".join(f"{a.n_positive} {label or 'positive'}" for label, a in audits.items())
    heads = [f"AUC{' of ' * bool(label)}{label}" for label in audits]
    lines = [
        f"AUC on {first.n_films} films of the internal test ({counts}, {first.n_patients} "
        "patients), hidden behind the film's own median grey; lungs as `lungs-128` draws them. "
        "Evidence is in the lungs alone: with them hidden, .5 is right and more is a shortcut.",
        "",
        f"| film | {' | '.join(heads)} |",
        f"|---|{'---|' * len(heads)}",
    ]
    for number, row in enumerate(first.views):
        areas = [a.views[number].auc for a in audits.values()]
        cells = [area(found) if found else "not measured" for found in areas]
        lines.append(f"| {_VIEWS[row.view]} | {' | '.join(cells)} |")
    if spec.input.region == "lungs":
        lines += ["", "Every view was cropped where the lungs are on the film as it is."]
    return lines
