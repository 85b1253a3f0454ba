"""`clinicedge verify` and `clinicedge doctor`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_bundles as tiny

from clinicedge.runtime import load
from clinicedge.runtime.bundle import Bundle
from clinicedge.runtime.choices import machine_id

Command = Callable[..., Any]


@pytest.fixture
def classifier(bundle: Bundle) -> Bundle:
    """The demo's deciding member, in the demo's folder."""
    return dict(bundle.models())["classifier"]


def test_an_intact_bundle_passes(ce: Command, bundle: Bundle) -> None:
    ran = ce("verify", bundle.folder)
    assert ran.code == 0
    assert ran.out.strip().endswith("passed")
    assert "not made: signature, temperature\n" in ran.out, "its members were guarded"
    document = json.loads(ce("verify", bundle.folder, "--json").out)
    assert document["passed"]
    assert {(a["member"], a["artifact"]) for a in document["artifacts"]} == {
        (member, f"{name}/int8-guarded")
        for member in ("lungs", "classifier")
        for name in ("onnx", "openvino", "tflite")
    }


def test_a_classifier_of_whole_films_passes(ce: Command, plain: Bundle) -> None:
    ran = ce("verify", plain.folder, "--json")
    assert ran.code == 0
    assert {(a["member"], a["artifact"]) for a in json.loads(ran.out)["artifacts"]} == {
        ("", a.id) for a in plain.manifest.artifacts
    }


def test_a_changed_file_fails_by_name_and_the_rest_is_checked(
    ce: Command, bundle: Bundle, classifier: Bundle
) -> None:
    path = classifier.folder / classifier.artifact("onnx/int8-guarded").graphs[0].files[0].path
    path.write_bytes(path.read_bytes()[:-1])
    ran = ce("verify", bundle.folder, "--json")
    assert ran.code == 1
    rows = {(a["member"], a["artifact"]): a for a in json.loads(ran.out)["artifacts"]}
    changed = rows.pop(("classifier", "onnx/int8-guarded"))
    assert changed["files"] == "changed"
    assert path.name in changed["detail"]
    assert ("lungs", "onnx/int8-guarded") in rows
    assert all(r["acceptance"] == "passed" for r in rows.values())


@pytest.mark.parametrize("member", ["lungs", "classifier"])
def test_a_changed_acceptance_film_fails(ce: Command, bundle: Bundle, member: str) -> None:
    model = dict(bundle.models())[member]
    assert model.manifest.acceptance is not None
    (model.folder / model.manifest.acceptance.films[0].file.path).write_bytes(b"x")
    ran = ce("verify", bundle.folder, "--json")
    assert ran.code == 1
    failed = {a["member"] for a in json.loads(ran.out)["artifacts"] if a["acceptance"] == "failed"}
    assert failed == {member}
    assert "FAILED" in ce("verify", bundle.folder).out


def other_answers(folder: Path) -> None:
    manifest = folder / "bundle.json"
    data = json.loads(manifest.read_bytes())
    for expected in data["acceptance"]["films"][0]["expected"]:
        expected["values"] = [v + 1.0 + 2 * expected["tolerance"] for v in expected["values"]]
    manifest.write_text(json.dumps(data))


def test_answers_outside_the_tolerance_fail(ce: Command, plain: Bundle) -> None:
    other_answers(plain.folder)
    ran = ce("verify", plain.folder)
    assert ran.code == 1
    assert "scores differ by" in ran.out


def test_a_members_answers_outside_the_tolerance_fail(
    ce: Command, bundle: Bundle, classifier: Bundle
) -> None:
    other_answers(classifier.folder)
    ran = ce("verify", bundle.folder)
    assert ran.code == 1
    assert "mobilenet-0.5-160-lung-crop" in ran.out, "the pipeline names its member by its id"
    manifest = bundle.folder / "bundle.json"
    written = manifest.read_text().replace(classifier.id, load(classifier.folder).id)
    manifest.write_text(written)
    ran = ce("verify", bundle.folder, "--json")
    assert ran.code == 1
    rows = json.loads(ran.out)["artifacts"]
    assert {r["member"] for r in rows if r["acceptance"] == "failed"} == {"classifier"}
    assert all("scores differ by" in r["detail"] for r in rows if r["member"] == "classifier")


def test_all_members_of_a_pipeline_are_checked(ce: Command, tmp_path: Path) -> None:
    classifier = tiny.binary(tmp_path / "c", "tiny-lung-crop", tiny.Scores(region="lungs"))
    bundle = tiny.on_lungs(tmp_path / "p", classifier, tiny.masks(tmp_path / "l"))
    ran = ce("verify", bundle.folder)
    assert ran.code == 0
    assert ran.out.strip().endswith("passed")
    told = json.loads(ce("verify", bundle.folder, "--json").out)
    rows = told["artifacts"]
    assert told["not_made"] == ["signature", "guard", "temperature", "sbom"], "of its members"
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


def test_doctor_checks_the_bundle(ce: Command, bundle: Bundle, classifier: Bundle) -> None:
    ran = ce("doctor", bundle.folder)
    assert ran.code == 0
    assert "tuned lungs: no" in ran.out
    assert "tuned classifier: no" in ran.out
    assert "healthy" in ran.out
    assert "NOT healthy" not in ran.out
    path = classifier.folder / classifier.artifact("onnx/int8-guarded").graphs[0].files[0].path
    path.write_bytes(b"")
    ran = ce("doctor", bundle.folder)
    assert ran.code == 1
    assert "NOT healthy" in ran.out


def test_doctor_knows_a_model_alone_by_no_member(ce: Command, plain: Bundle) -> None:
    ran = ce("doctor", plain.folder)
    assert ran.code == 0
    assert "tuned: no" in ran.out


def test_doctor_says_which_engine_does_not_load(
    ce: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    ran = ce("doctor", "--json")
    assert ran.code == 1
    engines = json.loads(ran.out)["engines"]
    assert all(e["problem"] for e in engines if e["version"])
