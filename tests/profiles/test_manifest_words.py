"""Whatever differs between two manifests is told: nothing told, nothing different."""

import copy
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_bundles as tiny
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from clinicedge.profiles.bundle_diff import compare
from clinicedge.profiles.manifest_words import AREAS, manifest_changes
from clinicedge.runtime import Bundle, load
from clinicedge.runtime.bundle import parse_manifest
from clinicedge.runtime.errors import SchemaError
from clinicedge.runtime.manifest import Acceptance, Manifest
from clinicedge.runtime.records import from_json, to_json

DEMO = Path(__file__).parents[2] / "demo/mobilenet-0.5-160-on-lungs"
OURS = settings(max_examples=80, deadline=None)


@pytest.fixture(scope="module")
def rich() -> tuple[Bundle, Any]:
    """A classifier with all that convert records, and its manifest as JSON."""
    bundle = load(DEMO / "members/mobilenet-0.5-160-lung-crop")
    return bundle, to_json(bundle.manifest)


def told(bundle: Bundle, manifest: Manifest) -> list[str]:
    """What changed to a manifest that need not be on the disk."""
    other = Bundle(bundle.folder, manifest, "other")
    return [change.words for change in compare(bundle, other).changes]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every path of a JSON value, the inner ones too."""
    yield path
    if isinstance(value, (dict, list)):
        for key, below in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(below, (*path, key))


def changed(value: Any, draw: st.DataObject) -> Any:
    """Another value of the same kind: a float moved by its last bit, a row less, more or moved."""
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case float():
            return math.nextafter(value, math.inf)
        case str():
            return value + draw.draw(st.sampled_from("x1 "))
        case list() if value:
            at = draw.draw(st.integers(0, len(value) - 1))
            less = value[:at] + value[at + 1 :]
            ways: list[list[Any]] = [less, [*value, value[at]], value[::-1], []]
            return draw.draw(st.sampled_from(ways))
    return None


@OURS
@given(data=st.data())
def test_no_change_of_a_manifest_goes_untold(data: st.DataObject, rich: tuple[Bundle, Any]) -> None:
    """Anything anywhere, by the least that it can be."""
    bundle, plain = rich
    top = data.draw(st.sampled_from(sorted(plain)))
    raw = plain | {top: copy.deepcopy(plain[top])}
    *way, last = data.draw(st.sampled_from([p for p in places(raw[top], (top,)) if p]))
    holder = raw
    for key in way:
        holder = holder[key]
    holder[last] = changed(holder[last], data)
    try:
        manifest = from_json(Manifest, raw, "changed")
    except SchemaError:
        assume(False)
    assume(manifest != bundle.manifest)
    found = manifest_changes(bundle.manifest, manifest)
    assert found
    for change in found:
        # Counts may be equal, then the words say more: "3 → 3 (1 new, 1 gone)".
        assert change.words != f"{change.what}: {change.before} → {change.before}"
        assert change.area in AREAS
        assert len(change.words) < 1000


def test_other_bytes_and_equal_values(rich: tuple[Bundle, Any]) -> None:
    bundle, plain = rich
    other = json.dumps(dict(reversed(plain.items()))).encode()
    assert told(bundle, parse_manifest(other, "other")) == []


def with_tolerance(manifest: Manifest, *tolerances: float) -> Manifest:
    """One a film."""
    acceptance = manifest.acceptance
    assert acceptance is not None
    films = tuple(
        replace(film, expected=tuple(replace(e, tolerance=tolerance) for e in film.expected))
        for film, tolerance in zip(acceptance.films, tolerances, strict=True)
    )
    return replace(manifest, acceptance=Acceptance(films, acceptance.tried))


def test_the_acceptance_tolerance(tmp_path: Path) -> None:
    one = tiny.binary(tmp_path / "one")
    place = "acceptance.films[each].expected[onnx/fp32 f32 logits].tolerance: 0.001 → 99.0"
    assert told(one, with_tolerance(one.manifest, 99.0, 99.0)) == [f"{place}, on 2 films"]
    (both,) = told(one, with_tolerance(one.manifest, 99.0, 98.0))
    assert both == f"{place}, on acceptance/00.png; 2 films differ"
    (single,) = told(one, with_tolerance(one.manifest, 99.0, 0.001))
    assert single == place.replace("[each]", "[acceptance/00.png]")


def test_a_threshold_to_its_last_digit_and_its_rule(tmp_path: Path) -> None:
    one = tiny.binary(tmp_path / "one")
    (own,) = one.manifest.thresholds
    other = replace(own, value=0.500049, rule="Youden")
    assert told(one, replace(one.manifest, thresholds=(other,))) == [
        "threshold of onnx/fp32 PNEUMONIA f32: 0.5 → 0.500049",
        "thresholds[onnx/fp32 PNEUMONIA f32].rule: by hand → Youden",
    ]


def test_an_artifact_of_the_same_bytes_and_the_method_of_maps(tmp_path: Path) -> None:
    one = tiny.binary(tmp_path / "one")
    (own,) = one.manifest.artifacts
    artifact = replace(own, safe_on=("x86-64 AVX2",), computes=("f32", "bf16"))
    other = replace(one.manifest, artifacts=(artifact,), explanation_method="score-cam")
    assert told(one, other) == [
        "explanation_method: none → score-cam",
        "artifacts[onnx/fp32].computes: f32 → f32, bf16",
        "artifacts[onnx/fp32].safe_on: none → x86-64 AVX2",
    ]


def test_the_head_is_told_by_how_far_it_moved(tmp_path: Path) -> None:
    one = tiny.binary(tmp_path / "one")
    head = one.manifest.head
    assert head is not None
    (words,) = told(one, replace(one.manifest, head=replace(head, weight=head.weight[::-1])))
    assert words.startswith("head.weight: [[-3.0, 3.0], [3.0, -3.0]] → [[3.0, -3.0], [-3.0, 3.0]]")
    assert words.endswith("; 2 of 2 differ")


def test_a_member_of_other_bytes_and_equal_values(tmp_path: Path) -> None:
    crop = tiny.binary(tmp_path / "c", "tiny-lung-crop", tiny.Scores(region="lungs"))
    lungs = tiny.masks(tmp_path / "l")
    one = tiny.on_lungs(tmp_path / "one", crop, lungs)
    file = lungs.folder / "bundle.json"
    file.write_bytes(file.read_bytes() + b"\n")
    other = tiny.on_lungs(tmp_path / "other", crop, load(lungs.folder))
    (change,) = compare(one, other).changes
    assert (change.area, change.what) == ("members", "member lungs")
