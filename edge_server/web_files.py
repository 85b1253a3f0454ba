"""The page's own files, read once; nothing comes from anywhere else."""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "svg": "image/svg+xml",
    "webmanifest": "application/manifest+json",
}


@dataclass(frozen=True)
class WebFile:
    """A file of the page with its media type and entity tag."""

    data: bytes
    media_type: str
    etag: str


@cache
def web_file(name: str) -> WebFile | None:
    """A file of `web/`; None where there is none of that name."""
    kind = _TYPES.get(name.rpartition(".")[2])
    if kind is None or not name.replace(".", "").replace("-", "").isalnum():
        return None
    source = files("clinicedge.edge_server") / "web" / name
    if not source.is_file():
        return None
    data = source.read_bytes()
    return WebFile(data, kind, f'"{hashlib.sha256(data).hexdigest()[:24]}"')


def page() -> bytes:
    """The page."""
    return _html("index.html")


def token_page() -> bytes:
    """The page that asks for the token."""
    return _html("token.html")


def _html(name: str) -> bytes:
    found = web_file(name)
    if found is None:
        raise FileNotFoundError(f"clinicedge was installed without web/{name}; install it anew")
    return found.data
