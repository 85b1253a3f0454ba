"""What INT8 costs on trained networks: accuracy, flips, layers in float, size and speed.

Reads what `clinicedge convert` measured on the guard part and kept in each bundle, and times the
artifacts in fresh processes, interleaved. --json prints the numbers alone.

    python benchmarks/guarded_int8.py bundles/*          pipelines are passed over
    python benchmarks/guarded_int8.py bundles/* --threads 0      no timings
"""

import argparse
import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from _timing import medians

from clinicedge.convert.guard.speed import GuardSpeed, Plain, known_speed, place
from clinicedge.profiles.machine import this_machine
from clinicedge.profiles.measure import Rounds, cells
from clinicedge.runtime import load
from clinicedge.runtime.bundle import Bundle
from clinicedge.runtime.figures import Accuracy, BoxAccuracy, Flips, MaskAccuracy
from clinicedge.runtime.manifest import Artifact, Manifest
from clinicedge.runtime.records import from_json

# What the issue hopes for on trained weights.
HOPED_POINTS = 0.3
HOPED_FLIPS = 0.005
# Figures between 0 and 1; the other is in percent.
SHARES = ("Dice", "AP50")
FORMATS = {"onnx": "ONNX", "tflite": "TFLite", "openvino": "OpenVINO"}


@dataclass(frozen=True)
class Row:
    """One guarded INT8 artifact. Figures are of the guard part: accuracy in percent, of masks Dice,
    of boxes AP50; None where guard's films have no labels.

    `plain_*` are of plain INT8 where layers went back to float, else the artifact's own; None:
    not measured. `float_layers` went back to float, with `float_share` of all multiply-adds.
    `speed_up` over the FP32 artifact of the same format; `kept` share of plain's speed-up.
    """

    model: str
    artifact: str
    films: int
    figure: str
    fp32: float | None
    plain: float | None
    int8: float | None
    plain_flips: int | None
    flips: int
    decisions: int
    float_layers: int
    float_share: float
    trials: int
    bytes: int
    size_ratio: float
    fp32_ms: float | None = None
    int8_ms: float | None = None
    speed_up: float | None = None
    kept: float | None = None


def rows_of(bundle: Bundle, threads: int) -> Iterator[Row]:
    """The guarded artifacts of one model's bundle."""
    manifest = bundle.manifest
    times = median_ms(bundle, threads) if threads else {}
    for artifact in manifest.artifacts:
        guard = artifact.guard
        if guard is None:
            continue
        whole = next(
            a for a in manifest.artifacts if a.format == artifact.format and a.precision == "fp32"
        )
        other = plain_of(bundle, artifact)
        figure, fp32 = figure_of(whole.accuracy, whole.masks, whole.boxes)
        _, int8 = figure_of(artifact.accuracy, artifact.masks, artifact.boxes)
        before, after = times.get(whole.id), times.get(artifact.id)
        yield Row(
            model=manifest.name,
            artifact=artifact.id,
            films=guard.n_films,
            figure=figure,
            fp32=fp32,
            plain=int8 if other is None else plain_figure(other.plain),
            int8=int8,
            plain_flips=count(artifact.flips if other is None else other.plain.flips),
            flips=count(artifact.flips),
            decisions=sum(f.n_films for f in artifact.flips),
            float_layers=guard.trials[-1].float_layers,
            float_share=guard.float_share,
            trials=len(guard.trials),
            bytes=artifact.bytes,
            size_ratio=artifact.bytes / whole.bytes,
            fp32_ms=before,
            int8_ms=after,
            speed_up=before / after if before and after else None,
            kept=1.0 if other is None else kept_here(bundle, artifact),
        )


def plain_of(bundle: Bundle, artifact: Artifact) -> GuardSpeed | None:
    """The record of plain INT8 beside the published one; None where nothing was reverted."""
    path = place(bundle.folder, artifact)
    if not path.is_file():
        return None
    return from_json(GuardSpeed, json.loads(path.read_bytes()), path.name)


def kept_here(bundle: Bundle, artifact: Artifact) -> float | None:
    """Share of plain INT8's speed-up that is left on this machine; None: not measured here."""
    here = known_speed(bundle.folder, artifact)
    return None if here is None else here.kept


def figure_of(
    accuracy: Sequence[Accuracy], masks: Sequence[MaskAccuracy], boxes: Sequence[BoxAccuracy]
) -> tuple[str, float | None]:
    """What an artifact's figures on the guard part are called, and their mean over labels."""
    if masks:
        return "Dice", mean([m.dice.value for m in masks if m.part == "guard"])
    if boxes:
        return "AP50", mean([b.ap50.value for b in boxes if b.part == "guard"])
    return "accuracy %", mean([100 * a.accuracy.value for a in accuracy if a.part == "guard"])


def plain_figure(plain: Plain) -> float | None:
    """The same of plain INT8."""
    return figure_of(plain.accuracy, plain.masks, plain.boxes)[1]


def mean(values: Sequence[float]) -> float | None:
    """None of none."""
    return statistics.mean(values) if values else None


def count(flips: tuple[Flips, ...]) -> int:
    """Decisions that FP32 takes otherwise, over all labels."""
    return sum(f.to_positive + f.to_negative for f in flips)


def median_ms(bundle: Bundle, threads: int) -> dict[str, float]:
    """Milliseconds of FP32 and INT8 artifacts, the median of interleaved rounds' medians."""
    wanted = [
        cell
        for cell in cells(bundle, (threads,))[0]
        if cell.compute == ("int8" if "/int8" in cell.artifact else "f32")
        and not cell.artifact.endswith("/fp16")
    ]
    return {cell.artifact: ms for cell, ms in medians(bundle, wanted, Rounds(5, 0.5, 200)).items()}


def is_model(manifest: Manifest) -> bool:
    """A pipeline has no artifacts of its own; a bundle from before guarding has no guard."""
    return any(a.guard is not None for a in manifest.artifacts)


def table(rows: list[Row]) -> str:
    """Markdown, as in docs/measured."""
    lines = [
        "| network | INT8 of | FP32 | plain INT8 | guarded | flips, plain | guarded "
        "| back in float | MB | of FP32 | ms FP32 | INT8 | faster |",
        "|" + "---|" * 13,
    ]
    before = ""
    for row in rows:
        name = "" if row.model == before else row.model
        lines.append("| " + " | ".join((name, *columns(row))) + " |")
        before = row.model
    return "\n".join(lines)


def columns(row: Row) -> tuple[str, ...]:
    """All but the network's name."""
    share_of_one = row.figure in SHARES
    digits = 3 if share_of_one else 1
    layers = "layer" if row.float_layers == 1 else "layers"
    share = f"{row.float_layers} {layers}, {100 * row.float_share:.0f} % of mult-adds"
    return (
        FORMATS[row.artifact.split("/")[0]],
        f"{row.figure} {told(row.fp32, 3)}" if share_of_one else f"{told(row.fp32, 1)} %",
        told(row.plain, digits),
        told(row.int8, digits),
        told(row.plain_flips, 0) if row.decisions else "",
        f"{row.flips} of {row.decisions}" if row.decisions else "",
        share if row.float_layers else "0",
        told(row.bytes / 1e6, 2),
        told(row.size_ratio, 2),
        told(row.fp32_ms, 2),
        told(row.int8_ms, 2),
        "-" if row.speed_up is None else f"{row.speed_up:.1f}x",
    )


def told(value: float | None, digits: int) -> str:
    """A number, "-" where it was not measured."""
    return "-" if value is None else f"{value:.{digits}f}"


def hopes(rows: list[Row]) -> dict[str, object]:
    """How many artifacts lose no more than hoped."""
    judged = [r for r in rows if r.decisions]
    return {
        "artifacts": len(rows),
        "loss_at_most_0_3_points": sum(
            (r.fp32 - r.int8) * (100 if r.figure in SHARES else 1) <= HOPED_POINTS
            for r in rows
            if r.fp32 is not None and r.int8 is not None
        ),
        "with_decisions": len(judged),
        "flips_at_most_0_5_percent": sum(r.flips <= HOPED_FLIPS * r.decisions for r in judged),
        "keep_85_percent_of_plain_speed_up": sum((r.kept or 0) >= 0.85 for r in rows),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundles", nargs="*", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    folders = options.bundles or sorted(Path("bundles").glob("*"))
    bundles = [load(f) for f in folders if (f / "bundle.json").is_file()]
    rows = [r for b in bundles if is_model(b.manifest) for r in rows_of(b, options.threads)]
    if not rows:
        sys.exit("not measured: no bundle with guarded INT8; make some with `clinicedge convert`")
    if options.json:
        found = {"machine": asdict(this_machine()), "hopes": hopes(rows)}
        print(json.dumps({**found, "rows": [asdict(r) for r in rows]}, indent=1))
        return
    print(table(rows))
    print(json.dumps(hopes(rows)))


if __name__ == "__main__":
    main()
