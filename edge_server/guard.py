"""Who may ask: host name, origin, token, size. And the headers that every answer carries."""

import hashlib
import hmac
import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .problems import http_kind, respond
from .settings import LOOPBACK_NAMES, Settings, is_loopback
from .web_files import token_page

COOKIE = "clinicedge"
_COOKIE_DAYS = 365
_SAFE = ("GET", "HEAD", "OPTIONS")
# The page's own files hold no data, and the page that asks for the token needs them.
_OPEN = ("/static/", "/favicon.ico")
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "geolocation=(), microphone=(), usb=()",
}


@dataclass(frozen=True)
class Rules:
    """What the guard holds to. `names`: host names in small letters, without a port."""

    loopback: bool
    names: frozenset[str]
    token: str | None
    max_bytes: int


def rules(settings: Settings) -> Rules:
    """The rules that follow from the settings."""
    loopback = is_loopback(settings.host)
    names = {*LOOPBACK_NAMES, *(n.lower() for n in settings.names)}
    if not loopback:
        own = socket.gethostname().lower()
        names |= {own, f"{own}.local", f"{own}.lan", settings.host.lower()}
    return Rules(loopback, frozenset(names), settings.token, settings.max_upload_bytes)


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        self._app = app
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        refusal = self._refuse(scope, Headers(scope=scope))
        if refusal is not None:
            await refusal(scope, receive, told)
            return
        limited = _Limited(receive, self._rules.max_bytes)
        await self._app(scope, limited.receive, told)

    def _refuse(self, scope: Scope, headers: Headers) -> Response | None:
        """The answer where the request must not reach the application."""
        path: str = scope["path"]
        host = headers.get("host", "")
        if not self._known_host(host):
            detail = (
                f"the request is for host '{host[:80]}', which is not this box. Use its address "
                "in numbers, or start it with --name NAME."
            )
            return respond(http_kind(403), detail, path)
        if scope["method"] not in _SAFE and not _same_origin(headers, host):
            detail = "the request comes from a page of another origin; only this box's page may."
            return respond(http_kind(403), detail, path)
        return self._check_token(scope, headers)

    def _known_host(self, host: str) -> bool:
        """Names that somebody else's DNS can point here are refused; numbers are safe."""
        name = (urlsplit(f"//{host}").netloc.rpartition("@")[2]).lower()
        bare = name if name.endswith("]") else name.rsplit(":", 1)[0] if ":" in name else name
        if bare in self._rules.names:
            return True
        try:
            ipaddress.ip_address(bare.strip("[]"))
        except ValueError:
            return False
        return not self._rules.loopback

    def _check_token(self, scope: Scope, headers: Headers) -> Response | None:
        token = self._rules.token
        path: str = scope["path"]
        if token is None or path.startswith(_OPEN):
            return None
        if path == "/":
            given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
            if given:
                return _welcome() if not _equal(given, token) else _remember(token)
        kind, _, value = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and _equal(value.strip(), token):
            return None
        cookie = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
        if _equal(cookie, cookie_value(token)):
            return None
        if path == "/":
            return _welcome()
        detail = (
            "no valid token. Open /?token=… once in this browser, or send the header "
            "'Authorization: Bearer TOKEN'."
        )
        return respond(http_kind(401), detail, path, {"WWW-Authenticate": "Bearer"})


def cookie_value(token: str) -> str:
    """What the browser keeps in place of the token."""
    return hmac.new(token.encode("utf-8"), b"clinicedge cookie 1", hashlib.sha256).hexdigest()


def _equal(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8"), expected.encode("utf-8"))


def _remember(token: str) -> Response:
    """Back to the page without the token in the address, the cookie set."""
    answer = RedirectResponse("/", 303)
    answer.set_cookie(
        COOKIE,
        cookie_value(token),
        max_age=_COOKIE_DAYS * 86400,
        httponly=True,
        samesite="strict",
    )
    return answer


def _welcome() -> Response:
    """The page that asks for the token."""
    return Response(token_page(), 401, {"WWW-Authenticate": "Bearer"}, "text/html; charset=utf-8")


def _same_origin(headers: Headers, host: str) -> bool:
    """Browsers send Origin with every POST; programs send none and are let through."""
    origin = headers.get("origin")
    if origin is not None:
        return urlsplit(origin).netloc.lower() == host.lower()
    return headers.get("sec-fetch-site", "none") in ("same-origin", "none")


class _Limited:
    """A request body of at most `limit` bytes."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._limit = limit
        self._seen = 0

    async def receive(self) -> Message:
        """The next message.

        Raises:
            HTTPException: 413, the body is longer. What is still coming is read and thrown away
                up to the limit once more, since a browser reads no answer while it sends.
        """
        message = await self._receive()
        if message["type"] != "http.request":
            return message
        self._seen += len(message.get("body", b""))
        if self._seen <= self._limit:
            return message
        while message.get("more_body", False) and self._seen <= 2 * self._limit:
            message = await self._receive()
            if message["type"] != "http.request":
                break
            self._seen += len(message.get("body", b""))
        raise HTTPException(
            413,
            f"the upload is longer than {self._limit / 2**20:g} MB, the most that this box takes. "
            "Export the film alone, at the detector's own resolution or less.",
        )
