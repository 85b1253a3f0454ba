"""Measure the shortcut audit of weights that have a card, and write it into the card.

    python benchmarks/audit_cards.py --data DIR [NAME ...]

`clinicedge train` does so at the end of a run; this is for cards from before.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from clinicedge.models import weights, zoo
from clinicedge.models.training.auditing import audit_weights
from clinicedge.models.training.card import read_card
from clinicedge.models.training.finish import write_card
from clinicedge.profiles.datasets import read_dataset


def main() -> None:
    """Each named model, or every plain and lung-crop classifier with weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, default=Path("weights"))
    args = parser.parse_args()
    names = args.names or [
        n
        for n in (*zoo.chest_names(), *zoo.lung_crop_names())
        if (args.weights / f"{n}.json").is_file() and zoo.spec(n).task == "classification"
    ]
    for name in names:
        spec = zoo.spec(name)
        card = read_card(args.weights / f"{name}.json")
        module = zoo.build(name)
        weights.load_into(module, args.weights / spec.weights.file)
        figures = audit_weights(module, read_dataset(args.data), spec, (args.weights,))
        write_card(replace(card, audit=figures), spec, args.weights)
        told = {v.view: round(v.auc.value, 3) for v in figures.views if v.auc}
        print(name, told, flush=True)


if __name__ == "__main__":
    main()
