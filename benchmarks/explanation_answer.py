"""How long a tablet waits for a heat map after the diagnosis, through the server.

"at once" follows the diagnosis of a film that is new to the server: what the network gave is
remembered, the map is made, laid over the film and drawn as PNG. "later" follows the diagnoses of
other films: the film is decoded and the networks run again. Target: at most 60 ms for ResNet50 INT8
on two threads, at once. Medians; --json prints the numbers alone.

    python benchmarks/explanation_answer.py bundles/resnet50-224-on-lungs
"""

import argparse
import http.client
import io
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from server import BOUNDARY, PAUSE_S, ServerError, form, installed, serving

from clinicedge.runtime import phantom

TARGET_MS = 60.0
AT_ONCE, LATER = ("eigen-cam", "grad-cam"), "eigen-grad-cam"
# The server remembers fewer films than this.
APART = 8
SIDE = 512


def films(number: int) -> Iterator[bytes]:
    """JPEGs of as many different phantoms."""
    for seed in range(number):
        drawn = phantom.Phantom(seed=seed, height=SIDE, width=SIDE, opacity=0.6, noise=5.0)
        stream = io.BytesIO()
        Image.fromarray(phantom.draw(drawn).pixels).save(stream, "JPEG", quality=85)
        yield stream.getvalue()


def diagnosed(connection: http.client.HTTPConnection, film: bytes) -> str | None:
    """The explanation's address of a new case; None where the film got no score."""
    kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY.decode()}"}
    connection.request("POST", "/api/v1/cases", form(film), kind)
    told = json.loads(connection.getresponse().read())
    address: str | None = told.get("links", {}).get("explanation")
    return address


def explained(connection: http.client.HTTPConnection, address: str) -> float | None:
    """Milliseconds from asking to having the picture; None where there is none."""
    begun = time.perf_counter()
    connection.request("GET", address)
    answer = connection.getresponse()
    answer.read()
    took = (time.perf_counter() - begun) * 1000
    return took if answer.status == 200 else None


def measure(bundle: Path, engine: str, number: int) -> dict[str, object]:
    """Median milliseconds at once by method, on `number` films each, and later."""
    times: dict[str, list[float]] = {method: [] for method in (*AT_ONCE, LATER)}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CLINICEDGE_STATE"] = str(Path(folder) / "state")
        with serving(bundle, engine, Path(folder) / "cases") as (_, port, _):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            addresses = []
            for film in films(number + APART):
                addresses.append(diagnosed(connection, film))
                for method in AT_ONCE:
                    times[method] += asked(connection, addresses[-1], method)
            for address in addresses[:-APART]:
                times[LATER] += asked(connection, address, LATER)
            connection.close()
    # The first answers of a server warm it.
    kept = {method: values[2:] for method, values in times.items() if len(values) > 2}
    medians = {method: round(statistics.median(values), 2) for method, values in kept.items()}
    worst = max((medians[m] for m in AT_ONCE if m in medians), default=None)
    return {
        "engine": engine,
        "films": min(map(len, kept.values()), default=0),
        "at_once_median_ms": {m: medians.get(m) for m in AT_ONCE},
        "later_median_ms": {LATER: medians.get(LATER)},
        "met": worst is not None and worst <= TARGET_MS,
    }


def asked(
    connection: http.client.HTTPConnection, address: str | None, method: str
) -> tuple[float, ...]:
    """Milliseconds of one map; () where there is none."""
    if address is None:
        return ()
    # Engines spin for a while after a run.
    time.sleep(PAUSE_S)
    took = explained(connection, f"{address}?method={method}")
    return () if took is None else (took,)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path("bundles/resnet50-224-on-lungs")
    parser.add_argument("bundle", type=Path, nargs="?", default=default)
    parser.add_argument("--films", type=int, default=22)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not options.bundle.is_dir():
        raise SystemExit(f"not measured: no bundle at {options.bundle}; make it with `convert`")
    try:
        rows = [measure(options.bundle, engine, options.films) for engine in installed()]
    except ServerError as err:
        raise SystemExit(str(err)) from err
    if options.json:
        print(json.dumps({"bundle": str(options.bundle), "target_ms": TARGET_MS, "rows": rows}))
        return
    print(f"{options.bundle.name}, INT8, two threads, target {TARGET_MS:.0f} ms for ResNet50")
    for row in rows:
        print(row)


if __name__ == "__main__":
    main()
