"""What an explanation costs after inference, and what the feature output costs every inference.

Targets: Eigen-CAM of 7 x 7 x 2048 features at most 1 ms; the second output slows plain inference
by at most 3 %. The closed-form methods are timed on made features of the sizes of ResNet50,
DenseNet121 and MobileNet 0.5-160; the second output on the bundle's artifacts against
the same files without it, in turns. The SVD is what the publication writes. Medians.
--json prints the numbers alone.

    python benchmarks/explanations.py bundles/mobilenet-1.0-224
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

# As the commands have it, before numpy is there.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from _picking import add_bundle, pick_models

from clinicedge.runtime import phantom
from clinicedge.runtime.bundle import Bundle
from clinicedge.runtime.explanations.eigen_cam import eigen_cam
from clinicedge.runtime.explanations.eigen_grad_cam import eigen_grad_cam
from clinicedge.runtime.explanations.evidence import class_evidence
from clinicedge.runtime.explanations.grad_cam import grad_cam
from clinicedge.runtime.explanations.grad_cam_plus_plus import grad_cam_plus_plus
from clinicedge.runtime.explanations.heat import heat
from clinicedge.runtime.images import prepare

TARGET_MS = 1.0
TARGET_SHARE = 0.03
SHAPES = {"ResNet50": (2048, 7, 7), "DenseNet121": (1024, 7, 7), "MobileNet 0.5-160": (512, 5, 5)}
Job = Callable[[], object]


def by_svd(features: np.ndarray) -> np.ndarray:
    """As the publication writes it."""
    rows = features.reshape(len(features), -1).T
    rows = rows - rows.mean(axis=0)
    _, _, right = np.linalg.svd(rows, full_matrices=False)
    return np.asarray(rows @ right[0])


def medians(jobs: Sequence[Job], turns: int) -> list[float]:
    """Milliseconds of each, in turns so that a busy machine disturbs all alike."""
    times: list[list[float]] = [[] for _ in jobs]
    for _ in range(turns + 3):
        for kept, job in zip(times, jobs, strict=True):
            start = time.perf_counter()
            job()
            kept.append((time.perf_counter() - start) * 1e3)
    return [statistics.median(kept[3:]) for kept in times]


def closed_forms(turns: int) -> list[dict[str, object]]:
    """Map and scaling of each method, without the inference."""
    found: list[dict[str, object]] = []
    for name, shape in SHAPES.items():
        random = np.random.default_rng(1)
        features = np.maximum(random.normal(size=shape), 0).astype(np.float32)
        row = random.normal(size=shape[0]).astype(np.float32)
        jobs: dict[str, Job] = {
            "eigen-cam": lambda f=features, r=row: heat(eigen_cam(f, class_evidence(f, r))),  # type: ignore[misc]
            "grad-cam": lambda f=features, r=row: heat(grad_cam(f, r)),  # type: ignore[misc]
            "grad-cam++": lambda f=features, r=row: heat(grad_cam_plus_plus(f, r)),  # type: ignore[misc]
            "eigen-grad-cam": lambda f=features, r=row: heat(eigen_grad_cam(f, r)),  # type: ignore[misc]
            "(SVD)": lambda f=features: by_svd(f),  # type: ignore[misc]
        }
        for method, value in zip(jobs, medians(list(jobs.values()), turns), strict=True):
            found.append(
                {"features": name, "shape": shape, "method": method, "ms": round(value, 3)}
            )
    return found


def second_output(bundle: Bundle, turns: int, threads: int) -> list[dict[str, object]]:
    """The file as it is against the same file without its feature output."""
    found: list[dict[str, object]] = []
    spec = bundle.manifest.explanation
    if spec is None or bundle.manifest.input is None:
        return found
    tensor = prepare(phantom.draw(phantom.Phantom(seed=1, opacity=0.5)), bundle.manifest.input)
    for artifact in bundle.manifest.artifacts:
        open_pair = PAIRS.get(artifact.format)
        if open_pair is None:
            continue
        graph = artifact.graphs[0]
        native = next(b.native for b in graph.binding if b.name == spec.output)
        path = bundle.folder / graph.files[0].path
        without, both = medians(open_pair(path, native, tensor, threads), turns)
        found.append(
            {
                "bundle": bundle.manifest.name,
                "artifact": artifact.id,
                "without_ms": round(without, 3),
                "both_ms": round(both, 3),
                "share": round(both / without - 1, 4),
                "met": both / without - 1 <= TARGET_SHARE,
            }
        )
    return found


def onnx_pair(path: Path, features: str, tensor: np.ndarray, threads: int) -> tuple[Job, Job]:
    """Runs in ONNX Runtime without the output, and with it; no thread waits spinning."""
    import onnx
    import onnxruntime as ort

    settings = ort.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    model = onnx.load(str(path))
    with_features = ort.InferenceSession(model.SerializeToString(), settings)
    kept = [o for o in model.graph.output if o.name != features]
    del model.graph.output[:]
    model.graph.output.extend(kept)
    alone = ort.InferenceSession(model.SerializeToString(), settings)
    feed = {model.graph.input[0].name: tensor}
    return (lambda: alone.run(None, feed)), (lambda: with_features.run(None, feed))


def openvino_pair(path: Path, features: str, tensor: np.ndarray, threads: int) -> tuple[Job, Job]:
    """The same in OpenVINO."""
    import openvino

    core = openvino.Core()
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": "f32",
    }
    jobs: list[Job] = []
    for keep in (False, True):
        model = core.read_model(path)
        if not keep:
            (extra,) = (r for r in model.get_results() if features in r.input(0).get_tensor().names)
            model.remove_result(extra)
        request = core.compile_model(model, "CPU", settings).create_infer_request()
        jobs.append(lambda request=request: request.infer([tensor], share_inputs=True))  # type: ignore[misc]
    return jobs[0], jobs[1]


def tflite_pair(path: Path, features: str, tensor: np.ndarray, threads: int) -> tuple[Job, Job]:
    """The same in LiteRT; with the output as it is read there, copied."""
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer.utils import tfl_flatbuffer_utils as flatbuffer

    model = flatbuffer.read_model(str(path))
    graph = model.subgraphs[0]
    kept = [o for o in graph.outputs if graph.tensors[o].name.decode() != features]
    graph.outputs, model.signatureDefs = kept, []
    shortened = bytes(flatbuffer.flatbuffer_utils.convert_object_to_bytearray(model))
    jobs: list[Job] = []
    for content in (shortened, path.read_bytes()):
        interpreter = Interpreter(model_content=content, num_threads=threads)
        interpreter.allocate_tensors()
        (taken,) = interpreter.get_input_details()
        film = tensor if tuple(taken["shape"]) == tensor.shape else tensor.transpose(0, 2, 3, 1)
        interpreter.set_tensor(taken["index"], film)
        jobs.append(partial(_invoke, interpreter))
    return jobs[0], jobs[1]


def _invoke(interpreter: Any) -> list[np.ndarray]:
    interpreter.invoke()
    return [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]


PAIRS: dict[str, Callable[[Path, str, np.ndarray, int], tuple[Job, Job]]] = {
    "onnx": onnx_pair,
    "openvino": openvino_pair,
    "tflite": tflite_pair,
}


def show(forms: list[dict[str, object]], outputs: list[dict[str, object]]) -> None:
    print(f"after inference, medians, target {TARGET_MS} ms for eigen-cam of ResNet50's features")
    for row in forms:
        print(f"{row['features']:<20}{row['shape']!s:<16}{row['method']:<16}{row['ms']:>8} ms")
    print(f"the second output, target {TARGET_SHARE:.0%}")
    for row in outputs:
        print(
            f"{row['bundle']:<30}{row['artifact']:<20}{row['without_ms']:>8} ms alone"
            f"{row['both_ms']:>8} ms with features  {row['share']:+.1%}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_bundle(parser)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    forms = closed_forms(options.turns)
    outputs = [
        row
        for bundle in pick_models(options.bundle)
        for row in second_output(bundle, options.turns, options.threads)
    ]
    if options.json:
        print(json.dumps({"after_inference": forms, "second_output": outputs}, indent=1))
        return
    show(forms, outputs)


if __name__ == "__main__":
    main()
