"""The HTTP interface; every answer is JSON, a picture or a problem document."""

from dataclasses import dataclass
from importlib.metadata import version
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, File, Form, Query, Request, UploadFile
from pydantic import StringConstraints
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from ..runtime.predictions import CAUTION
from ..runtime.records import to_json
from . import web_files
from .cases import Desk, Upload
from .heat import Asked, HeatMaps, many_runs
from .heat import Form as ExplanationForm
from .models_json import acceptance_json, model_json
from .offers import OwnFilm, Phantoms
from .pictures import MaskForm, Pictures
from .ratings import RatingList, Verdict, as_csv
from .readings import SYMPTOMS, Said
from .records import CaseList, CaseView, view
from .workers import Workers

PNG = "image/png"
MAX_LISTED = 200
_Word = Annotated[str, StringConstraints(max_length=100)]
# The form of a new case.
_Film = Annotated[UploadFile, File(description="PNG, JPEG or DICOM file")]
_Model = Annotated[
    str | None, Form(description="the default one where none is named", max_length=200)
]
_Opinion = Annotated[
    str | None, Form(description='a label of the model, or "unsure"', max_length=100)
]
_Findings = Annotated[
    list[_Word] | None,
    Form(description='findings of the model, the main one first; or "none" alone'),
]
_Symptoms = Annotated[list[_Word] | None, Form(description=f"some of {', '.join(SYMPTOMS)}")]
_PICTURE: dict[int | str, dict[str, Any]] = {200: {"content": {PNG: {}}}}
_PICTURE_OR_JSON: dict[int | str, dict[str, Any]] = {
    200: {"content": {PNG: {}, "application/json": {}}}
}


@dataclass(frozen=True, eq=False)
class Server:
    """What the routes work with. `scoring` and `mapping` have one thread, `reading` a few."""

    desk: Desk
    pictures: Pictures
    heat: HeatMaps
    phantoms: Phantoms
    own: OwnFilm | None
    scoring: Workers
    reading: Workers
    mapping: Workers
    max_upload_bytes: int


def api(server: Server) -> APIRouter:
    """Everything under /api/v1, and /healthz."""
    router = APIRouter()
    _add_cases(router, server)
    _add_pictures(router, server)
    _add_explanations(router, server)
    _add_ratings(router, server)
    _add_offers(router, server)
    _add_state(router, server)
    return router


def _add_cases(router: APIRouter, server: Server) -> None:
    desk = server.desk

    @router.post("/api/v1/cases", status_code=201, tags=["cases"])
    async def post_case(
        response: Response,
        film: _Film,
        model: _Model = None,
        first_opinion: _Opinion = None,
        first_findings: _Findings = None,
        symptoms: _Symptoms = None,
    ) -> CaseView:
        """Send a film and get a second opinion, kept as a case.

        A film on which no lungs are found is kept too, with a prediction of kind "no-score".
        """
        said = Said(first_opinion, tuple(first_findings or ()), tuple(symptoms or ()))

        def job() -> CaseView:
            return view(desk.receive(Upload(film.filename or "", film.file.read(), said, model)))

        made = await server.scoring.run(job)
        response.headers["Location"] = made.links.self
        return made

    @router.get("/api/v1/cases", tags=["cases"])
    async def list_cases(
        limit: Annotated[int, Query(ge=1, le=MAX_LISTED)] = 20,
    ) -> CaseList:
        """The latest cases first."""
        cases = await server.reading.run(lambda: desk.store.latest(limit))
        total = await server.reading.run(desk.store.count)
        return CaseList(tuple(view(c) for c in cases), total)

    @router.get("/api/v1/cases/{case_id}", tags=["cases"])
    async def get_case(case_id: str) -> CaseView:
        """One case."""
        return view(await server.reading.run(lambda: desk.store.get(case_id)))


def _add_pictures(router: APIRouter, server: Server) -> None:
    store, pictures = server.desk.store, server.pictures

    @router.get(
        "/api/v1/cases/{case_id}/image",
        tags=["cases"],
        response_class=Response,
        responses=_PICTURE,
    )
    async def get_image(case_id: str) -> Response:
        """The film as read: PNG, 8 bit grey."""
        data = await server.reading.run(lambda: pictures.image(store.get(case_id)))
        return Response(data, media_type=PNG)

    @router.get(
        "/api/v1/cases/{case_id}/segmentation",
        tags=["cases"],
        response_class=Response,
        responses=_PICTURE_OR_JSON,
    )
    async def get_segmentation(
        case_id: str, form: Annotated[MaskForm, Query(alias="as")] = "json"
    ) -> Response:
        """The outlines of what was answered, or pictures of the mask, made when asked for."""
        data = await server.reading.run(lambda: pictures.segmentation(store.get(case_id), form))
        return Response(data, media_type="application/json" if form == "json" else PNG)


def _add_explanations(router: APIRouter, server: Server) -> None:
    store, heat = server.desk.store, server.heat

    @router.get(
        "/api/v1/cases/{case_id}/explanation",
        tags=["explanations"],
        response_class=Response,
        responses=_PICTURE_OR_JSON,
    )
    async def get_explanation(
        case_id: str,
        method: Annotated[
            str | None, Query(max_length=100, description="the bundle's own where none is named")
        ] = None,
        label: Annotated[
            str | None,
            Query(alias="class", max_length=200, description="what the answer is about without it"),
        ] = None,
        form: Annotated[ExplanationForm, Query(alias="as")] = "alpha",
    ) -> Response:
        """A heat map for a class, made when it is asked for: a coloured layer, the film with it, an
        8-bit map of the film's size, or the numbers with a sentence.

        A method of many runs lets films be answered in between, and has a minute.
        """
        asked = Asked(method, label)
        workers = server.mapping if many_runs(asked) else server.reading
        data = await workers.run(lambda: heat.explanation(store.get(case_id), form, asked))
        return Response(data, media_type="application/json" if form == "json" else PNG)

    @router.get("/api/v1/cases/{case_id}/explanation/methods", tags=["explanations"])
    async def get_methods(case_id: str) -> dict[str, Any]:
        """What can be asked of the model behind the case, the usual method, and the ratings."""

        def job() -> dict[str, Any]:
            case = store.get(case_id)
            return {**heat.offered(case), "ratings": to_json(store.ratings.of_case(case.id))}

        return await server.reading.run(job)


def _add_ratings(router: APIRouter, server: Server) -> None:
    store, heat = server.desk.store, server.heat

    @router.post("/api/v1/cases/{case_id}/explanation/rating", tags=["explanations"])
    async def post_rating(
        case_id: str,
        method: Annotated[str, Form(max_length=100)],
        label: Annotated[str, Form(alias="class", max_length=200)],
        verdict: Annotated[Verdict, Form()],
    ) -> RatingList:
        """What the clinician thinks of a map; a second verdict on it takes the first's place."""

        def job() -> RatingList:
            case = store.get(case_id)
            model = heat.rateable(case, Asked(method, label))
            sha256 = str(case.answer["report"]["artifact_sha256"])
            store.ratings.rate(case.id, method, label, (verdict, model, sha256))
            return store.ratings.every()

        return await server.reading.run(job)

    @router.get("/api/v1/ratings", tags=["explanations"])
    async def get_ratings(
        form: Annotated[Literal["json", "csv"], Query(alias="as")] = "json",
    ) -> Response:
        """Every rating on this box and the counts by method, or one line a rating."""
        found = await server.reading.run(store.ratings.every)
        if form == "csv":
            headers = {"Content-Disposition": 'attachment; filename="ratings.csv"'}
            return Response(as_csv(found), headers=headers, media_type="text/csv; charset=utf-8")
        return JSONResponse(to_json(found))


def _add_offers(router: APIRouter, server: Server) -> None:
    @router.get("/api/v1/phantoms", tags=["films to try"])
    async def list_phantoms() -> dict[str, Any]:
        """Films that the project drew itself, for a box without films."""
        keys = server.phantoms.keys
        return {"phantoms": [{"key": k, "url": f"/api/v1/phantoms/{k}.png"} for k in keys]}

    @router.get(
        "/api/v1/phantoms/{key}.png",
        tags=["films to try"],
        response_class=Response,
        responses=_PICTURE,
    )
    async def get_phantom(key: str) -> Response:
        """One of them."""
        data = await server.reading.run(lambda: server.phantoms.png(key))
        return Response(data, media_type=PNG, headers={"Cache-Control": "no-cache"})

    @router.get("/api/v1/film", tags=["films to try"])
    async def offered_film() -> dict[str, Any]:
        """The film that the server was started with, if any."""
        if server.own is None:
            return {"film": None}
        urls = {"url": "/api/v1/film/file", "preview": "/api/v1/film/preview.png"}
        return {"film": {"name": server.own.name, **urls}}

    @router.get("/api/v1/film/{part}", tags=["films to try"], response_class=Response)
    async def offered_part(part: str) -> Response:
        """Its bytes (`file`), or a small picture of it (`preview.png`)."""
        if server.own is None or part not in ("file", "preview.png"):
            raise HTTPException(404)
        if part == "preview.png":
            return Response(server.own.preview, media_type=PNG)
        name = f"attachment; filename*=UTF-8''{quote(server.own.name)}"
        headers = {"Content-Disposition": name}
        return Response(server.own.data, headers=headers, media_type="application/octet-stream")


def _add_state(router: APIRouter, server: Server) -> None:
    registry = server.desk.registry

    @router.get("/api/v1/models", tags=["state"])
    async def models() -> dict[str, Any]:
        """What answers here, the default first."""
        told = [model_json(m, number == 0) for number, m in enumerate(registry.models)]
        limits = {"max_upload_bytes": server.max_upload_bytes}
        return {"models": told, "limits": limits, "caution": CAUTION}

    @router.get("/healthz", tags=["state"])
    async def health() -> Response:
        """200 where every model passed its acceptance here and the cases can be read."""
        cases = await server.reading.run(server.desk.store.count)
        models = [
            {
                "name": m.name,
                "bundle_id": m.bundle.id,
                "artifact": m.predictor.report.artifact,
                "artifact_sha256": m.predictor.report.artifact_sha256,
                "engine": m.predictor.report.session.engine_version,
                "compute": m.predictor.report.session.compute,
                "threads": m.predictor.report.session.threads,
                "acceptance": acceptance_json(m),
            }
            for m in registry.models
        ]
        healthy = all(m.passed for m in registry.models)
        state = {"status": "ok" if healthy else "failed", "version": version("clinicedge")}
        return JSONResponse({**state, "cases": cases, "models": models}, 200 if healthy else 503)


def pages() -> APIRouter:
    """The page and its files."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def page() -> Response:
        return Response(
            web_files.page(),
            media_type="text/html; charset=utf-8",
            headers={"Cache-Control": "no-cache"},
        )

    @router.get("/favicon.ico")
    async def favicon() -> Response:
        return _static("icon.svg", "")

    @router.get("/static/{name}")
    async def static(name: str, request: Request) -> Response:
        return _static(name, request.headers.get("if-none-match", ""))

    return router


def _static(name: str, known: str) -> Response:
    found = web_files.web_file(name)
    if found is None:
        raise HTTPException(404)
    headers = {"Cache-Control": "no-cache", "ETag": found.etag}
    if known == found.etag:
        return Response(status_code=304, headers=headers)
    return Response(found.data, media_type=found.media_type, headers=headers)
