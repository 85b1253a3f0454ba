"""The proposal's table, measured: our lesion pipeline and U-Net beside MobileSAM, FastSAM, nnU-Net.

Each row tells Dice and IoU on named films, the size of the files, what a person must give beside
the film, milliseconds from the decoded film to the mask (median of interleaved rounds in fresh
processes) and the peak memory of such a process, each network at its own input size. Bundles are
measured in FP32 and INT8. A peer is exported by its own library to ONNX, FP32, and runs in ONNX
Runtime with as many threads, so that what differs is the network. It is timed with random values
unless --weights brings its own; accuracy of random values is never told. A pipeline outlines every
box that it finds; its segmenter has rows of its own, asked with one box as the peers are. A row
that cannot be measured says why. The last row is what a box alone gives to those that need one.
Decision 0016 says what that compares and what not. --json prints the numbers.

Tried: mobilesam-mirror 1.0.0, timm 1.0.31, dynamic-network-architectures 0.4.4, nnunetv2 2.8.1 (all
Apache-2.0; --no-deps, their torch and torchvision being ours) and ultralytics 8.4.190 (AGPL-3.0,
for an environment that ships nothing), with torch 2.13.0 and onnxruntime 1.31.1.

    pip install --no-deps -r benchmarks/requirements-peers.txt
    python benchmarks/lesion_table.py bundles/lesion-segmenter bundles/segunet-256 --data btxrd256
    python benchmarks/lesion_table.py BUNDLE --weights nnu-net=nnunet.pt --data btxrd256 --json
    python benchmarks/lesion_table.py --peers mobile-sam,fast-sam-x --film film.png
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

from _peers_build import peer
from _peers_films import held_films, timed_film
from _peers_floor import floor
from _peers_ours import ours
from _peers_plan import Entry, Plan, progress, time_all
from _peers_rooms import PEERS, USUAL
from _peers_table import Row, markdown

from clinicedge.cli._data import data_folder
from clinicedge.profiles.evaluation import Wanted
from clinicedge.profiles.machine import room, this_machine
from clinicedge.profiles.masks import read_mask_dataset
from clinicedge.profiles.measure import Rounds
from clinicedge.runtime import load
from clinicedge.runtime.errors import ClinicEdgeError

# Our U-Net is segunet-256 of bone tumours, lungs-128 of lungs.
USUAL_BUNDLES = ("lesion-segmenter*", "segunet-*", "lungs-128")
PRECISIONS = ("fp32", "int8")


def folders(named: Sequence[Path]) -> list[Path]:
    """Those named, else what lies in bundles/."""
    if named:
        return list(named)
    return [f for pattern in USUAL_BUNDLES for f in sorted(Path("bundles").glob(pattern))]


def entries_of(options: argparse.Namespace, plan: Plan, workshop: Path) -> list[Entry]:
    """A row each, in the order of the table."""
    weights = weights_of(options.weights)
    found = []
    for folder in folders(options.bundles):
        bundle = load(folder)
        parts = [inner for member, inner in bundle.members() if member.role == "segmenter"]
        found += [ours(b, precision, plan) for b in (bundle, *parts) for precision in PRECISIONS]
    if not found:
        missing = "no bundle named and none in bundles/; make one with `clinicedge convert`"
        found = [Entry(Row("clinicedge", "none", "-").noted(f"cannot run: {missing}"))]
    for name in filter(None, options.peers.split(",")):
        if name not in PEERS:
            sys.exit(f"no peer is called {name!r}; expected some of {', '.join(PEERS)}")
        progress(0, 1, f"building {name}")
        found.append(peer(name, weights.get(name), workshop / name, plan))
    if plan.held is not None:
        found.append(floor(plan.held))
    return found


def weights_of(words: Sequence[str]) -> Mapping[str, Path]:
    """Checkpoints of peers, from NAME=FILE; ends the program where one is missing."""
    found = {}
    for word in words:
        name, _, file = word.partition("=")
        if name not in PEERS or not Path(file).is_file():
            sys.exit(f"--weights {word!r}: expected NAME=FILE, NAME one of {', '.join(PEERS)}")
        found[name] = Path(file)
    return found


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("bundles", nargs="*", type=Path, help="ours; else those in bundles/")
    made.add_argument("--data", type=Path, help="folder of films with masks; else no accuracy")
    made.add_argument("--part", choices=get_args(Wanted), default="test")
    made.add_argument("--film", type=Path, help="to time on; else one of --data, or a phantom")
    made.add_argument(
        "--peers", default=",".join(USUAL), help=f"of {', '.join(PEERS)}; '' for none"
    )
    made.add_argument("--weights", action="append", default=[], metavar="NAME=FILE")
    made.add_argument("--engine", default="onnxruntime", help="of our rows; auto: what fits first")
    made.add_argument("--threads", type=int, default=2)
    made.add_argument("--rounds", type=int, default=5, help="fresh processes a row")
    made.add_argument("--seconds", type=float, default=2.0, help="of measuring in each")
    made.add_argument("--json", action="store_true")
    return made


def main() -> None:
    options = parser().parse_args()
    with ExitStack() as stack:
        try:
            data = read_mask_dataset(data_folder(options.data)) if options.data else None
            held = None if data is None else held_films(data, options.part)
            film = stack.enter_context(timed_film(options.film, held))
            workshop = Path(stack.enter_context(TemporaryDirectory()))
            rounds = Rounds(options.rounds, options.seconds)
            plan = Plan(film, held, rounds, options.threads, options.engine)
            load_average = room(workshop).load
            rows = time_all(entries_of(options, plan, workshop), options.rounds)
        except ClinicEdgeError as err:
            sys.exit(f"not measured: {err}")
    machine = this_machine()
    accuracy = (
        "no films with masks"
        if held is None
        else (f"{len(held.films)} films of {held.data.name}, part {held.part}")
    )
    if options.json:
        found = {"machine": asdict(machine), "load": load_average, "accuracy_on": accuracy}
        found |= {"timed_on": film.words, "threads": options.threads, "rounds": options.rounds}
        print(json.dumps({**found, "rows": [asdict(row) for row in rows]}, indent=1))
        return
    head = (
        f"Accuracy on {accuracy}. Timed on {film.words}, threads: {options.threads}, median of "
        f"{options.rounds} rounds, {machine.processor}, load {load_average:.1f} at the start."
    )
    print(markdown(rows, head))


if __name__ == "__main__":
    main()
