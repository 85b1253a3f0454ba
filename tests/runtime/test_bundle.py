"""What `load` accepts, what it refuses, and in which words."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clinicedge.runtime import Bundle, load
from clinicedge.runtime.bundle import parse_manifest
from clinicedge.runtime.errors import (
    ArtifactError,
    ClinicEdgeError,
    IntegrityError,
    SchemaError,
)
from clinicedge.runtime.files import sha256_bytes
from clinicedge.runtime.records import dump_bytes


def edit(bundle: Bundle, change: Callable[[dict[str, Any]], None]) -> bytes:
    raw = json.loads((bundle.folder / "bundle.json").read_bytes())
    change(raw)
    return json.dumps(raw).encode()


def test_the_id_is_the_hash_of_the_manifest_and_rewriting_it_gives_the_same_bytes(
    handmade: Bundle,
) -> None:
    data = (handmade.folder / "bundle.json").read_bytes()
    assert handmade.id == sha256_bytes(data)
    assert dump_bytes(parse_manifest(data, "x")) == data


def test_a_path_to_the_manifest_itself_loads_too(handmade: Bundle) -> None:
    assert load(handmade.folder / "bundle.json") == handmade


def test_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"no bundle at .*expected a folder with bundle\.json"):
        load(tmp_path)


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'"text"', b"[1]", b"null"]
)
def test_bytes_that_are_no_manifest(data: bytes) -> None:
    with pytest.raises(SchemaError):
        parse_manifest(data, "bundle.json")


@pytest.mark.parametrize("version", [0, 2, "1", None, True, 1.5])
def test_an_unknown_schema_version_is_named(handmade: Bundle, version: object) -> None:
    data = edit(handmade, lambda raw: raw.__setitem__("schema", version))
    with pytest.raises(SchemaError, match="this clinicedge reads schema 1"):
        parse_manifest(data, "bundle.json")


def test_a_wrong_field_is_named_by_its_path(handmade: Bundle) -> None:
    def change(raw: dict[str, Any]) -> None:
        raw["artifacts"][0]["graphs"][0]["files"][0]["bytes"] = "many"

    with pytest.raises(
        SchemaError, match=r"artifacts\[0\]\.graphs\[0\]\.files\[0\]\.bytes.*'many'"
    ):
        parse_manifest(edit(handmade, change), "bundle.json")


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), 10**400, "0.5", None], ids=lambda v: type(v).__name__
)
def test_a_threshold_that_is_no_finite_number(handmade: Bundle, value: object) -> None:
    def change(raw: dict[str, Any]) -> None:
        raw["thresholds"][0]["value"] = value

    with pytest.raises(SchemaError, match=r"thresholds\[0\]\.value"):
        parse_manifest(edit(handmade, change), "bundle.json")


def test_a_missing_and_an_unknown_field_are_named(handmade: Bundle) -> None:
    with pytest.raises(SchemaError, match="'licence'"):
        parse_manifest(edit(handmade, lambda raw: raw.pop("licence")), "b")
    with pytest.raises(SchemaError, match="'colour'"):
        parse_manifest(edit(handmade, lambda raw: raw.update(colour=1)), "b")


def test_a_field_of_earlier_versions_passes_where_it_is_empty(handmade: Bundle) -> None:
    found = parse_manifest(edit(handmade, lambda raw: raw.update(temperature=None)), "b")
    assert found == handmade.manifest
    with pytest.raises(SchemaError, match="'temperature'"):
        parse_manifest(edit(handmade, lambda raw: raw.update(temperature=1.5)), "b")


@pytest.mark.parametrize("path", ["/etc/passwd", "../other/main.onnx", "a\\..\\b", ""])
def test_a_path_that_leaves_the_bundle(handmade: Bundle, path: str) -> None:
    def change(raw: dict[str, Any]) -> None:
        raw["artifacts"][0]["graphs"][0]["files"][0]["path"] = path

    with pytest.raises(SchemaError, match="leaves the bundle"):
        parse_manifest(edit(handmade, change), "bundle.json")


def test_labels_and_head_of_different_length(handmade: Bundle) -> None:
    def change(raw: dict[str, Any]) -> None:
        raw["outputs"][0]["labels"].append("THIRD")

    with pytest.raises(SchemaError, match="3 labels"):
        parse_manifest(edit(handmade, change), "bundle.json")


def test_an_artifact_hash_that_its_files_do_not_give(handmade: Bundle) -> None:
    def change(raw: dict[str, Any]) -> None:
        raw["artifacts"][0]["graphs"][0]["files"][0]["sha256"] = "0" * 64

    with pytest.raises(IntegrityError, match="onnx/fp32"):
        parse_manifest(edit(handmade, change), "bundle.json")


def test_one_changed_byte_of_an_artifact(handmade: Bundle) -> None:
    file = handmade.folder / "artifacts/onnx/fp32/main.onnx"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(IntegrityError, match=r"onnx/fp32 of 'handmade'.*changed after conversion"):
        handmade.check("onnx/fp32")
    with pytest.raises(IntegrityError):
        handmade.predictor()


def test_a_file_cut_short_and_a_missing_one(handmade: Bundle) -> None:
    file = handmade.folder / "artifacts/onnx/fp32/main.onnx"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(IntegrityError, match="cut short"):
        handmade.check_all()
    file.unlink()
    with pytest.raises(IntegrityError, match="missing"):
        handmade.check_all()


def test_an_unknown_artifact_lists_what_there_is(handmade: Bundle) -> None:
    with pytest.raises(ArtifactError, match=r"no artifact 'tflite/fp16'; it has onnx/fp32"):
        handmade.artifact("tflite/fp16")


def test_anothers_threshold_is_never_used(handmade: Bundle) -> None:
    assert handmade.threshold("onnx/fp32", "f32", "PNEUMONIA") == 0.5
    with pytest.raises(ArtifactError, match="no threshold"):
        handmade.threshold("onnx/fp32", "bf16", "PNEUMONIA")


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_damaged_manifest_loads_or_is_refused_in_our_words(
    handmade: Bundle, data: st.DataObject
) -> None:
    """Replace one value anywhere in the manifest by anything JSON can say."""
    raw = json.loads((handmade.folder / "bundle.json").read_bytes())
    node: Any = raw
    while isinstance(node, (dict, list)) and node:
        keys = sorted(node) if isinstance(node, dict) else list(range(len(node)))
        key = data.draw(st.sampled_from(keys))
        parent, node = node, node[key]
        if data.draw(st.integers(0, 3)) == 0:
            break
    scalar = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    parent[key] = data.draw(scalar | st.lists(scalar, max_size=2))
    with suppress(ClinicEdgeError):
        parse_manifest(json.dumps(raw).encode(), "bundle.json")
