"""How good the maps of trained networks are, from what `clinicedge explain-report` kept.

One row a method of FP32, with the likeness of each INT8 artifact's maps to it. Make the reports
first; they say what films, regions and steps stand behind a figure:

    clinicedge explain-report bundles/NAME --data kermany512 --masks lungmasks --films 40
    python benchmarks/explanation_table.py bundles/*-on-lungs bundles/lungs-128
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from clinicedge.profiles.explanation_quality.records import (
    ArtifactQuality,
    MethodQuality,
    QualityRecord,
)
from clinicedge.runtime.figures import Figure
from clinicedge.runtime.records import from_json

NAMES = {"onnx": "ONNX", "tflite": "TFLite", "openvino": "OpenVINO"}


@dataclass(frozen=True)
class Row:
    """A method on the films of a folder. `area`: a map's share in the region without preference.

    `region`: "lungs" or what `boxes` are. `like`: by format, rank correlation with FP32's maps.
    """

    network: str
    data: str
    method: str
    films: int
    gain: Figure
    region: str
    area: float
    inside: Figure | None
    peaks: Figure | None
    shuffled: Figure | None
    like: dict[str, Figure]


def entries(bundle: Path) -> list[ArtifactQuality]:
    """All that was kept with a bundle."""
    found: list[ArtifactQuality] = []
    for path in sorted((bundle / "measurements").glob("*-explanations.json")):
        record = from_json(QualityRecord, json.loads(path.read_bytes()), str(path))
        found.extend(record.entries)
    return found


def rows_of(bundle: Path) -> Iterator[Row]:
    """One for each method, data folder and region."""
    kept = entries(bundle)
    for fp32 in (e for e in kept if not e.float_artifact):
        place = (fp32.data, fp32.part)
        others = [e for e in kept if e.float_artifact and (e.data, e.part) == place]
        for method in fp32.methods:
            for region in ("lungs", "boxes"):
                row = _row(bundle.name, fp32, method, region)
                if row is not None:
                    row.like.update(_likeness(others, method.method))
                    yield row


def _row(network: str, on: ArtifactQuality, method: MethodQuality, region: str) -> Row | None:
    boxes = region == "boxes"
    area = on.box_area if boxes else on.lung_area
    if area is None:
        return None
    return Row(
        network=network,
        data=f"{on.data}, {on.part}",
        method=method.method,
        films=method.films,
        gain=method.gain,
        region=on.region_kind if boxes else "lungs",
        area=area,
        inside=method.box_mass if boxes else method.lung_mass,
        peaks=method.box_hits if boxes else method.lung_hits,
        shuffled=method.random_rank,
        like={},
    )


def _likeness(others: list[ArtifactQuality], method: str) -> Iterator[tuple[str, Figure]]:
    """Of INT8, by format; FP16's maps are FP32's."""
    for entry in (e for e in others if "/int8" in e.ran.artifact):
        for found in entry.methods:
            if found.method == method and found.float_rank is not None:
                yield NAMES[entry.ran.artifact.partition("/")[0]], found.float_rank


def table(rows: list[Row]) -> str:
    """Markdown, each figure with its 95 % interval."""
    lines = [
        "| network | films | method | insertion less deletion | region, share of the picture "
        "| share of the map inside | peak inside | like shuffled weights | INT8 like FP32 |",
        "|" + "---|" * 9,
    ]
    for row in rows:
        like = ", ".join(f"{n} {row.like[n].value:.3f}" for n in NAMES.values() if n in row.like)
        cells = (
            row.network,
            f"{row.films} of {row.data}",
            row.method,
            told(row.gain, row.films),
            f"{row.region}, {row.area:.2f}",
            told(row.inside, row.films),
            told(row.peaks, row.films),
            told(row.shuffled, row.films),
            like or "-",
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def told(figure: Figure | None, films: int) -> str:
    """With its interval, and n where it is not all films; "-" where it was not measured."""
    if figure is None:
        return "-"
    n = "" if figure.n == films else f", n {figure.n}"
    return f"{figure.value:.2f} ({figure.low:.2f} to {figure.high:.2f}{n})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundles", nargs="*", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    folders = options.bundles or sorted(Path("bundles").glob("*"))
    rows = [row for folder in folders for row in rows_of(folder)]
    if not rows:
        sys.exit("not measured: no reports in these bundles; make some with `explain-report`")
    print(json.dumps([asdict(r) for r in rows], indent=1) if options.json else table(rows))


if __name__ == "__main__":
    main()
