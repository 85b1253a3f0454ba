"""`clinicedge convert`: a trained model to a bundle, with the proof of what each artifact lost."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..convert import Conversion
    from ..convert.report import Proof, ProofRow
    from ..runtime.manifest import Figure

# The data that the reference weights were trained on; a folder of CLINICEDGE_DATA.
TRAINING_FOLDER = "kermany224"
COLUMNS = (
    "artifact",
    ">kB",
    ">of FP32",
    ">max diff",
    ">cosine",
    ">map cosine",
    ">agreement",
    ">flips",
    ">threshold",
    ">sensitivity %",
    ">specificity %",
    ">AUC",
)
NOT_MEASURED = "not measured"


def run(
    name: Annotated[str, typer.Argument(help="Model of the zoo; `clinicedge models` lists them.")],
    out: Annotated[Path, typer.Option(help="The bundle becomes OUT/NAME.")] = Path("bundles"),
    formats: Annotated[
        str, typer.Option(help="Comma-separated: onnx, tflite, openvino.")
    ] = "onnx,tflite,openvino",
    precisions: Annotated[
        str, typer.Option(help="Comma-separated: fp32, fp16, int8.")
    ] = "fp32,fp16,int8",
    weights: Annotated[
        Path | None, typer.Option(help="Folder with NAME.safetensors; else the clone's own.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder with manifest.csv and the films; a bare name is also looked for in "
            f"CLINICEDGE_DATA. Without it {TRAINING_FOLDER} there, else phantom films."
        ),
    ] = None,
    calibration_films: Annotated[
        int, typer.Option(min=8, help="Train films that set the ranges of INT8.")
    ] = 256,
    min_agreement: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="Equal decisions that every artifact must reach."),
    ] = 0.9,
    force: Annotated[bool, typer.Option("--force", help="Reuse nothing of earlier runs.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Make a bundle: ONNX, TFLite and OpenVINO, each FP32, FP16 and INT8, with proof.

    INT8 is calibrated on films of the train part, thresholds are set on select, and guard tells
    what each artifact lost; test parts are not read. A second run makes the same bytes and
    reuses what has not changed. Exit code 0: done; 2: refused, nothing was written.

    \b
    Examples:
        clinicedge convert mobilenet-0.5-160 --data films/
        clinicedge convert mobilenet-0.25-128 --formats onnx --precisions fp32,int8 --json
    """
    from ..convert import ConvertOptions, convert
    from ..convert.report import proof
    from .printing import print_json, progress_bar

    options = ConvertOptions(
        out=out,
        formats=_words(formats),
        precisions=_words(precisions),
        data=_folder(data),
        calibration_films=calibration_films,
        force=force,
        min_agreement=min_agreement,
    )
    with progress_bar() as move:
        done = convert(
            name,
            options,
            (weights,) if weights else (),
            lambda what, step, steps: move(step, steps, what),
        )
    table = proof(done.manifest)
    if as_json:
        print_json(_document(done, table))
    else:
        _print(done, table)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _folder(data: Path | None) -> Path | None:
    root = os.environ.get("CLINICEDGE_DATA")
    if data is None:
        usual = Path(root) / TRAINING_FOLDER if root else None
        return usual if usual is not None and usual.is_dir() else None
    if not data.exists() and root and (Path(root) / data).is_dir():
        return Path(root) / data
    return data


def _document(done: "Conversion", table: "Proof") -> dict[str, object]:
    return {
        "bundle": str(done.folder),
        "unchanged": done.unchanged,
        "made": done.made,
        "reused": done.reused,
        "notes": done.notes,
        "proof": table,
    }


def _print(done: "Conversion", table: "Proof") -> None:
    from .printing import print_table

    print_table(
        f"{table.model} {table.version} against its source model, {table.rows[0].n_films} films "
        f"of {table.data}, part {table.part}",
        COLUMNS,
        [_cells(row) for row in table.rows],
    )
    for note in done.notes:
        print(f"note: {note}")
    if done.reused:
        print(f"reused {len(done.reused)} of {len(done.reused) + len(done.made)} steps")
    print(f"{done.folder}: {'unchanged, reused' if done.unchanged else 'written'}")


def _cells(row: "ProofRow") -> tuple[str, ...]:
    return (
        row.artifact,
        f"{row.bytes / 1000:,.0f}",
        "-" if row.ratio is None else f"{row.ratio:.2f}",
        f"{row.max_abs_difference:.2g}",
        f"{row.cosine:.5f}",
        "-" if row.features_cosine is None else f"{row.features_cosine:.4f}",
        f"{row.decision_agreement:.3f}",
        f"{row.decision_flips}/{row.n_films}",
        f"{row.threshold:.3f}",
        _percent(row.sensitivity),
        _percent(row.specificity),
        _area(row.auc),
    )


def _percent(figure: "Figure | None") -> str:
    if figure is None:
        return NOT_MEASURED
    value, low, high = (100 * v for v in (figure.value, figure.low, figure.high))
    return f"{value:.1f} ({low:.1f}-{high:.1f})"


def _area(figure: "Figure | None") -> str:
    if figure is None:
        return NOT_MEASURED
    return f"{figure.value:.3f} ({figure.low:.3f}-{figure.high:.3f})"
