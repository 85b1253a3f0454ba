"""Write the cards of the reference weights anew from their figures: weights/NAME.md from NAME.json.

python docs/cards.py          writes
python docs/cards.py --check  writes nothing, exits with 1 where a card is out of date
"""

import sys
from pathlib import Path

from clinicedge.models.training.cards.card import read_card
from clinicedge.models.training.cards.card_page import render
from clinicedge.models.zoo import spec
from clinicedge.runtime.files import write_atomic

FOLDER = Path(__file__).parent.parent / "weights"


def stale_cards(folder: Path) -> dict[Path, str]:
    """The pages that differ from what their figures say, and what they should hold."""
    found = {}
    for figures in sorted(folder.glob("*.json")):
        card = read_card(figures)
        page, text = figures.with_suffix(".md"), render(card, spec(card.name))
        if not page.is_file() or page.read_text(encoding="utf-8") != text:
            found[page] = text
    return found


def main() -> int:
    """Write or compare all cards."""
    stale = stale_cards(FOLDER)
    for page, text in stale.items():
        print(page)
        if "--check" not in sys.argv[1:]:
            write_atomic(page, text.encode("utf-8"))
    return 1 if stale and "--check" in sys.argv[1:] else 0


if __name__ == "__main__":
    sys.exit(main())
