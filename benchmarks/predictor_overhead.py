"""What the predictor adds to the bare engine's run, beyond decoding, resizing and scaling.

Target: at most 50 us. Each turn runs the predictor, then scaling alone, then the engine alone on
the very same engine object, so that no second pool of threads disturbs; the median of the
differences counts. Of a pipeline its classifiers are measured, on crops; what the pipeline adds
is measured by `clinicedge profile`. --json prints the numbers alone.

    python benchmarks/predictor_overhead.py bundles/mobilenet-1.0-224
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

from _picking import add_bundle, pick_models

from clinicedge.runtime import Film, phantom
from clinicedge.runtime.bundle import Bundle
from clinicedge.runtime.classifier import Classifier, as_classifier
from clinicedge.runtime.engines.border import to_native
from clinicedge.runtime.errors import ClinicEdgeError
from clinicedge.runtime.images import resize, scale

TARGET_US = 50.0


def bare(predictor: Classifier, film: Film) -> Callable[[], object]:
    """The engine's own run with native tensors that are ready, outputs fetched."""
    session: Any = predictor._session
    tensor = predictor.tensor(film)
    engine = predictor.report.session.engine
    if engine == "onnxruntime":
        feed = {b.native: to_native(tensor, b) for _, b in session._in}
        return lambda: session._session.run(session._native_out, feed)
    if engine == "openvino":
        ports = {port: to_native(tensor, b) for _, port, b in session._in}
        return lambda: session._request.infer(ports, share_inputs=True)
    slots = [(index, to_native(tensor, b)) for _, index, b in session._in]
    outputs = [index for _, index, _ in session._out]
    interpreter = session._interpreter

    def run() -> object:
        for index, value in slots:
            interpreter.set_tensor(index, value)
        interpreter.invoke()
        return [interpreter.get_tensor(index) for index in outputs]

    return run


def measure(predictor: Classifier, turns: int) -> dict[str, object]:
    """Medians in microseconds."""
    spec = predictor.input
    film = phantom.draw(phantom.Phantom(seed=1, opacity=0.5))
    # At the network's size already: resizing is not part of the question and only adds noise.
    film = Film(resize(film.pixels, spec), None, film.source)
    engine = bare(predictor, film)
    jobs = (lambda: predictor.predict_crop(film), lambda: scale(film.pixels, spec), engine)
    times: list[tuple[float, ...]] = []
    for _ in range(turns + 10):
        row = []
        for job in jobs:
            start = time.perf_counter()
            job()
            row.append((time.perf_counter() - start) * 1e6)
        times.append(tuple(row))
    whole, scaling, alone = zip(*times[10:], strict=True)
    differences = [w - s - a for w, s, a in times[10:]]
    overhead = statistics.median(differences)
    return {
        "artifact": predictor.report.artifact,
        "threads": predictor.report.session.threads,
        "predict_us": round(statistics.median(whole), 1),
        "scale_us": round(statistics.median(scaling), 1),
        "engine_us": round(statistics.median(alone), 1),
        "overhead_us": round(overhead, 1),
        "target_us": TARGET_US,
        "met": overhead <= TARGET_US,
    }


def rows(bundle: Bundle, threads: int, turns: int) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for artifact in bundle.manifest.artifacts:
        try:
            predictor = as_classifier(bundle.predictor(precision=artifact.id, threads=threads))
        except ClinicEdgeError as err:
            found.append({"artifact": artifact.id, "not_measured": str(err)})
            continue
        found.append(measure(predictor, turns))
    return found


def show(name: str, result: list[dict[str, object]]) -> None:
    print(f"{name}: predictor over the bare engine, medians, target {TARGET_US} us")
    print(f"{'artifact':<24}{'predict':>10}{'scale':>9}{'engine':>10}{'overhead us':>13}  met")
    for row in result:
        if "not_measured" in row:
            print(f"{row['artifact']:<24}not measured: {row['not_measured']}")
            continue
        print(
            f"{row['artifact']:<24}{row['predict_us']:>10}{row['scale_us']:>9}"
            f"{row['engine_us']:>10}{row['overhead_us']:>13}  {'yes' if row['met'] else 'NO'}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_bundle(parser)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=500)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    bundles = [b for b in pick_models(options.bundle) if b.manifest.task == "classification"]
    found = {b.manifest.name: rows(b, options.threads, options.turns) for b in bundles}
    if options.json:
        told = [{"bundle": name, "rows": result} for name, result in found.items()]
        print(json.dumps(told, indent=1))
        return
    for name, result in found.items():
        show(name, result)


if __name__ == "__main__":
    main()
