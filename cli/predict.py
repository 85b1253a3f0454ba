"""`clinicedge predict`: score films with a bundle."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ..runtime import Film, Predictor


def run(
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    film: Annotated[list[Path], typer.Argument(help="Films: PNG, JPEG or DICOM.")],
    engine: Annotated[str, typer.Option(help="auto, onnxruntime, litert or openvino.")] = "auto",
    precision: Annotated[
        str, typer.Option(help="auto, fp32, fp16, int8, or an artifact such as onnx/fp32.")
    ] = "auto",
    threads: Annotated[int, typer.Option(min=0, help="0: as tuned, else all usable.")] = 0,
    explain: Annotated[
        Path | None,
        typer.Option(help="Write the film with its heat map here; for several films a folder."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Score films with a bundle.

    A second opinion, not a diagnosis. A film that cannot be read is refused by name, the others
    are answered, and the exit code is 2.

    \b
    Examples:
        clinicedge predict demo/mobilenet-0.5-160 film.dcm
        clinicedge predict BUNDLE a.png b.jpg --precision int8 --json
        clinicedge predict BUNDLE film.png --explain map.png
    """
    from ..profiles.devices import detect
    from ..runtime import CAUTION, load
    from .printing import print_json, progress_bar

    order = detect().profile.engine_order
    predictor = load(bundle).predictor(engine, precision, threads, order)
    answers = []
    with progress_bar() as progress:
        for number, path in enumerate(film):
            progress(number, len(film), path.name)
            answers.append(_answer(predictor, path, _map_path(explain, film, number)))
    if as_json:
        print_json({"caution": CAUTION, "report": predictor.report, "films": answers})
    else:
        _print_answers(predictor, answers)
        print(CAUTION)
    if any("error" in answer for answer in answers):
        raise typer.Exit(2)


def _answer(predictor: "Predictor", path: Path, explained: Path | None) -> dict[str, Any]:
    """The prediction, or the error where the film or its map was refused."""
    from ..runtime import read_film
    from ..runtime.errors import ClinicEdgeError

    try:
        film = read_film(path, predictor.input.dicom.voi)
        answer: dict[str, Any] = {"file": str(path), "notes": film.source.notes}
        answer["prediction"] = predictor.predict(film)
        if explained is not None:
            answer["explanation"] = _explain(predictor, film, explained)
    except ClinicEdgeError as err:
        return {"file": str(path), "error": {"kind": type(err).__name__, "message": str(err)}}
    return answer


def _explain(predictor: "Predictor", film: "Film", path: Path) -> dict[str, Any]:
    import io

    from PIL import Image

    from ..runtime.explain import on_film, overlay
    from ..runtime.files import write_atomic

    explanation = predictor.explain(film)
    values = on_film(explanation, film, predictor.input)
    out = io.BytesIO()
    Image.fromarray(overlay(film, values)).save(out, "PNG")
    write_atomic(path, out.getvalue())
    return {
        "file": str(path),
        "method": explanation.method,
        "label": explanation.label,
        "sign": explanation.sign,
        "note": explanation.note,
    }


def _map_path(explain: Path | None, films: list[Path], number: int) -> Path | None:
    if explain is None:
        return None
    if len(films) == 1 and not explain.is_dir():
        return explain
    return explain / f"{number + 1:03}-{films[number].stem}.png"


def _print_answers(predictor: "Predictor", answers: list[dict[str, Any]]) -> None:
    from .printing import print_table

    rows = []
    positive = "the positive label"
    for answer in answers:
        name = Path(answer["file"]).name
        if "error" in answer:
            rows.append((name, "-", "-", "refused: " + answer["error"]["message"], "-"))
            continue
        seen = answer["prediction"]
        positive = seen.positive_label
        said = seen.label + "".join(f"; {note}" for note in answer["notes"])
        took = seen.timing.preprocess_ms + seen.timing.inference_ms
        if "explanation" in answer:
            said += (
                f"; {answer['explanation']['note'] or 'map in ' + answer['explanation']['file']}"
            )
        rows.append((name, f"{seen.score:.3f}", f"{seen.threshold:.3f}", said, f"{took:.1f}"))
    report = predictor.report
    session = report.session
    print_table(
        f"{report.model} {report.model_version}: score = probability of {positive}",
        ("film", ">score", ">threshold", "answer", ">ms"),
        rows,
    )
    print(
        f"{report.artifact} (sha256 {report.artifact_sha256[:12]}…) in {session.engine_version}, "
        f"{session.compute}, {session.threads} threads"
    )
    for note in session.notes:
        print(f"note: {note}")
