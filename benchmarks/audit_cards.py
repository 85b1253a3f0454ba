"""Measure the shortcut audit of weights that have a card, and write it into the card.

    python benchmarks/audit_cards.py --data DIR [NAME ...]

`clinicedge train` does so at the end of a run; this is for cards from before.
"""

import argparse
import sys
from pathlib import Path

from clinicedge.models import weights, zoo
from clinicedge.models.training.auditing import audited
from clinicedge.models.training.cards.card import read_card
from clinicedge.models.training.finish import write_card
from clinicedge.models.training.targets import read_data


def main() -> None:
    """Each named model, or every classifier of chest films with weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, default=Path("weights"))
    args = parser.parse_args()
    names = args.names or [
        n
        for n in (*zoo.chest_names(), *zoo.lung_crop_names())
        if (args.weights / f"{n}.json").is_file()
    ]
    cards = {name: read_card(args.weights / f"{name}.json") for name in names}
    for name, card in cards.items():
        if card.data != args.data.resolve().name:
            sys.exit(
                f"{name}.json is the card of weights trained on {card.data}, {args.data} is other "
                f"data; expected {card.data}. Nothing was written."
            )
    for name, card in cards.items():
        spec = zoo.spec(name)
        module = zoo.build(name)
        weights.load_into(module, args.weights / spec.weights.file)
        found = audited(card, module, read_data(spec, args.data), spec, (args.weights,))
        write_card(found, spec, args.weights)
        audits = found.audits or ({"positive": found.audit} if found.audit else {})
        for label, figures in audits.items():
            told = {v.view: round(v.auc.value, 3) for v in figures.views if v.auc}
            print(name, label, told, flush=True)
        if found.audit_note:
            print(name, found.audit_note, flush=True)


if __name__ == "__main__":
    main()
