"""A real server on a free port of this machine, and films to send to it."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest

from clinicedge.edge_server.routes import Server
from clinicedge.edge_server.settings import EngineWish, Settings
from clinicedge.runtime import phantom


@dataclass(frozen=True, eq=False)
class Box:
    """A running server: a client for it, its folder of cases and its inside."""

    client: httpx.Client
    data: Path
    url: str
    server: Server

    def post(self, film: bytes, name: str = "film.png", **fields: str) -> httpx.Response:
        """Send a film."""
        return self.client.post("/api/v1/cases", files={"film": (name, film)}, data=fields)

    def kept(self) -> list[str]:
        """Every file of a film in the folder, also those of half-done cases."""
        found = [*self.data.glob("films/*/*"), *self.data.glob("incoming/*")]
        return sorted(p.name for p in found)


Serve = Callable[[Settings], AbstractContextManager[Box]]


@pytest.fixture(scope="session", autouse=True)
def own_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Acceptance is remembered for these tests alone."""
    before = os.environ.get("CLINICEDGE_STATE")
    os.environ["CLINICEDGE_STATE"] = str(tmp_path_factory.mktemp("state"))
    yield
    if before is None:
        del os.environ["CLINICEDGE_STATE"]
    else:
        os.environ["CLINICEDGE_STATE"] = before


@pytest.fixture(scope="session")
def film_png() -> bytes:
    """A small phantom with a shadow, as PNG."""
    drawn = phantom.draw(replace(phantom.Phantom(seed=4, opacity=0.9), height=144, width=192))
    return phantom.encode_png(drawn)


@contextmanager
def running(settings: Settings) -> Iterator[Box]:
    """Serve in a thread of this process."""
    import uvicorn

    from clinicedge.edge_server.app import create_app
    from clinicedge.edge_server.serving import bind

    app = create_app(settings)
    with bind(settings) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        config = uvicorn.Config(app, log_level="critical", lifespan="on", http="h11", ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
                yield Box(client, settings.data, url, app.state.server)
        finally:
            server.should_exit = True
            thread.join(30)


@pytest.fixture
def serve() -> Serve:
    """Start a server with settings of one's own."""
    return running


@pytest.fixture
def plain(tiny_bundle: Path, tmp_path: Path) -> Settings:
    """Settings for a fresh folder, any free port, ONNX Runtime with one thread."""
    wish = EngineWish("onnxruntime", "auto", 1)
    return Settings((tiny_bundle,), tmp_path / "cases", port=0, wish=wish)


@pytest.fixture
def box(plain: Settings) -> Iterator[Box]:
    """A server with an empty folder of cases."""
    with running(plain) as found:
        yield found


@pytest.fixture(scope="module")
def shared_box(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """One server for tests that do not mind each other's cases."""
    wish = EngineWish("onnxruntime", "auto", 1)
    folder = tmp_path_factory.mktemp("shared") / "cases"
    with running(Settings((tiny_bundle,), folder, port=0, wish=wish)) as found:
        yield found
