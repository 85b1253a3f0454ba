"""The application: everything opened and checked before the first request."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI

from . import guard, problems
from .cases import Desk
from .heat import HeatMaps
from .latest_films import LatestFilms
from .models_registry import open_models
from .offers import Phantoms, read_own
from .pictures import Pictures
from .routes import Server, api, pages
from .settings import Settings, check
from .start_log import log_models
from .store import Store
from .workers import Workers

# Newer versions of FastAPI can send traces where the environment tells them to; this one never
# does. Older versions take the word and do nothing with it.
_NO_TELEMETRY: Any = {"auto_configure": False, "tracing": False, "metrics": False, "logs": False}
_READERS = 2
_READ_QUEUE = 64
_MAP_QUEUE = 8


def create_app(settings: Settings) -> FastAPI:
    """Open bundles and cases, and build the application.

    Raises:
        SettingsError: it would be unsafe.
        BundleError, EngineError: a bundle cannot be used here.
        StoreError, OutputError: the folder of cases cannot be used.
        FilmError: the film of `settings.film` is none.
    """
    server = open_server(settings)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        close_server(server)

    app = FastAPI(
        title="clinicedge",
        version=version("clinicedge"),
        summary="Second opinion, not a diagnosis; not a medical device.",
        openapi_url="/api/openapi.json",
        # The pages that FastAPI would add load their script from elsewhere.
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        telemetry=_NO_TELEMETRY,
    )
    app.state.server = server
    problems.install(app)
    app.include_router(api(server))
    app.include_router(pages())
    app.add_middleware(guard.Guard, rules=guard.rules(settings))
    return app


def open_server(settings: Settings) -> Server:
    """What the routes need; as `create_app`."""
    check(settings)
    registry = open_models(settings.bundles, settings.wish, settings.default, settings.trust)
    log_models(registry)
    own = None
    if settings.film is not None:
        own = read_own(settings.film, registry.models[0].voi)
    store = Store(settings.data)
    films = LatestFilms()
    pictures = Pictures(store, registry, films)
    return Server(
        desk=Desk(store, registry, films),
        pictures=pictures,
        heat=HeatMaps(pictures),
        phantoms=Phantoms(),
        own=own,
        scoring=Workers("an answer", 1, settings.queue),
        reading=Workers("a page", _READERS, _READ_QUEUE),
        mapping=Workers("a heat map of many runs", 1, _MAP_QUEUE),
        max_upload_bytes=settings.max_upload_bytes,
    )


def close_server(server: Server) -> None:
    """Finish every job, then close the cases."""
    for model in server.desk.registry.models:
        model.close()
    server.mapping.close()
    server.scoring.close()
    server.reading.close()
    server.desk.close()
