"""Which bundle a benchmark measures where the command line names none."""

import argparse
import sys
from pathlib import Path

from clinicedge.runtime import Bundle, load

DEMO = "demo/mobilenet-0.5-160-on-lungs"
BUNDLES = ("bundles/mobilenet-1.0-224", DEMO, "bundles/mobilenet-0.25-128")


def add_bundle(parser: argparse.ArgumentParser) -> None:
    """The argument `bundle`: a folder; without one the first of BUNDLES that is here."""
    parser.add_argument("bundle", nargs="?", type=Path)


def pick(named: Path | None) -> Bundle:
    """The bundle named, else the first of BUNDLES; ends the program where there is none."""
    folder = named or next((Path(b) for b in BUNDLES if Path(b).is_dir()), None)
    if folder is None:
        sys.exit("not measured: no bundle here; make one with `make convert-demo`")
    return load(folder)


def pick_models(named: Path | None) -> tuple[Bundle, ...]:
    """The same, a pipeline as the models in it, each once."""
    return tuple({model.id: model for _, model in pick(named).models()}.values())
