"""The server as a process: start, kill, stop, and what it refuses to start with."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest

from clinicedge.edge_server.pictures import png
from clinicedge.edge_server.serving import bind
from clinicedge.edge_server.settings import Settings
from clinicedge.runtime import CAUTION, decode_film, phantom

COMMAND = (sys.executable, "-c", "from clinicedge.cli import main; main()", "serve")
LOADED = (
    "import sys, clinicedge.edge_server.app, clinicedge.edge_server.serving; "
    "print(sorted({'torch', 'tensorflow', 'keras', 'onnxruntime', 'openvino', 'pydicom', "
    "'matplotlib', 'clinicedge.models', 'clinicedge.convert'} & set(sys.modules)))"
)


@dataclass(frozen=True, eq=False)
class Running:
    """A server process, its address and what it printed until it was ready."""

    process: subprocess.Popen[str]
    url: str
    printed: str


@contextmanager
def started(bundle: Path, data: Path, *more: str) -> Iterator[Running]:
    words = [*COMMAND, str(bundle), "--port", "0", "--data", str(data), "--threads", "1", *more]
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment()
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        printed = process.stdout.readline()
        while CAUTION not in printed:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            printed += line
        url = printed.split("open ")[1].split()[0].split("?")[0].rstrip("/")
        yield Running(process, url, printed)
    finally:
        process.kill()
        process.wait(30)
        process.stdout.close()
        process.stderr.close()


def clean_environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k != "CLINICEDGE_TOKEN"}


def refused(*words: object) -> str:
    """What stderr says when the server does not start."""
    done = subprocess.run(
        [*COMMAND, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=clean_environment(),
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def films() -> tuple[bytes, ...]:
    """Six small phantoms, all different."""
    small = replace(phantom.Phantom(), height=96, width=128)
    return tuple(phantom.encode_png(phantom.draw(replace(small, seed=s))) for s in range(6))


def post_until_killed(url: str, films: tuple[bytes, ...], seen: dict[str, bytes]) -> None:
    """Post films one after the other; `seen` gets what was acknowledged."""
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
        number = 0
        while True:
            film = films[number % len(films)]
            number += 1
            try:
                answer = client.post("/api/v1/cases", files={"film": ("film.png", film)})
            except httpx.HTTPError:
                return
            if answer.status_code == 201:
                seen[answer.headers["location"]] = film


@pytest.mark.parametrize("acknowledged", [1, 6, 13])
def test_nothing_acknowledged_is_lost_by_kill_9(
    tiny_bundle: Path, tmp_path: Path, films: tuple[bytes, ...], acknowledged: int
) -> None:
    data = tmp_path / "cases"
    seen: dict[str, bytes] = {}
    with started(tiny_bundle, data) as first:
        posters = [
            threading.Thread(target=post_until_killed, args=(first.url, films, seen))
            for _ in range(3)
        ]
        for poster in posters:
            poster.start()
        while len(seen) < acknowledged:
            threading.Event().wait(0.001)
        first.process.send_signal(signal.SIGKILL)
        for poster in posters:
            poster.join(30)
        assert first.process.wait(30) == -signal.SIGKILL
    with started(tiny_bundle, data) as second:
        with httpx.Client(base_url=second.url, timeout=30, trust_env=False) as client:
            for address, film in seen.items():
                case = client.get(address).json()
                assert (data / case["film"]["file"]).read_bytes() == film
                assert case["predictions"][0]["score"] >= 0
                image = client.get(case["links"]["image"]).content
                assert image == png(decode_film(film, "film.png").pixels)
            total = client.get("/api/v1/cases").json()["total"]
            assert total >= len(seen)
        kept = list((data / "films").glob("*/*"))
        assert len(kept) == total, "a film without a case, or a case without a film"
        assert not list((data / "incoming").iterdir())


def test_a_stop_finishes_what_is_under_way(
    tiny_bundle: Path, tmp_path: Path, films: tuple[bytes, ...]
) -> None:
    with started(tiny_bundle, tmp_path / "cases") as running:
        seen: dict[str, bytes] = {}
        poster = threading.Thread(target=post_until_killed, args=(running.url, films, seen))
        poster.start()
        while len(seen) < 3:
            threading.Event().wait(0.001)
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(30) in (0, -signal.SIGTERM)
        poster.join(30)
        assert running.process.stderr is not None
        assert "Traceback" not in running.process.stderr.read()
    kept = list((tmp_path / "cases" / "films").glob("*/*"))
    assert len(kept) >= len(seen) >= 3
    assert not (tmp_path / "cases" / "cases.sqlite-wal").exists(), "the log was not folded in"


def test_it_says_where_it_is_and_what_it_is_not(tiny_bundle: Path, tmp_path: Path) -> None:
    with started(tiny_bundle, tmp_path / "cases") as running:
        assert running.url.startswith("http://127.0.0.1:")
        assert str(tmp_path / "cases") in running.printed
        assert CAUTION in running.printed
        assert httpx.get(running.url, trust_env=False).status_code == 200


def test_an_open_server_never_prints_its_token(tiny_bundle: Path, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("a-secret-of-this-box\n", encoding="utf-8")
    more = ("--host", "0.0.0.0", "--token-file", str(token))
    with started(tiny_bundle, tmp_path / "cases", *more) as running:
        assert "?token=TOKEN" in running.printed
        assert "a-secret" not in running.printed


def test_the_film_of_the_command_line_is_offered(
    tiny_bundle: Path, tmp_path: Path, films: tuple[bytes, ...]
) -> None:
    film = tmp_path / "phim của tôi.png"
    film.write_bytes(films[0])
    with (
        started(tiny_bundle, tmp_path / "cases", "--film", str(film)) as running,
        httpx.Client(base_url=running.url, trust_env=False) as client,
    ):
        offered = client.get("/api/v1/film").json()["film"]
        assert offered["name"] == film.name
        assert client.get(offered["url"]).content == films[0]
        assert client.get(offered["preview"]).headers["content-type"] == "image/png"


def test_a_taken_port_is_told(tiny_bundle: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        said = refused(tiny_bundle, "--port", port, "--data", tmp_path / "cases")
    assert str(port) in said
    assert "--port" in said
    assert not (tmp_path / "cases").exists()


def test_what_it_refuses_to_start_with(tiny_bundle: Path, tmp_path: Path) -> None:
    data = ("--data", tmp_path / "cases")
    assert "token" in refused(tiny_bundle, "--host", "0.0.0.0", *data)
    assert "no bundle" in refused(tmp_path, "--port", 0, *data)
    assert "none.png" in refused(tiny_bundle, "--port", 0, "--film", tmp_path / "none.png", *data)
    assert "abacus" in refused(tiny_bundle, "--port", 0, "--engine", "abacus", *data)
    assert "--host" in refused(
        tiny_bundle, "--port", 0, "--host", "192.0.2.77", "--token", "x" * 16
    )
    assert not (tmp_path / "cases").exists()


def test_neither_a_trainer_nor_a_converter_is_loaded() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


def test_answers_do_not_wait_for_fuller_packets(tiny_bundle: Path, tmp_path: Path) -> None:
    settings = Settings((tiny_bundle,), tmp_path / "cases", port=0)
    with bind(settings) as listener:
        address = listener.getsockname()
        with socket.create_connection(address[:2]), accepted(listener) as connection:
            # What asyncio looks at before it sets TCP_NODELAY.
            assert connection.proto == socket.IPPROTO_TCP


def accepted(listener: socket.socket) -> socket.socket:
    listener.settimeout(10)
    return listener.accept()[0]
