"""What `train` made, as a table and as one JSON document."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..models.training.cards.card import Card
    from ..models.training.paper_table import PaperTable
    from ..models.training.train_all import Outcome

COLUMNS = (
    *("model", "", "films", ">n", ">accuracy %", ">sens. %", ">spec. %"),
    *(">AUC", ">Dice", ">AP50"),
)
# Of a card; how it was made and the patients' keys stand in its file.
FIGURES = (
    "threshold",
    "thresholds",
    "measured",
    "masks",
    "boxes",
    "audit",
    "audits",
    "not_measured",
)


def print_cards(title: str, cards: "list[tuple[Card, str]]") -> None:
    """Each card with what became of its run."""
    from ..models.training.cards.card import area, percent
    from ..runtime.predictions import CAUTION
    from .printing import print_table

    rows = []
    for card, state in cards:
        for row in card.measured:
            f = row.figures
            shares = [percent(x) for x in (f.accuracy, f.sensitivity, f.specificity)]
            what = f"{row.what}{', ' * bool(f.label)}{f.label}"
            rows.append((card.name, state, what, str(f.accuracy.n), *shares, area(f.auc), "", ""))
        for mask in card.masks:
            g = mask.figures
            shares = ["", f"{100 * g.recall:.1f}", ""]
            rows.append((card.name, state, mask.what, str(g.dice.n), *shares, "", area(g.dice), ""))
        for box in card.boxes:
            b, what = box.figures, f"{box.what}, {box.figures.label}"
            found = ["", percent(b.recall), "", "", "", area(b.ap50)]
            rows.append((card.name, state, what, str(b.ap50.n), *found))
    print_table(title, COLUMNS, rows)
    print(CAUTION)


def card_document(card: "Card", folder: Path) -> dict[str, Any]:
    """Where a run's files are, and the figures of its card."""
    from ..runtime.predictions import CAUTION
    from ..runtime.records import to_json

    told = to_json(card)
    return {
        "name": card.name,
        "weights": str(folder / card.weights_file),
        "card": str(folder / f"{card.name}.md"),
        "card_json": str(folder / f"{card.name}.json"),
        "figures": {key: told[key] for key in FIGURES},
        "note": CAUTION,
    }


def outcome_document(outcome: "Outcome", folder: Path) -> dict[str, Any]:
    """One of many: its state, and its card where it has one."""
    made = card_document(outcome.card, folder) if outcome.card else {"name": outcome.name}
    return {**made, "state": outcome.state, "detail": outcome.note}


def paper_document(table: "PaperTable", out: Path) -> dict[str, Any]:
    """The published comparison, and where it is written."""
    from ..runtime.predictions import CAUTION

    files = {"page": str(out / "paper-table.md"), "table_json": str(out / "paper-table.json")}
    return {**files, "table": table, "note": CAUTION}
