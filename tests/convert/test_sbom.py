"""The bill of materials: valid CycloneDX, the same every time, complete."""

import json

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from clinicedge.convert.options import Conversion
from clinicedge.convert.recipes import tool_versions
from clinicedge.convert.sbom import Subject, sbom_bytes, sbom_entry
from clinicedge.runtime.bundle import read_bundle
from clinicedge.runtime.files import sha256_bytes

SUBJECT = Subject("mobilenet-0.25-128", "1.0.0", "Apache-2.0", "a" * 64)


def test_it_is_cyclonedx_and_says_what_was_used() -> None:
    tools = tool_versions(("onnx",))
    data = sbom_bytes(SUBJECT, tools)
    assert data == sbom_bytes(SUBJECT, tools)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(data.decode()) is None
    document = json.loads(data)
    assert "serialNumber" not in document
    assert "timestamp" not in document["metadata"]
    assert document["metadata"]["component"]["hashes"][0]["content"] == "a" * 64
    found = {c["name"]: c for c in document["components"]}
    assert tools.items() <= {name: c["version"] for name, c in found.items()}.items()
    # What the named packages need is there too, each with its own needs.
    assert {"protobuf", "sympy"} <= set(found)
    refs = {d["ref"]: set(d.get("dependsOn", ())) for d in document["dependencies"]}
    assert found["onnx"]["bom-ref"] in refs[f"{SUBJECT.name}@{SUBJECT.version}"]
    assert found["protobuf"]["bom-ref"] in refs[found["onnx"]["bom-ref"]]
    assert set().union(*refs.values()) <= set(refs)
    assert all(c["purl"].startswith("pkg:pypi/") for c in found.values() if "purl" in c)


def test_the_manifest_s_entry() -> None:
    data = sbom_bytes(Subject("m", "1", "MIT", ""), {"numpy": "1"})
    entry = sbom_entry(data)
    assert (entry.sha256, entry.bytes) == (sha256_bytes(data), len(data))
    assert "hashes" not in json.loads(data)["metadata"]["component"]


def test_a_converted_bundle_carries_it_and_its_manifest_the_hash(converted: Conversion) -> None:
    bundle = read_bundle(converted.folder)
    assert bundle.manifest.sbom is not None
    assert bundle.manifest.provenance is not None
    document = json.loads((bundle.folder / bundle.manifest.sbom.path).read_bytes())
    found = {c["name"]: c["version"] for c in document["components"]}
    assert bundle.manifest.provenance.tools.items() <= found.items()
    bundle.check_all()
