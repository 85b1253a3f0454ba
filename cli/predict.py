"""`clinicedge predict`: score films with a bundle."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ._boxes import typed_box
from ._trust import PIN, REQUIRE_SIGNED, asked_trust

if TYPE_CHECKING:
    from ..runtime import Film, Prediction, Predictor
    from ..runtime.boxes import Boxes
    from ..runtime.explanations import MapRequest


def run(
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    film: Annotated[
        list[Path], typer.Argument(help="Films: PNG, JPEG or DICOM; with --slices a folder.")
    ],
    engine: Annotated[str, typer.Option(help="auto, onnxruntime, litert or openvino.")] = "auto",
    precision: Annotated[
        str, typer.Option(help="auto, fp32, fp16, int8, or an artifact such as onnx/fp32.")
    ] = "auto",
    threads: Annotated[int, typer.Option(min=0, help="0: as tuned, else all usable.")] = 0,
    explain: Annotated[
        Path | None,
        typer.Option(help="Write the film with its heat map here; for several films a folder."),
    ] = None,
    overlay: Annotated[
        Path | None,
        typer.Option(
            help="Write the film with the outlines or boxes of what was found, or its heat map, "
            "here; for several films a folder."
        ),
    ] = None,
    box: Annotated[
        list[str] | None,
        typer.Option(
            metavar="X0,Y0,X1,Y1",
            help="Of a promptable model: outline what lies in this box, in pixels of the film; up "
            "to 100 times.",
        ),
    ] = None,
    require_signed: REQUIRE_SIGNED = False,
    pin: PIN = None,
    method: Annotated[
        str | None,
        typer.Option(
            help="Of the heat map: grad-cam, eigen-cam, score-cam, rise, …; the bundle's own "
            "without it. A wrong one is answered with what the bundle offers."
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option("--class", help="What the heat map is about; the answer's own without it."),
    ] = None,
    passes: Annotated[
        int,
        typer.Option(min=0, help="Bound on the runs of score-cam and rise. 0: the method's own."),
    ] = 0,
    slices: Annotated[
        bool,
        typer.Option(
            "--slices",
            help="FILM is a folder of slices of one examination, or a DICOM file of several "
            "frames: follow lesions from slice to slice. Lesion pipelines and promptable models.",
        ),
    ] = False,
    on_slice: Annotated[
        int,
        typer.Option(min=1, help="The slice that --box lies on, counted from 1; with --slices."),
    ] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Score films with a bundle, a model's or a pipeline's.

    A second opinion, not a diagnosis. A film that cannot be read is refused by name, the others
    are answered, and the exit code is 2.

    \b
    Examples:
        clinicedge predict demo/mobilenet-0.5-160-on-lungs film.dcm
        clinicedge predict BUNDLE a.png b.jpg --precision int8 --json
        clinicedge predict BUNDLE film.png --explain map.png
        clinicedge predict BUNDLE film.png --explain map.png --method grad-cam --class PNEUMONIA
        clinicedge predict bundles/segunet-256 leg.dcm --overlay outline.png
        clinicedge predict bundles/medsam2-512 leg.dcm --box 120,80,340,300 --overlay outline.png
        clinicedge predict bundles/lesion-segmenter leg.dcm --json
        clinicedge predict bundles/lesion-segmenter slices/ --slices --overlay outlines/
        clinicedge predict bundles/medsam2-512 frames.dcm --slices --box 9,8,70,64 --on-slice 12
    """
    from ..profiles.devices import detect
    from ..runtime import CAUTION, load
    from ._slices import SliceRequest, answer_slices
    from .printing import print_json, progress_bar

    order = detect().profile.engine_order
    opened = load(bundle, asked_trust(require_signed, pin))
    predictor = opened.predictor(engine, precision, threads, order)
    if slices:
        if explain is not None or any((method, label, passes)):
            raise typer.BadParameter("--slices gives outlines and no heat map; leave --explain out")
        request = SliceRequest(tuple(box or ()), on_slice, overlay)
        answer_slices(predictor, film, request, as_json)
        return
    asked = _request(predictor, (method, label, passes), (explain, overlay))
    boxes = _boxes(predictor, box or [])
    answers = []
    with progress_bar() as progress:
        for number, path in enumerate(film):
            progress(number, len(film), path.name)
            drawn = _Drawn(
                explain=_map_path(explain, film, number),
                overlay=_map_path(overlay, film, number),
                request=replace(asked, progress=_views(progress, film, number)),
                boxes=boxes,
            )
            answers.append(_answer(predictor, path, drawn))
    if as_json:
        films = [_as_json(answer) for answer in answers]
        print_json({"caution": CAUTION, "report": predictor.report, "films": films})
    else:
        _print_answers(predictor, answers)
        print(CAUTION)
    if any("error" in answer for answer in answers):
        raise typer.Exit(2)


@dataclass(frozen=True)
class _Drawn:
    """What is asked about a film, what is drawn of it, and where that goes."""

    explain: Path | None
    overlay: Path | None
    request: "MapRequest"
    boxes: "Boxes" = ()


def _boxes(predictor: "Predictor", given: list[str]) -> "Boxes":
    """The boxes of --box; refused before any film is read where the model takes none."""
    prompted = predictor.bundle.manifest.task == "promptable-segmentation"
    if prompted != bool(given):
        name = predictor.report.model
        expected = "outlines what lies in boxes: give --box" if prompted else "takes no --box"
        raise typer.BadParameter(f"'{name}' {expected}.")
    return tuple(typed_box(text) for text in given)


def _request(
    predictor: "Predictor",
    asked: tuple[str | None, str | None, int],
    pictures: tuple[Path | None, Path | None],
) -> "MapRequest":
    """The map that is asked for (method, class, passes); refused before any film is read."""
    from ..runtime.explanations import MapRequest, check_request

    request = MapRequest(*asked)
    if not any(pictures):
        if any(asked):
            raise typer.BadParameter("--method, --class and --passes need --explain FILE.")
    elif pictures[0] is not None or predictor.kind not in ("segmentation", "detection"):
        check_request(predictor, request)
    return request


def _views(progress: Any, films: list[Path], number: int) -> Callable[[int, int], None]:
    """Moves the bar with the views of a film that a method asks the network about."""

    def move(done: int, total: int) -> None:
        progress(number * total + done, len(films) * total, f"{films[number].name}, views")

    return move


def _answer(predictor: "Predictor", path: Path, drawn: _Drawn) -> dict[str, Any]:
    """The prediction, or the error where the film or a picture of it was refused."""
    from ..runtime import read_film
    from ..runtime.errors import ClinicEdgeError

    try:
        film = read_film(path, predictor.input.dicom.voi)
        answer: dict[str, Any] = {"file": str(path), "notes": film.source.notes}
        seen = answer["prediction"] = predictor.predict(film, drawn.boxes)
        if drawn.explain is not None:
            answer["explanation"] = _explain(predictor, film, drawn.explain, drawn.request)
        if drawn.overlay is not None:
            answer["overlay"] = _overlay(predictor, film, seen, (drawn.overlay, drawn.request))
    except ClinicEdgeError as err:
        return {"file": str(path), "error": {"kind": type(err).__name__, "message": str(err)}}
    return answer


def _explain(
    predictor: "Predictor", film: "Film", path: Path, request: "MapRequest"
) -> dict[str, Any]:
    from ..runtime.heat_maps import on_film, overlay
    from .printing import write_png

    explanation = predictor.explain(film, request)
    write_png(path, overlay(film, on_film(explanation, film, predictor.input)))
    return {
        "file": str(path),
        "method": explanation.method,
        "label": explanation.label,
        "sign": explanation.sign,
        "note": explanation.note,
        "crop": explanation.crop,
        "passes": explanation.passes,
    }


def _overlay(
    predictor: "Predictor", film: "Film", seen: "Prediction", wanted: tuple[Path, "MapRequest"]
) -> dict[str, Any]:
    from ..runtime import Detections, Segmentation
    from ..runtime.drawing import box_overlay, outline_overlay
    from .printing import write_png

    path, request = wanted
    if isinstance(seen, Detections):
        write_png(path, box_overlay(film, tuple(b.box for b in seen.boxes)))
        return {"shows": "boxes", "file": str(path)}
    if not isinstance(seen, Segmentation):
        return {"shows": "heat map", **_explain(predictor, film, path, request)}
    write_png(path, outline_overlay(film, seen))
    return {"shows": "outlines", "file": str(path)}


def _map_path(explain: Path | None, films: list[Path], number: int) -> Path | None:
    if explain is None:
        return None
    if len(films) == 1 and not explain.is_dir():
        return explain
    return explain / f"{number + 1:03}-{films[number].stem}.png"


def _as_json(answer: dict[str, Any]) -> dict[str, Any]:
    from ..runtime.predictions_json import prediction_json

    if "error" in answer:
        return answer
    return {**answer, "prediction": prediction_json(answer["prediction"])}


def _print_answers(predictor: "Predictor", answers: list[dict[str, Any]]) -> None:
    from ._answers import score_is
    from .printing import print_table

    told = next((score_is(a["prediction"]) for a in answers if "prediction" in a), "probability")
    report = predictor.report
    session = report.session
    print_table(
        f"{report.model} {report.model_version}: score = {told}",
        ("film", ">score", ">threshold", "answer", ">ms"),
        [_row(answer) for answer in answers],
    )
    print(
        f"{report.artifact} (sha256 {report.artifact_sha256[:12]}…) in {session.engine_version}, "
        f"{session.compute}, {session.threads} threads"
    )
    for part in predictor.parts:
        own = part.predictor.report
        print(f"{part.role}: {own.model} {own.artifact} in {own.session.engine_version}")
    for note in session.notes:
        print(f"note: {note}")


def _row(answer: dict[str, Any]) -> tuple[str, ...]:
    from ._answers import numbers, words

    name = Path(answer["file"]).name
    if "error" in answer:
        return (name, "-", "-", "refused: " + answer["error"]["message"], "-")
    seen = answer["prediction"]
    said = [words(seen), *answer["notes"]]
    if "explanation" in answer:
        told = answer["explanation"]
        said.append(told["note"] or f"{told['method']} of {told['label']} in {told['file']}")
    if "overlay" in answer:
        said.append(f"{answer['overlay']['shows']} in {answer['overlay']['file']}")
    score, threshold = numbers(seen)
    took = seen.timing.preprocess_ms + seen.timing.inference_ms
    return (name, f"{score:.3f}", f"{threshold:.3f}", "; ".join(said), f"{took:.1f}")
