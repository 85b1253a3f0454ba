"""What a lesion costs at the target's own size: film in, one outlined lesion out, random values.

Builds yolo-nas-s-640 and medsam2-512 with random values as a pipeline, in ONNX and OpenVINO, FP32
and plain static INT8 calibrated on phantoms, and times each in fresh processes, interleaved: the
median of the rounds' medians, from the decoded film to the answer; the share that the networks take
of it; peak memory of such a process; MB of both models' files. Networks take the same time with any
values; what random ones draw is put aside for an ellipse, as a lesion is. Accuracy is not told. The
targets are those of the project's issue 6; which one holds is said by the processor's instructions.
--json prints the numbers.

    python benchmarks/lesion_speed.py
    python benchmarks/lesion_speed.py --models yolo-nas-s-256,medsam2-256 --rounds 1
"""

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from _speed_build import Built, build
from _speed_worker import SpeedJob, SpeedSample

from clinicedge.models import zoo
from clinicedge.profiles.machine import Machine, room, this_machine
from clinicedge.profiles.measure import ask_process, interleave
from clinicedge.runtime import phantom
from clinicedge.runtime.engines import engine_for
from clinicedge.runtime.errors import ClinicEdgeError, EngineError
from clinicedge.runtime.records import from_json

WORKER = Path(__file__).with_name("_speed_worker.py")
MODELS = "yolo-nas-s-640,medsam2-512"
TASKS = ("detection", "promptable-segmentation")
FORMATS = ("onnx", "openvino")
RUNS = 200
# Milliseconds of a film with one lesion, MB of memory, MB of files.
TARGET_MS = {"AMX": 120.0, "VNNI": 250.0, "f32": 450.0}
TARGET_RSS_MB = 600.0
TARGET_FILES_MB = 60.0
COLUMNS = (
    *("artifact", "engine", "ms", "in the networks", "target", "peak MB", "target"),
    *("MB on disk", "target", "drawn", "remarks"),
)
# As many pixels as a limb's film has after a viewer's usual export.
FILM = phantom.Phantom(seed=7, height=1024, width=1365)


@dataclass(frozen=True)
class Row:
    """An artifact of both models; None: not measured, `remark` says why.

    Attributes:
        ms: median of the rounds' medians; `networks_ms` of it in the engine.
        target_ms: None where the issue names none for such arithmetic on this processor.
        drawn: share of the film that is outlined.
    """

    artifact: str
    engine: str
    files_mb: float
    target_ms: float | None
    ms: float | None = None
    networks_ms: float | None = None
    peak_rss_mb: float | None = None
    drawn: float | None = None
    remark: str = ""


@dataclass(frozen=True)
class Wanted:
    """A cell to time."""

    name: str


def instructions(machine: Machine) -> str:
    """The best 8-bit arithmetic of a processor, as the targets call it."""
    flags = set(machine.flags)
    if "amx_int8" in flags:
        return "AMX"
    return "VNNI" if {"avx512_vnni", "avx_vnni"} & flags else "f32"


def target_ms(artifact: str, has: str) -> float | None:
    """INT8 without an integer dot product has no target of its own."""
    if artifact.endswith("fp32"):
        return TARGET_MS["f32"]
    return None if has == "f32" else TARGET_MS[has]


def ask(job: SpeedJob) -> SpeedSample:
    """One fresh process.

    Raises:
        EngineError: it failed; the message has its last words.
    """
    answer = ask_process(("-W", "ignore", str(WORKER)), job)
    return from_json(SpeedSample, answer, job.artifact)


def measure(built: Built, film: Path, options: argparse.Namespace, has: str) -> list[Row]:
    """Every artifact, the rounds interleaved; one that failed once is left alone."""
    samples: dict[str, list[SpeedSample]] = {name: [] for name in built.megabytes}
    failed: dict[str, str] = {}

    def once(cell: Wanted, _round: int) -> None:
        if cell.name in failed:
            return
        job = SpeedJob(
            bundle=str(built.folder.resolve()),
            artifact=cell.name,
            engine=engine_for(cell.name.partition("/")[0]),  # type: ignore[arg-type]
            film=str(film.resolve()),
            threads=options.threads,
            seconds=options.seconds,
            runs=RUNS,
        )
        try:
            samples[cell.name].append(ask(job))
        except EngineError as err:
            failed[cell.name] = str(err)

    interleave([Wanted(name) for name in samples], options.rounds, once, progress)
    return [
        row_of(name, taken, (built.megabytes[name], target_ms(name, has)), failed.get(name, ""))
        for name, taken in samples.items()
    ]


def row_of(
    name: str, taken: Sequence[SpeedSample], known: tuple[float, float | None], remark: str
) -> Row:
    """`known`: MB of the files, and the target."""
    if remark or not taken:
        return Row(name, "", *known, remark=remark or "not measured")
    return Row(
        artifact=name,
        engine=taken[0].sample.engine_version,
        files_mb=known[0],
        target_ms=known[1],
        ms=median(median(s.sample.steady_ms) for s in taken),
        networks_ms=median(s.networks_ms for s in taken),
        peak_rss_mb=max(s.sample.peak_rss_mb for s in taken),
        drawn=taken[0].drawn,
    )


def progress(done: int, total: int, what: str) -> None:
    """A line on stderr."""
    print(f"{done} of {total}: {what}", file=sys.stderr, flush=True)


def table(rows: Sequence[Row]) -> str:
    """Markdown."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    for row in rows:
        cells = (
            *(row.artifact, row.engine or "-", told(row.ms), told(row.networks_ms)),
            *(held(row.ms, row.target_ms), told(row.peak_rss_mb, 0)),
            *(held(row.peak_rss_mb, TARGET_RSS_MB), told(row.files_mb)),
            held(row.files_mb, TARGET_FILES_MB),
            "-" if row.drawn is None else f"{row.drawn:.0%} of the film",
            row.remark or "-",
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def told(value: float | None, digits: int = 1) -> str:
    """A number, or that there is none."""
    return "not measured" if value is None else f"{value:.{digits}f}"


def held(value: float | None, target: float | None) -> str:
    """The target, and whether it is kept."""
    if target is None:
        return "none without VNNI"
    words = f"<= {target:g}"
    return words if value is None else f"{words}: {'kept' if value <= target else 'missed'}"


def chosen(text: str) -> tuple[str, str]:
    """Two names of the zoo; ends the program where they are others."""
    names = tuple(name.strip() for name in text.split(","))
    if len(names) != len(TASKS) or tuple(zoo.spec(n).task for n in names) != TASKS:
        sys.exit(f"--models {text!r}: expected a detector and a promptable segmenter of the zoo")
    return names[0], names[1]


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--models", default=MODELS, help="detector,segmenter of the zoo")
    made.add_argument("--formats", default=",".join(FORMATS))
    made.add_argument("--film", type=Path, help="else a phantom of 1365 x 1024 pixels")
    made.add_argument("--work", type=Path, help="keep what is built here, and use it again")
    made.add_argument("--threads", type=int, default=2)
    made.add_argument("--rounds", type=int, default=5, help="fresh processes an artifact")
    made.add_argument("--seconds", type=float, default=2.0, help="of measuring in each")
    made.add_argument("--json", action="store_true")
    return made


def main() -> None:
    options = parser().parse_args()
    machine = this_machine()
    has = instructions(machine)
    with ExitStack() as stack:
        work = options.work or Path(stack.enter_context(TemporaryDirectory()))
        work.mkdir(parents=True, exist_ok=True)
        film = options.film or work / "phantom.png"
        if options.film is None:
            film.write_bytes(phantom.encode_png(phantom.draw(FILM)))
        try:
            names = chosen(options.models)
            progress(0, 1, f"building {' and '.join(names)}, {options.formats}")
            built = build(names, tuple(options.formats.split(",")), work)
            load = room(work).load
            rows = measure(built, film, options, has)
        except ClinicEdgeError as err:
            sys.exit(f"not measured: {err}")
    if options.json:
        found = {"machine": asdict(machine), "instructions": has, "load": load, "models": names}
        found |= {"threads": options.threads, "rounds": options.rounds}
        print(json.dumps({**found, "rows": [asdict(row) for row in rows]}, indent=1))
        return
    arithmetic = "no integer dot product: the f32 target holds" if has == "f32" else has
    print(
        f"{' + '.join(names)}, random values, one lesion. {machine.processor} ({arithmetic}), "
        f"threads: {options.threads}, median of {options.rounds} rounds, load {load:.1f} at the "
        f"start.\n\n{table(rows)}"
    )


if __name__ == "__main__":
    main()
