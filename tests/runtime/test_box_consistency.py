"""Manifests of detectors and promptable models that do not hold together are refused."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_boxes as boxes
import tiny_bundles as tiny

from clinicedge.runtime import Bundle, load
from clinicedge.runtime.errors import SchemaError
from clinicedge.runtime.manifest import Graph, Manifest, TensorSpec, artifact_sha256
from clinicedge.runtime.spec import DetectionRules, ExplanationSpec, MaskRules

Change = Callable[[Manifest], dict[str, Any]]


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return boxes.detector(tmp_path_factory.mktemp("d"))


@pytest.fixture(scope="module")
def prompted(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return boxes.promptable(tmp_path_factory.mktemp("p"))


def refused(folder: Path, bundle: Bundle, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(SchemaError, match=words):
        tiny.write(folder, replace(bundle.manifest, **changes))


def output(manifest: Manifest, place: int, **changes: Any) -> dict[str, Any]:
    rows = list(manifest.outputs)
    rows[place] = replace(rows[place], **changes)
    return {"outputs": tuple(rows)}


def graphs(manifest: Manifest, *kept: Graph) -> dict[str, Any]:
    digest = artifact_sha256(f for graph in kept for f in graph.files)
    artifact = replace(manifest.artifacts[0], graphs=kept, sha256=digest)
    thresholds = tuple(replace(t, artifact_sha256=digest) for t in manifest.thresholds)
    return {"artifacts": (artifact,), "thresholds": thresholds}


def pair(manifest: Manifest) -> tuple[Graph, Graph]:
    encoder, decoder = manifest.artifacts[0].graphs
    return encoder, decoder


def rules(*values: float) -> dict[str, Any]:
    return {"detection": DetectionRules(*values)}  # type: ignore[arg-type]


def boxed(manifest: Manifest, *asked: tuple[float, float, float, float]) -> dict[str, Any]:
    assert manifest.acceptance is not None
    films = tuple(replace(f, boxes=asked) for f in manifest.acceptance.films)
    return {"acceptance": replace(manifest.acceptance, films=films)}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: {"detection": None}, "with the detection rules None; expected some"),
        (lambda m: rules(0.0, 10, 5), "expected nms_iou above 0"),
        (lambda m: rules(1.1, 10, 5), "expected nms_iou above 0"),
        (lambda m: rules(0.5, 10, 0), "max_boxes in 1..100"),
        (lambda m: rules(0.5, 200, 101), "max_boxes in 1..100"),
        (lambda m: rules(0.5, 10, 11), "max_candidates from there"),
        (lambda m: rules(0.5, 10_001, 11), "max_candidates from there to 10000"),
        (lambda m: {"outputs": m.outputs[:1]}, "expected one of logits and one of boxes"),
        (lambda m: {"outputs": m.outputs[1:]}, "expected one of logits and one of boxes"),
        (lambda m: output(m, 1, meaning="features"), "expected one of logits and one of boxes"),
        (lambda m: output(m, 1, shape=(48, 4)), r"expected \(N, labels\) with a sigmoid"),
        (lambda m: output(m, 1, shape=(49, 5)), r"its boxes \(49, 5\)"),
        (lambda m: output(m, 0, activation="softmax"), r"expected \(N, labels\) with a sigmoid"),
        (lambda m: output(m, 0, labels=("A", "B")), "has 2 labels and shape"),
        (lambda m: output(m, 0, labels=()), r"logits are \(49, 1\) with 0 labels"),
        (lambda m: output(m, 0, name="other"), "gives scores .* and not other"),
        (lambda m: graphs(m), "has the graphs none; expected one"),
        (lambda m: boxed(m, (0.0, 0.0, 4.0, 4.0)), "has 1 boxes; expected none"),
    ],
)
def test_a_detector(tmp_path: Path, detector: Bundle, change: Change, words: str) -> None:
    refused(tmp_path, detector, change(detector.manifest), words)


def swapped(manifest: Manifest, place: int, **tensors: tuple[TensorSpec, ...]) -> dict[str, Any]:
    rows = list(pair(manifest))
    rows[place] = replace(rows[place], **tensors)  # type: ignore[arg-type]
    return graphs(manifest, *rows)


BOX = TensorSpec("box", (1, 4))
EMBEDDING = TensorSpec("image_embedding", (1, 1, 8, 8))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: graphs(m, pair(m)[0]), "has the graphs encoder; expected encoder and decoder"),
        (lambda m: graphs(m, pair(m)[0], pair(m)[0]), "encoder, encoder; expected"),
        (lambda m: swapped(m, 1, inputs=(BOX, TensorSpec("embedding", (1, 1, 8, 8)))), "by name"),
        (lambda m: swapped(m, 1, inputs=(BOX, TensorSpec("unused", (1, 2, 8, 8)))), "and shape"),
        (lambda m: swapped(m, 1, inputs=(EMBEDDING,)), r"expected 'box' \(1, 4\)"),
        (lambda m: swapped(m, 1, inputs=(EMBEDDING, TensorSpec("box", (1, 5)))), "expected 'box'"),
        (lambda m: swapped(m, 0, inputs=(TensorSpec("x", (1, 3, 32, 32)),)), "film alone"),
        (lambda m: swapped(m, 0, inputs=(*pair(m)[0].inputs, BOX)), "film alone"),
        (lambda m: swapped(m, 1, outputs=pair(m)[1].outputs[1:]), "and not mask"),
        (
            lambda m: output(m, 0, meaning="features", labels=(), positive_label=None),
            "expected one mask of one label",
        ),
        (lambda m: output(m, 0, activation="none"), "one label with a sigmoid"),
        (lambda m: {"mask": MaskRules(0.0, 0, 0.01)}, "not blurred, so expected 0"),
        (lambda m: {"explanation": ExplanationSpec("mask", "x", False)}, "an explanation layer"),
        (lambda m: rules(0.5, 10, 5), "expected some of a detector alone"),
        (lambda m: boxed(m), "has 0 boxes; expected 1 to 100"),
        (lambda m: boxed(m, *((0.0, 0.0, 4.0, 4.0),) * 101), "has 101 boxes"),
        (lambda m: boxed(m, (4.0, 0.0, 4.0, 4.0)), "expected 0 <= x0 < x1"),
        (lambda m: boxed(m, (-1.0, 0.0, 4.0, 4.0)), "expected 0 <= x0 < x1"),
    ],
)
def test_a_promptable_model(tmp_path: Path, prompted: Bundle, change: Change, words: str) -> None:
    refused(tmp_path, prompted, change(prompted.manifest), words)


def test_two_graphs_of_another_task(tmp_path: Path, prompted: Bundle, detector: Bundle) -> None:
    one = detector.manifest.artifacts[0].graphs[0]
    refused(tmp_path, detector, graphs(detector.manifest, one, one), "main, main; expected one")


def test_what_holds_together_reads_back(detector: Bundle, prompted: Bundle) -> None:
    for bundle in (detector, prompted):
        again = load(bundle.folder)
        assert again.manifest == bundle.manifest
        again.check_all()
