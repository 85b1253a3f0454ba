"""What the recorded values are taken for: the same logits under other labels are no proof."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_boxes
import tiny_bundles as tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from clinicedge.runtime import Bundle, load
from clinicedge.runtime.acceptance import check_acceptance
from clinicedge.runtime.manifest import Expected
from clinicedge.runtime.recorded_values import (
    acceptance_values,
    label_scores,
    logit,
    other_labels,
)
from clinicedge.runtime.score_rules import temperatures_of
from clinicedge.runtime.spec import OutputSpec

BINARY = OutputSpec("logits", "logits", (2,), "softmax", ("N", "P"), "P")
FINDINGS = OutputSpec("logits", "logits", (3,), "sigmoid", ("A", "B", "C"), None)
MASK = OutputSpec("mask", "mask", (2, 16, 16), "sigmoid", ("T", "U"), None)
BOXES = OutputSpec("scores", "logits", (5, 2), "sigmoid", ("X", "Y"), None)
MAKERS: dict[str, Callable[[Path], Bundle]] = {
    "binary": tiny.binary,
    "findings": tiny.findings,
    "masks": tiny.masks,
    "detector": tiny_boxes.detector,
    "promptable": tiny_boxes.promptable,
}


def labelled(bundle: Bundle) -> Bundle:
    """With labels and scores in its record, as conversion writes it."""
    manifest = bundle.manifest
    assert manifest.acceptance is not None
    outputs = {output.name: output for output in manifest.outputs}

    def one(e: Expected) -> Expected:
        output = outputs[e.output]
        scaled = temperatures_of(manifest, e.artifact, e.compute, output)
        scores = label_scores(output, e.values, scaled)
        return replace(e, labels=output.labels, scores=scores)

    films = tuple(
        replace(film, expected=tuple(map(one, film.expected))) for film in manifest.acceptance.films
    )
    return tiny.write(
        bundle.folder, replace(manifest, acceptance=replace(manifest.acceptance, films=films))
    )


def edited(bundle: Bundle, change: Callable[[dict[str, Any]], None]) -> Bundle:
    path = bundle.folder / "bundle.json"
    raw = json.loads(path.read_bytes())
    change(raw)
    path.write_text(json.dumps(raw), encoding="utf-8")
    return load(bundle.folder)


@pytest.mark.parametrize("kind", MAKERS)
def test_the_record_of_each_kind_is_met(kind: str, tmp_path: Path) -> None:
    bundle = labelled(MAKERS[kind](tmp_path / "tiny"))
    assert bundle.manifest.acceptance is not None
    expected = bundle.manifest.acceptance.films[0].expected
    assert expected[0].labels == bundle.manifest.outputs[0].labels
    assert all(len(e.labels) == len(e.scores) for e in expected)
    result = check_acceptance(bundle, "onnx/fp32")
    assert result.passed, result.explain()


@pytest.mark.parametrize("kind", ["binary", "findings"])
def test_swapped_labels_fail(kind: str, tmp_path: Path) -> None:
    def swap(raw: dict[str, Any]) -> None:
        raw["outputs"][0]["labels"].reverse()

    bundle = edited(labelled(MAKERS[kind](tmp_path / "tiny")), swap)
    result = check_acceptance(bundle, "onnx/fp32")
    assert not result.passed
    one, other = bundle.manifest.outputs[0].labels
    assert f"the labels are {one}, {other}, recorded were {other}, {one}" in result.explain()


def test_a_renamed_mask_fails(tmp_path: Path) -> None:
    def rename(raw: dict[str, Any]) -> None:
        raw["outputs"][0] |= {"labels": ["OTHER"], "positive_label": "OTHER"}
        for threshold in raw["thresholds"]:
            threshold["label"] = "OTHER"

    bundle = edited(labelled(tiny.masks(tmp_path / "tiny")), rename)
    result = check_acceptance(bundle, "onnx/fp32")
    assert "the labels are OTHER, recorded were" in result.explain()


def test_logits_read_as_other_scores_fail(tmp_path: Path) -> None:
    def other(raw: dict[str, Any]) -> None:
        raw["outputs"][0]["activation"] = "sigmoid"

    def warmer(raw: dict[str, Any]) -> None:
        one = {"artifact": "onnx/fp32", "compute": "f32", "label": "PNEUMONIA", "value": 3.0}
        raw["temperatures"] = [one | {"data": "noise", "part": "select", "n_films": 9}]

    for number, change in enumerate((other, warmer)):
        bundle = edited(labelled(tiny.binary(tmp_path / str(number))), change)
        result = check_acceptance(bundle, "onnx/fp32")
        assert not result.passed
        assert "the score of NORMAL is" in result.explain()


def test_bundles_made_before_labels_were_recorded_pass(tmp_path: Path) -> None:
    def strip(raw: dict[str, Any]) -> None:
        for film in raw["acceptance"]["films"]:
            for expected in film["expected"]:
                del expected["labels"], expected["scores"]

    bundle = edited(labelled(tiny.binary(tmp_path / "tiny")), strip)
    assert check_acceptance(bundle, "onnx/fp32").passed


def test_scores_by_hand() -> None:
    assert label_scores(BINARY, (0.0, 0.0)) == (0.5, 0.5)
    assert label_scores(FINDINGS, (0.0, 2.0, -2.0)) == (0.5, 0.880797, 0.119203)
    assert label_scores(FINDINGS, (0.0, 2.0, -2.0), (1.0, 2.0, 1.0))[1] == 0.731059
    raw = np.zeros((3, 2, 16, 16), np.float32)
    raw[:, 0], raw[:, 1] = 1.0, -1.0
    values = acceptance_values(MASK, raw, 0.5)
    assert label_scores(MASK, values) == (0.731059, 0.268941)
    lines = np.array([[[0, 1], [2, 3], [4, 5], [6, 7], [-1, -9]]], np.float32)
    best = label_scores(BOXES, acceptance_values(BOXES, lines, 0.5))
    assert [round(logit(p), 1) for p in best] == [6.0, 7.0]
    assert label_scores(replace(BOXES, labels=()), (1.0,) * 20) == ()


@given(
    st.sampled_from([BINARY, FINDINGS]),
    st.lists(st.floats(-20, 20), min_size=3, max_size=3),
    st.lists(st.floats(-1, 1), min_size=3, max_size=3),
    st.floats(1e-3, 0.5),
    st.sampled_from([(), 0.3, 4.0]),
)
@settings(deadline=None)
def test_what_moves_within_the_tolerance_has_the_same_scores(
    output: OutputSpec, logits: list[float], moves: list[float], tolerance: float, scale: object
) -> None:
    count = len(output.labels)
    scaled = (scale,) * count if isinstance(scale, float) else ()
    values = tuple(logits[:count])
    scores = label_scores(output, values, scaled)
    expected = Expected("a", "f32", "logits", values, tolerance, output.labels, scores)
    moved = [v + tolerance * m for v, m in zip(values, moves, strict=False)]
    assert other_labels(output, expected, moved, scaled) == ""
    assert "recorded were" in other_labels(
        replace(output, labels=output.labels[::-1]), expected, moved, scaled
    )
