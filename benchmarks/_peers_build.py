"""Rows of peers: each is built in a process of its own, and timed in others."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from _peers_common import PeerError, require
from _peers_films import figures_of_peer, median_size
from _peers_plan import Entry, Plan, judged, progress
from _peers_rooms import PEERS
from _peers_table import Row
from _peers_worker import PeerJob

from clinicedge.profiles.measure import ask_process
from clinicedge.profiles.worker import Sample
from clinicedge.runtime.errors import EngineError
from clinicedge.runtime.records import from_json

WORKER = Path(__file__).with_name("_peers_worker.py")


def peer(name: str, weights: Path | None, folder: Path, plan: Plan) -> Entry:
    """Somebody else's network, built here."""
    one = PEERS[name]
    row = Row(one.title, one.prompt, "random values" if weights is None else weights.name)
    row = row.noted(one.remark, *(["timed with 1 box"] if one.prompt != "none" else []))
    if weights is None and one.untrained:
        row = row.noted(one.untrained)
    size = median_size(plan.held, plan.film)
    folder.mkdir()
    built = PeerJob(
        name, str(folder), str(weights.resolve()) if weights else "", height=size[0], width=size[1]
    )
    try:
        require(one)
        ask_peer(built)
        opened = one.open(folder, plan.threads)
    except PeerError as err:
        return Entry(row.noted(f"cannot run: {err}"))
    files = sorted(folder.glob("*.onnx"))
    row = replace(row, input=input_of(files), size_mb=sum(f.stat().st_size for f in files) / 1e6)
    if weights is not None and plan.held is not None:
        row = judged(row, partial(figures_of_peer, opened, plan.held, progress))
        row = row.noted(*(["asked with the true boxes"] if one.prompt != "none" else []))
        row = row.noted("its training is not known here")
    job = replace(
        built,
        film=str(plan.film.path.resolve()),
        box=plan.film.box,
        threads=plan.threads,
        seconds=plan.rounds.seconds,
        runs=plan.rounds.runs,
    )
    return Entry(row, lambda: from_json(Sample, ask_peer(job), one.title))


def input_of(files: Sequence[Path]) -> str:
    """The size of the film's tensor, told by the graph that has it."""
    import onnxruntime as ort

    for file in files:
        for tensor in ort.InferenceSession(
            str(file), providers=["CPUExecutionProvider"]
        ).get_inputs():
            if tensor.name == "film":
                height, width = tensor.shape[2:]
                return f"{width}" if height == width else f"{width} x {height}"
    return ""


def ask_peer(job: PeerJob) -> dict[str, object]:
    """Its worker's answer.

    Raises:
        PeerError: the process failed; the message has its last words.
    """
    try:
        return dict(ask_process(("-W", "ignore", str(WORKER)), job))
    except EngineError as err:
        raise PeerError(str(err)) from err
