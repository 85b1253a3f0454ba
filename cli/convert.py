"""`clinicedge convert`: a trained model to a bundle, with the proof of what each artifact lost."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..convert import Conversion, ConvertOptions
    from ..convert.report import Proof, ProofRow
    from ..runtime.figures import Figure

NOT_MEASURED = "not measured"
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
)
LABEL_COLUMNS = (">sensitivity %", ">specificity %", ">AUC")
MASK_COLUMNS = (">Dice", ">IoU", ">false alarms %")
BOX_COLUMNS = (">AP50", ">recall %", ">precision %")
_COLUMNS_OF = {
    "segmentation": MASK_COLUMNS,
    "promptable-segmentation": MASK_COLUMNS,
    "detection": BOX_COLUMNS,
}
# What the flips of the table of decisions are.
_POSITIVE = {
    "segmentation": "; positive: something is drawn",
    "promptable-segmentation": ", a box at a time; positive: something is drawn",
    "detection": "; positive: something is found",
}
LAYER_COLUMNS = ("layer", "operation", ">SNR dB", ">noise added %", ">multiply-adds %", "now in")
WORST_LAYERS = 8
EMPTY_CELLS = 1


def run(
    what: Annotated[
        str | None,
        typer.Argument(
            help="A model or pipeline of the zoo (`clinicedge models` lists them), a checkpoint "
            "(.pth .pt .safetensors), an .onnx, .keras or .h5 file, a Keras model.json with "
            "--weights, or PATH.py:FUNCTION that builds a torch network: that file is run."
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="The whole zoo, and a report of every cell.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="With --all: names that fit; may be repeated."),
    ] = None,
    plain: Annotated[
        bool, typer.Option("--plain", help="With --all: also classifiers of whole chest films.")
    ] = False,
    out: Annotated[Path, typer.Option(help="The bundle becomes OUT/NAME.")] = Path("bundles"),
    formats: Annotated[
        str, typer.Option(help="Comma-separated: onnx, tflite, openvino.")
    ] = "onnx,tflite,openvino",
    precisions: Annotated[
        str | None,
        typer.Option(
            help="Comma-separated: fp32, fp16, int8 (which means int8-guarded). All three where "
            "neither this nor --recipes is given."
        ),
    ] = None,
    recipes: Annotated[
        str,
        typer.Option(
            help="Comma-separated, by name, beside --precisions: fp32, fp16, int8-guarded, "
            "int8-static, int8-static-u8, int8-dynamic."
        ),
    ] = "",
    guard_trials: Annotated[
        int,
        typer.Option(min=1, help="Quantizations that the search for one INT8 artifact may make."),
    ] = 20,
    model: Annotated[
        str | None, typer.Option(help="The zoo's network that a checkpoint is of.")
    ] = None,
    spec: Annotated[
        Path | None, typer.Option(help="TOML that says what your model is: labels, input, use.")
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            help="Folder with NAME.safetensors, else the clone's own; or the file of values for "
            "PATH.py:FUNCTION or a Keras .json."
        ),
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            help="Data folder; may be repeated, each model takes the one named as the data it was "
            "trained on. A bare name is also looked for in the data root. Without it all folders "
            "of the data root, else phantom films."
        ),
    ] = None,
    data_root: Annotated[
        Path | None, typer.Option(help="Folder of data folders, else CLINICEDGE_DATA.")
    ] = None,
    calibration_films: Annotated[
        int, typer.Option(min=8, help="Train films that set the ranges of INT8.")
    ] = 256,
    min_agreement: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Equal decisions that every artifact must reach; else 0.9, of masks 0.7.",
        ),
    ] = None,
    keep_going: Annotated[
        bool,
        typer.Option("--keep-going", help="Leave out an artifact that fails and say so."),
    ] = False,
    temperature: Annotated[
        bool,
        typer.Option(
            "--temperature",
            help="Fit a temperature to each artifact's scores on select: 0.8 means 8 in 10.",
        ),
    ] = False,
    explain_quantization: Annotated[
        bool,
        typer.Option(
            "--explain-quantization",
            help="Measure which layer of each INT8 artifact loses what: a table, and a page with "
            "pictures in the bundle's report folder.",
        ),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Reuse nothing of earlier runs.")] = False,
    report: Annotated[
        Path, typer.Option(help="With --all: folder of matrix.html, .md and .json.")
    ] = Path("report"),
    threads: Annotated[
        int, typer.Option(min=0, help="With --all: of the latencies; 0 measures none.")
    ] = 2,
    tests: Annotated[
        bool, typer.Option("--evaluate", help="With --all: also read the test parts.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Make a bundle: ONNX, TFLite and OpenVINO, each FP32, FP16 and INT8, with proof.

    Chest classifiers go on lungs by default: convert NAME-on-lungs makes the pipeline lungs ->
    crop -> classifier; the plain NAME looks at the whole film. INT8 is calibrated on films of the
    train part, thresholds are set on select, and guard tells what each artifact lost; test parts
    are not read without --evaluate. INT8 keeps the model's budget: layers go back to float until
    its losses against FP32 on guard are allowed; an INT8 that cannot is not written. A second run
    makes the same bytes and reuses what has not changed. Exit code 0: done; 1: the bundle is
    written, but a cell of the matrix or an artifact is missing (its INT8 breaks the budget, or too
    many decisions are not the network's), the output says why; 2: refused, nothing was written.

    \b
    Examples:
        clinicedge convert mobilenet-0.5-160-on-lungs --data kermany224 --data lungmasks
        clinicedge convert mobilenet-0.25-128 --formats onnx --precisions fp32,int8 --json
        clinicedge convert resnet50-224 --formats onnx --recipes fp32,int8-static,int8-dynamic
        clinicedge convert my.pth --model resnet50-224 --spec my.toml --data films/
        clinicedge convert my_net.py:build --spec my.toml --weights my.pth
        clinicedge convert --all --only 'mobilenet-*'
    """
    from ..convert import PRECISIONS, ConvertOptions
    from ..convert.data_choice import data_folders

    if every == (what is not None):
        raise typer.BadParameter("give a model or --all, one of the two")
    if every and recipes:
        raise typer.BadParameter("--all takes --precisions; --recipes belong to one model")
    usual = "" if recipes else ",".join(PRECISIONS)
    folders = data_folders(tuple(data or ()), data_root)
    options = ConvertOptions(
        out=out,
        formats=_words(formats),
        precisions=_words(usual if precisions is None else precisions),
        recipes=_words(recipes),
        trials=guard_trials,
        data=folders[0] if data and len(data) == 1 and not every else None,
        folders=folders if every or not data or len(data) > 1 else data_folders((), data_root),
        weights=(weights,) if weights is not None and weights.is_dir() else (),
        calibration_films=calibration_films,
        force=force,
        min_agreement=min_agreement,
        keep_going=keep_going or every,
        temperature=temperature,
        explain_quantization=explain_quantization,
    )
    if what is None:
        from ._matrix import run_matrix

        run_matrix(options, tuple(only or ()), plain, (report, threads, tests, as_json))
        return
    done = _convert(what, options, (model, spec, weights))
    _show(done, as_json)
    if done.failed:
        raise typer.Exit(EMPTY_CELLS)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _convert(
    what: str, options: "ConvertOptions", own: tuple[str | None, Path | None, Path | None]
) -> "Conversion":
    from dataclasses import replace

    from ..convert import convert, convert_model
    from ..convert.user_source import UserModel, is_user_model, load_user_source
    from .printing import progress_bar

    model, spec, weights = own
    with progress_bar() as move:

        def told(words: str, step: int, steps: int) -> None:
            move(step, steps, words)

        if not is_user_model(what):
            _refuse_own(what, own)
            return convert(what, options, (), told)
        file = weights if weights is not None and not weights.is_dir() else None
        source, notes = load_user_source(UserModel(what, model, spec, file))
        done = convert_model(source, options, told)
        return replace(done, notes=(*notes, *done.notes))


def _refuse_own(what: str, own: tuple[str | None, Path | None, Path | None]) -> None:
    """Options that belong to a user's model."""
    from ..convert.user_source import is_zoo_name

    model, spec, weights = own
    if model is not None or spec is not None:
        known = "a name of the zoo" if is_zoo_name(what) else "neither a file nor a name of the zoo"
        raise typer.BadParameter(
            f"--model and --spec belong to a file of your own; {what!r} is {known}"
        )
    if weights is not None and not weights.is_dir():
        raise typer.BadParameter(
            f"--weights of a model of the zoo is a folder; to convert your checkpoint: "
            f"clinicedge convert {weights} --model {what}"
        )


def _show(done: "Conversion", as_json: bool) -> None:
    from ..convert.pipelines import on_lungs_names
    from ..convert.report import proof
    from ..models.chest import ON_LUNGS
    from .printing import print_json

    tables = [proof(model.manifest) for model in done.models]
    if as_json:
        print_json(_document(done, tables))
        return
    _print(done, tables)
    default = done.manifest.name + ON_LUNGS
    if default in on_lungs_names():
        print(f"hint: this looks at whole films; the default form is {default}", file=sys.stderr)


def _document(done: "Conversion", tables: "list[Proof]") -> dict[str, object]:
    return {
        "bundle": str(done.folder),
        "unchanged": done.unchanged,
        "made": done.made,
        "reused": done.reused,
        "notes": done.notes,
        "failed": done.failed,
        # Of a pipeline the model that decides; `members` has all.
        "proof": tables[-1],
        "members": tables if done.members else [],
        "guard": [record for model in done.models for record in _searches(model)],
        "quantization": [report for model in done.models for report in model.quantization],
    }


def _searches(model: "Conversion") -> "Iterator[dict[str, object]]":
    """Of each INT8 artifact what was tried and measured to keep the budget."""
    for artifact in model.manifest.artifacts:
        if artifact.guard is not None:
            calibrated = artifact.calibration.method if artifact.calibration else None
            yield {
                "model": model.manifest.name,
                "artifact": artifact.id,
                "calibration": calibrated,
                **vars(artifact.guard),
            }


def _print(done: "Conversion", tables: "list[Proof]") -> None:
    from ._decisions import converted, print_decisions
    from .printing import print_table

    for table in tables:
        print_table(
            f"{table.model} {table.version} against its source model, {table.rows[0].n_films} "
            f"films of {table.data}, part {table.part}",
            (*COLUMNS, *_COLUMNS_OF.get(table.task, LABEL_COLUMNS)),
            [_cells(row, table.task) for row in table.rows],
        )
    for model in done.models:
        title = f"{model.manifest.name}: against FP32 of the same format, part guard"
        title += _POSITIVE.get(model.manifest.task, "")
        print_decisions(title, converted(model.manifest))
    for model in done.models:
        _print_losses(model)
    for note in done.notes:
        print(f"note: {note}")
    for failed in done.failed:
        print(f"not made: {failed.artifact}: {failed.reason}")
    if done.reused:
        print(f"reused {len(done.reused)} of {len(done.reused) + len(done.made)} steps")
    print(f"{done.folder}: {'unchanged, reused' if done.unchanged else 'written'}")


def _print_losses(model: "Conversion") -> None:
    """The layers that lose most in INT8; the page has all."""
    from .printing import print_table

    for report in model.quantization:
        rows = [
            (
                layer.name,
                layer.operation,
                f"{layer.snr_db:.1f}",
                f"{100 * (layer.noise_added or 0.0):.3f}",
                f"{100 * layer.share:.2f}",
                "float" if layer.in_float else "INT8",
            )
            for layer in report.worst(WORST_LAYERS)
        ]
        print_table(
            f"{report.model} {report.artifact}: the layers that lose most of {len(report.layers)}, "
            f"{report.n_films} films of {report.data}, part {report.part}",
            LAYER_COLUMNS,
            rows,
        )
    if model.quantization:
        print(f"all layers: {model.folder / 'report' / 'quantization.html'}")


def _cells(row: "ProofRow", task: str) -> tuple[str, ...]:
    if task == "detection":
        boxes = row.boxes
        seen = (boxes.ap50, boxes.recall, boxes.precision) if boxes else (None, None, None)
        last = (_area(seen[0]), _percent(seen[1]), _percent(seen[2]))
    elif task in _COLUMNS_OF:
        found = row.masks
        figures = (found.dice, found.iou, found.false_alarms) if found else (None, None, None)
        last = (_area(figures[0]), _area(figures[1]), _percent(figures[2]))
    else:
        last = (_percent(row.sensitivity), _percent(row.specificity), _area(row.auc))
    shown = f"{row.artifact} {row.label}".strip()
    return (
        shown,
        f"{row.bytes / 1000:,.0f}",
        "-" if row.ratio is None else f"{row.ratio:.2f}",
        f"{row.max_abs_difference:.2g}",
        f"{row.cosine:.5f}",
        "-" if row.features_cosine is None else f"{row.features_cosine:.4f}",
        f"{row.decision_agreement:.3f}",
        f"{row.decision_flips}/{row.n_decisions}",
        f"{row.threshold:.3f}",
        *last,
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
