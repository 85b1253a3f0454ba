"""Problem documents (RFC 9457) for everything that is refused."""

import http
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ..runtime import errors

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 2


@dataclass(frozen=True)
class Kind:
    """How one class of errors is told. `slug` is the last part of the problem's type."""

    status: int
    slug: str
    title: str


KINDS: dict[type[errors.ClinicEdgeError], Kind] = {
    errors.NotAFilmError: Kind(415, "not-a-film", "Not a film"),
    errors.DamagedFilmError: Kind(422, "damaged-film", "The film is damaged"),
    errors.FilmColourError: Kind(422, "colour-photograph", "A colour photograph"),
    errors.FilmSizeError: Kind(422, "film-size", "Too small or too large for a film"),
    errors.OutsideUseError: Kind(422, "outside-use", "Not what the model was made for"),
    errors.FilmError: Kind(415, "unreadable-film", "The film cannot be read"),
    errors.OpinionError: Kind(422, "unknown-opinion", "Unknown opinion, finding or symptom"),
    errors.UnknownCaseError: Kind(404, "not-found", "Not found"),
    errors.ArtifactError: Kind(409, "not-in-the-model", "The model cannot do that"),
    errors.BusyError: Kind(503, "busy", "Too many films wait"),
    errors.SlowMapError: Kind(503, "slow-map", "The heat map takes too long"),
    errors.OutputError: Kind(507, "storage", "The film could not be kept"),
    errors.ClinicEdgeError: Kind(500, "failed", "The box could not answer"),
}
HTTP_SLUGS = {
    400: "bad-request",
    401: "token-needed",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    413: "too-large",
    422: "invalid-request",
    500: "failed",
}


def kind_of(error: errors.ClinicEdgeError) -> Kind:
    """The kind of the nearest class that has one."""
    return next(KINDS[c] for c in type(error).__mro__ if c in KINDS)


def problem(kind: Kind, detail: str, instance: str, more: Mapping[str, Any] | None = None) -> bytes:
    """The document: UTF-8 JSON."""
    members = {
        "type": f"urn:clinicedge:problem:{kind.slug}",
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        "instance": instance,
        **(more or {}),
    }
    return json.dumps(members, ensure_ascii=False).encode("utf-8")


def http_kind(status: int) -> Kind:
    """The kind of a plain HTTP status."""
    title = http.HTTPStatus(status).phrase
    return Kind(status, HTTP_SLUGS.get(status, title.lower().replace(" ", "-")), title)


def respond(
    kind: Kind,
    detail: str,
    instance: str,
    headers: Mapping[str, str] | None = None,
    more: Mapping[str, Any] | None = None,
) -> Response:
    """The document as a response; a 503 says when to come back."""
    extra = dict(headers or {})
    if kind.status == 503:
        extra["Retry-After"] = str(RETRY_AFTER_S)
    return Response(
        problem(kind, detail, instance, more), kind.status, headers=extra, media_type=MEDIA_TYPE
    )


def _refused(request: Request, error: Exception) -> Response:
    kind = kind_of(error) if isinstance(error, errors.ClinicEdgeError) else http_kind(500)
    return respond(kind, str(error), request.url.path)


def _http(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = str(error.detail) if isinstance(error, HTTPException) else ""
    headers = error.headers if isinstance(error, HTTPException) else None
    if status == 404 and detail == "Not Found":
        detail = f"nothing is at {request.url.path}; the page is at /, the interface under /api/v1."
    return respond(http_kind(status), detail, request.url.path, headers)


def _invalid(request: Request, error: Exception) -> Response:
    found = error.errors() if isinstance(error, RequestValidationError) else ()
    told = [
        {"field": ".".join(str(p) for p in e.get("loc", ())), "message": str(e.get("msg", ""))}
        for e in found
    ]
    detail = "; ".join(f"{e['field']}: {e['message']}" for e in told) or "the request is malformed"
    return respond(http_kind(422), detail, request.url.path, more={"errors": told})


def _broken(request: Request, error: Exception) -> Response:
    detail = (
        f"an error that nobody foresaw ({type(error).__name__}); the box goes on. "
        "The log on the box has the details."
    )
    return respond(http_kind(500), detail, request.url.path)


def install(app: FastAPI) -> None:
    """Answer every refusal with a problem document."""
    app.add_exception_handler(errors.ClinicEdgeError, _refused)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _broken)
