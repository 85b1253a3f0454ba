"""`clinicedge verify` and `clinicedge doctor`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_bundles as tiny

from clinicedge.runtime.bundle import Bundle
from clinicedge.runtime.choices import machine_id

Command = Callable[..., Any]


def test_an_intact_bundle_passes(ce: Command, bundle: Bundle) -> None:
    ran = ce("verify", bundle.folder)
    assert ran.code == 0
    assert ran.out.strip().endswith("passed")
    assert "not made: signature, guard, temperature" in ran.out
    document = json.loads(ce("verify", bundle.folder, "--json").out)
    assert document["passed"]
    assert {a["artifact"] for a in document["artifacts"]} == {
        a.id for a in bundle.manifest.artifacts
    }


def test_a_changed_file_fails_by_name_and_the_rest_is_checked(ce: Command, bundle: Bundle) -> None:
    path = bundle.folder / bundle.artifact("onnx/int8-static").graphs[0].files[0].path
    path.write_bytes(path.read_bytes()[:-1])
    ran = ce("verify", bundle.folder, "--json")
    assert ran.code == 1
    rows = {a["artifact"]: a for a in json.loads(ran.out)["artifacts"]}
    assert rows["onnx/int8-static"]["files"] == "changed"
    assert path.name in rows["onnx/int8-static"]["detail"]
    assert all(
        r["acceptance"] == "passed" for name, r in rows.items() if name != "onnx/int8-static"
    )


def test_a_changed_acceptance_film_fails(ce: Command, bundle: Bundle) -> None:
    assert bundle.manifest.acceptance is not None
    (bundle.folder / bundle.manifest.acceptance.films[0].file.path).write_bytes(b"x")
    ran = ce("verify", bundle.folder)
    assert ran.code == 1
    assert "FAILED" in ran.out


def test_answers_outside_the_tolerance_fail(ce: Command, bundle: Bundle) -> None:
    manifest = bundle.folder / "bundle.json"
    data = json.loads(manifest.read_bytes())
    for expected in data["acceptance"]["films"][0]["expected"]:
        expected["values"] = [v + 1.0 + 2 * expected["tolerance"] for v in expected["values"]]
    manifest.write_text(json.dumps(data))
    ran = ce("verify", bundle.folder)
    assert ran.code == 1
    assert "scores differ by" in ran.out


def test_all_members_of_a_pipeline_are_checked(ce: Command, tmp_path: Path) -> None:
    classifier = tiny.binary(tmp_path / "c", "tiny-lung-crop", tiny.Scores(region="lungs"))
    bundle = tiny.on_lungs(tmp_path / "p", classifier, tiny.masks(tmp_path / "l"))
    ran = ce("verify", bundle.folder)
    assert ran.code == 0
    assert ran.out.strip().endswith("passed")
    rows = json.loads(ce("verify", bundle.folder, "--json").out)["artifacts"]
    assert [(r["member"], r["acceptance"]) for r in rows] == [
        ("lungs", "passed"),
        ("classifier", "passed"),
    ]
    assert "tuned classifier: no" in ce("doctor", bundle.folder).out
    (bundle.folder / "members/tiny-lungs/bundle.json").unlink()
    ran = ce("verify", bundle.folder)
    assert ran.code == 1
    assert "names the member 'tiny-lungs' (lungs)" in " ".join(ran.out.split())
    assert ce("doctor", bundle.folder).code == 1


def test_no_bundle_is_refused(ce: Command, tmp_path: object) -> None:
    assert ce("verify", tmp_path).code == 2
    assert ce("doctor", tmp_path).code == 2


def test_doctor_knows_the_machine(ce: Command) -> None:
    ran = ce("doctor", "--json")
    assert ran.code == 0
    document = json.loads(ran.out)
    assert document["machine"]["id"] == machine_id()
    assert document["healthy"]
    assert document["bundle"] is None
    working = {e["name"] for e in document["engines"] if e["version"] and not e["problem"]}
    assert "onnxruntime" in working
    assert document["packages"]["pydicom"]
    assert document["room"]["disk_mb"] > 0
    assert "works" in ce("doctor").out


def test_doctor_checks_the_bundle(ce: Command, bundle: Bundle) -> None:
    ran = ce("doctor", bundle.folder)
    assert ran.code == 0
    assert "tuned: no" in ran.out
    assert "healthy" in ran.out
    path = bundle.folder / bundle.artifact("onnx/int8-static").graphs[0].files[0].path
    path.write_bytes(b"")
    ran = ce("doctor", bundle.folder)
    assert ran.code == 1
    assert "NOT healthy" in ran.out


def test_doctor_says_which_engine_does_not_load(
    ce: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    ran = ce("doctor", "--json")
    assert ran.code == 1
    engines = json.loads(ran.out)["engines"]
    assert all(e["problem"] for e in engines if e["version"])
