"""`clinicedge install`: kept where this machine reproduces something of each model."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_bundles as tiny
from saturating import saturating

from clinicedge.runtime import Bundle, load
from clinicedge.runtime.pack import pack

from .conftest import Ran

Run = Callable[..., Ran]


@pytest.fixture
def half(tmp_path: Path) -> Bundle:
    """FP32 passes, INT8 does not."""
    return saturating(tmp_path / "source", off=0.5)


def test_what_fails_is_told_and_the_rest_is_installed(
    ce: Run, half: Bundle, tmp_path: Path
) -> None:
    file = tmp_path / "half.bundle.tar"
    pack(half, file)
    ran = ce("install", file, "--out", tmp_path / "here")
    assert ran.code == 0, ran.err
    assert "installed; what failed above is passed over on this machine" in ran.out
    assert load(tmp_path / "here/saturating").id == half.id
    again = ce("install", half.folder, "--out", tmp_path / "here", "--json")
    told = json.loads(again.out)
    assert told["unchanged"]
    assert told["health"]["usable"]
    assert not told["health"]["passed"]
    verdicts = {a["artifact"]: (a["acceptance"], a["detail"]) for a in told["health"]["artifacts"]}
    assert verdicts["onnx/fp32"][0] == "passed"
    assert verdicts["onnx/int8-static"][0] == "failed"
    assert "2 of 2 films failed" in verdicts["onnx/int8-static"][1]
    assert [p.name for p in (tmp_path / "here").iterdir()] == ["saturating"]


def test_nothing_is_kept_where_nothing_can_be_used(ce: Run, tmp_path: Path) -> None:
    bundle = tiny.binary(tmp_path / "source")
    acceptance = bundle.manifest.acceptance
    assert acceptance is not None
    wrong = tuple(
        replace(film, expected=(replace(film.expected[0], values=(9.0, -9.0)),))
        for film in acceptance.films
    )
    manifest = replace(bundle.manifest, acceptance=replace(acceptance, films=wrong))
    tiny.write(bundle.folder, manifest)
    ran = ce("install", bundle.folder, "--out", tmp_path / "here")
    assert ran.code == 1
    assert "NOT installed" in ran.out
    assert list((tmp_path / "here").iterdir()) == []


def test_a_changed_file_is_refused(ce: Run, half: Bundle, tmp_path: Path) -> None:
    file = half.folder / "artifacts/onnx/fp32/main.onnx"
    file.write_bytes(file.read_bytes()[:-1] + b"\0")
    ran = ce("install", half.folder, "--out", tmp_path / "here")
    assert ran.code == 2
    assert ran.err.startswith("error: ")
    assert list((tmp_path / "here").iterdir()) == []


def test_what_the_device_must_not_open_is_refused(ce: Run, half: Bundle, tmp_path: Path) -> None:
    ran = ce("install", half.folder, "--out", tmp_path / "here", "--require-signed")
    assert ran.code == 2
    assert list((tmp_path / "here").iterdir()) == []
