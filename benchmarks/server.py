"""The server as a clinic meets it: how soon it is ready, what it holds, how long a film takes.

For each engine of the bundle, in fresh processes: the time from the start of the command to the
first healthy answer (acceptance remembered from an earlier start; the very first start beside
it), resident memory at rest and after the films, and the answer to a 200 kB JPEG against decode,
resize and inference alone in a process of its own kind; of a pipeline, with all its networks.
The two take turns film by film, so a busy minute hits both. Everything runs with two threads.
--json prints the numbers alone.

    python benchmarks/server.py demo/mobilenet-0.5-160-on-lungs
"""

import argparse
import http.client
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from _picking import DEMO
from PIL import Image

from clinicedge.runtime import CAUTION, Predictor, decode_film, load, phantom
from clinicedge.runtime.engines import engines

THREADS = 2
READY_S = 1.5
RATIO = 1.5
RSS_MB = {"onnxruntime": 150, "litert": 150, "openvino": 220}
JPEG_BYTES = 200_000
PAUSE_S = 0.02
# From the command to the first healthy answer, at most.
DEADLINE_S = 120.0
BOUNDARY = b"clinicedge-benchmark"
COMMAND = (sys.executable, "-c", "from clinicedge.cli import main; main()", "serve")


class ServerError(RuntimeError):
    """The server did not start, or did not answer as it should."""


@dataclass(frozen=True)
class Row:
    """One engine. Milliseconds are medians; `ratio` is `answer_ms` over `alone_ms`."""

    engine: str
    artifact: str
    first_start_s: float
    ready_s: float
    rest_rss_mb: float
    rss_mb: float
    alone_ms: float
    answer_ms: float
    ratio: float
    met: bool


def jpeg() -> bytes:
    """A phantom of 1024 x 1024 in about 200 kB."""
    film = phantom.draw(phantom.Phantom(seed=3, height=1024, width=1024, opacity=0.6, noise=5.0))
    image = Image.fromarray(film.pixels)
    tries = []
    for quality in range(60, 96):
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=quality)
        tries.append(stream.getvalue())
    return min(tries, key=lambda data: abs(len(data) - JPEG_BYTES))


def form(film: bytes) -> bytes:
    """The multipart body that a browser sends."""
    head = b'Content-Disposition: form-data; name="film"; filename="film.jpg"\r\n'
    kind = b"Content-Type: image/jpeg\r\n\r\n"
    return b"--" + BOUNDARY + b"\r\n" + head + kind + film + b"\r\n--" + BOUNDARY + b"--\r\n"


@contextmanager
def serving(bundle: Path, engine: str, data: Path) -> Iterator[tuple[int, int, float]]:
    """(process id, port, seconds until healthy) of a fresh server."""
    words = [*COMMAND, str(bundle), "--port", "0", "--data", str(data), "--engine", engine]
    words += ["--precision", "int8", "--threads", str(THREADS)]
    begun = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    late = threading.Timer(DEADLINE_S, process.kill)
    late.start()
    try:
        port = announced(process)
        seconds = healthy(process, port, begun)
        late.cancel()
        yield process.pid, port, seconds
    finally:
        late.cancel()
        process.terminate()
        process.communicate()


def announced(process: subprocess.Popen[str]) -> int:
    """The port that a starting server prints.

    Raises:
        ServerError: it ended before.
    """
    port = 0
    for line in process.stdout or ():
        if line.startswith("open "):
            port = int(line.split("open ")[1].split("/")[2].rpartition(":")[2])
        if CAUTION in line and port:
            return port
    raise ended(process)


def ended(process: subprocess.Popen[str]) -> ServerError:
    """What to say of a server that is not there."""
    return ServerError(
        f"the server ended with exit code {process.wait()} before it was healthy; expected that "
        f"within {DEADLINE_S:.0f} s. Its own words stand above; `clinicedge serve` says more."
    )


def healthy(process: subprocess.Popen[str], port: int, begun: float) -> float:
    """Seconds from `begun` to the first 200 of /healthz.

    Raises:
        ServerError: the server ended before.
    """
    while process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                return time.perf_counter() - begun
        except OSError:
            time.sleep(0.005)
        finally:
            connection.close()
    raise ended(process)


def resident_mb(process_id: int) -> float:
    """Resident memory in MB of 10**6 bytes, as the kernel counts it."""
    pages = int(Path(f"/proc/{process_id}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def alone(predictor: Predictor, film: bytes) -> float:
    """Milliseconds of decode, resize and every inference in this process."""
    begun = time.perf_counter()
    predictor.predict(decode_film(film, "film.jpg"))
    return (time.perf_counter() - begun) * 1000


def answered(connection: http.client.HTTPConnection, body: bytes) -> float:
    """Milliseconds from sending a film to having its whole answer.

    Raises:
        ServerError: the answer is no case.
    """
    kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY.decode()}"}
    begun = time.perf_counter()
    connection.request("POST", "/api/v1/cases", body, kind)
    answer = connection.getresponse()
    told = answer.read()
    took = (time.perf_counter() - begun) * 1000
    if answer.status != 201:
        raise ServerError(f"the server answered a film with {answer.status}: {told[:300]!r}")
    return took


def installed() -> list[str]:
    """The engines that are here, of those with a target."""
    return [n for n, e in engines().items() if e.version() is not None and n in RSS_MB]


def measure(bundle: Path, engine: str, starts: int, films: int) -> Row:
    """All numbers of one engine."""
    predictor = load(bundle).predictor(engine, "int8", THREADS)
    film = jpeg()
    body = form(film)
    ready: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "cases"
        os.environ["CLINICEDGE_STATE"] = str(Path(folder) / "state")
        with serving(bundle, engine, data) as (_, _, first):
            pass
        for _ in range(starts):
            with serving(bundle, engine, data) as (_, _, seconds):
                ready.append(seconds)
        with serving(bundle, engine, data) as (process_id, port, _):
            rest = resident_mb(process_id)
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            for _ in range(5):
                alone(predictor, film)
                answered(connection, body)
            pairs = []
            for _ in range(films):
                # Engines spin for a while after a run; one process must not slow the other.
                time.sleep(PAUSE_S)
                here = alone(predictor, film)
                time.sleep(PAUSE_S)
                pairs.append((here, answered(connection, body)))
            rss = resident_mb(process_id)
            connection.close()
    alone_ms, answer_ms = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio, ready_s = answer_ms / alone_ms, statistics.median(ready)
    met = ready_s <= READY_S and rss <= RSS_MB.get(engine, 220) and ratio <= RATIO
    artifact = predictor.report.artifact
    return Row(
        engine=engine,
        artifact=artifact,
        first_start_s=round(first, 2),
        ready_s=round(ready_s, 2),
        rest_rss_mb=round(rest, 1),
        rss_mb=round(rss, 1),
        alone_ms=round(alone_ms, 2),
        answer_ms=round(answer_ms, 2),
        ratio=round(ratio, 2),
        met=met,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path, nargs="?", default=Path(DEMO))
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--films", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    load_before = os.getloadavg()[0]
    try:
        rows = [measure(options.bundle, n, options.starts, options.films) for n in installed()]
    except ServerError as err:
        sys.exit(str(err))
    if options.json:
        told = [asdict(row) for row in rows]
        print(json.dumps({"bundle": str(options.bundle), "load": load_before, "rows": told}))
        return
    size = len(jpeg()) / 1000
    print(f"{options.bundle}, film {size:.0f} kB JPEG 1024 x 1024, load before {load_before:.1f}")
    print("engine       artifact            first  ready    rest     RSS   alone  answer  ratio")
    for row in rows:
        print(
            f"{row.engine:<13}{row.artifact:<18}{row.first_start_s:>6.2f}s{row.ready_s:>6.2f}s"
            f"{row.rest_rss_mb:>6.0f}MB{row.rss_mb:>6.0f}MB{row.alone_ms:>6.1f}ms"
            f"{row.answer_ms:>6.1f}ms{row.ratio:>6.2f}  {'met' if row.met else 'NOT met'}"
        )
    print(f"targets: ready {READY_S} s, RSS {RSS_MB} MB, ratio {RATIO}")


if __name__ == "__main__":
    main()
