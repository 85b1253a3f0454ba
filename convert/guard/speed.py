"""What the layers that stayed in float cost in speed: measured beside the bundle, never in it."""

import json
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from ...profiles.machine import Machine, this_machine
from ...profiles.worker import timed_runs
from ...runtime.errors import SchemaError
from ...runtime.figures import Accuracy, BoxAccuracy, Flips, MaskAccuracy
from ...runtime.files import write_atomic
from ...runtime.guarding import PairedLoss
from ...runtime.manifest import Artifact
from ...runtime.records import dump_bytes, from_json
from ...runtime.spec import BOX, ModelSpec
from ..isolated import call
from ..parity import Comparison
from ..running import Runnable

SPEED_SCHEMA = 1
# Fresh processes an artifact, interleaved, and how long each runs at most.
ROUNDS = 5
SECONDS = 0.4
RUNS = 100
THREADS = 2


@dataclass(frozen=True)
class Plain:
    """The INT8 with nothing reverted, which was not published: size, and what it decided."""

    bytes: int
    accuracy: tuple[Accuracy, ...]
    masks: tuple[MaskAccuracy, ...]
    losses: tuple[PairedLoss, ...]
    flips: tuple[Flips, ...]
    boxes: tuple[BoxAccuracy, ...] = ()


@dataclass(frozen=True)
class MachineSpeed:
    """Milliseconds of engine runs on one machine, the median of the least disturbed of ROUNDS
    processes; `threads` of each session."""

    machine: Machine
    date: str
    threads: int
    fp32_ms: float
    plain_ms: float
    guarded_ms: float

    @property
    def kept(self) -> float:
        """Share of plain INT8's speed-up over FP32 that the published artifact keeps."""
        return self.plain_ms / self.guarded_ms


@dataclass(frozen=True)
class GuardSpeed:
    """`measurements/HASH-guard.json`: the published artifact beside plain INT8, one entry a
    machine."""

    schema: int
    artifact: str
    artifact_sha256: str
    bytes: int
    plain: Plain
    entries: tuple[MachineSpeed, ...]


def plain_record(made: Runnable, comparison: Comparison) -> Plain:
    """What is told of an artifact that was not published."""
    return Plain(
        bytes=made.export.bytes,
        accuracy=comparison.accuracy,
        masks=comparison.masks,
        losses=comparison.losses,
        flips=comparison.flips,
        boxes=comparison.boxes,
    )


def measure_speed(
    fp32: Runnable, plain: Runnable, guarded: Runnable, spec: ModelSpec
) -> MachineSpeed:
    """Time the three in turn, each in fresh processes.

    Raises:
        ConversionError: one could not be run.
    """
    three = (fp32, plain, guarded)
    rounds = [[call(median_ms, one, spec) for one in three] for _ in range(ROUNDS)]
    times = [round(float(t), 4) for t in np.min(rounds, axis=0)]
    date = datetime.now(UTC).isoformat(timespec="seconds")
    return MachineSpeed(this_machine(), date, THREADS, *times)


def keep_speed(folder: Path, artifact: Artifact, plain: Plain, speed: MachineSpeed) -> Path:
    """Write it into the bundle's measurements; other machines' entries stay."""
    path = place(folder, artifact)
    others = tuple(e for e in _entries(path) if e.machine.id != speed.machine.id)
    record = GuardSpeed(
        SPEED_SCHEMA, artifact.id, artifact.sha256, artifact.bytes, plain, (*others, speed)
    )
    write_atomic(path, dump_bytes(record))
    return path


def known_speed(folder: Path, artifact: Artifact) -> MachineSpeed | None:
    """This machine's entry, None where there is none."""
    here = this_machine().id
    return next((e for e in _entries(place(folder, artifact)) if e.machine.id == here), None)


def place(folder: Path, artifact: Artifact) -> Path:
    """Where it is kept."""
    return folder / "measurements" / f"{artifact.sha256}-guard.json"


def _entries(path: Path) -> tuple[MachineSpeed, ...]:
    """What is kept already; a damaged file counts as none, its numbers can be measured again."""
    with suppress(OSError, ValueError, SchemaError):
        return from_json(GuardSpeed, json.loads(path.read_bytes()), path.name).entries
    return ()


def median_ms(artifact: Runnable, spec: ModelSpec) -> float:
    """Of one process; noise of the input's size is as good as a film."""
    draw = np.random.default_rng(0)
    film = draw.uniform(-1, 1, (1, *spec.input.shape)).astype(np.float32)
    with tempfile.TemporaryDirectory() as name:
        session = artifact.open(Path(name), THREADS)
        given = {spec.input.name: film}
        if any(t.name == BOX for t in session.inputs):
            height, width = spec.input.height, spec.input.width
            given[BOX] = np.array([[width / 4, height / 4, width / 2, height / 2]], np.float32)
        _, steady = timed_runs(lambda: session.run(given), SECONDS, RUNS)
    return float(np.median(steady))
