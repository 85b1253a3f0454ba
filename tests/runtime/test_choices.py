"""The record of `clinicedge tune`: written once, read back, never fatal."""

import subprocess
import sys
from pathlib import Path

import pytest

from clinicedge.runtime import choices
from clinicedge.runtime.choices import Choice
from clinicedge.runtime.errors import OutputError

BUNDLE = "ab" * 32
CHOICE = Choice("onnx/int8-static", "int8", "onnxruntime", 2, "onnxruntime 1.31.1")


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLINICEDGE_STATE", str(tmp_path / "state"))


def test_a_choice_comes_back() -> None:
    assert choices.read_choice(BUNDLE) is None
    path = choices.write_choice(BUNDLE, CHOICE)
    assert path.is_file()
    assert choices.read_choice(BUNDLE) == CHOICE
    assert choices.read_choice("cd" * 32) is None
    assert choices.forget_choice(BUNDLE)
    assert not choices.forget_choice(BUNDLE)


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"schema": 1}', b"\xff\xfe"])
def test_a_damaged_record_means_not_tuned(damage: bytes) -> None:
    choices.write_choice(BUNDLE, CHOICE).write_bytes(damage)
    assert choices.read_choice(BUNDLE) is None


def test_a_record_of_another_bundle_is_not_taken(tmp_path: Path) -> None:
    path = choices.write_choice(BUNDLE, CHOICE)
    other = "cd" * 32
    path.rename(choices.choice_path(other))
    assert choices.read_choice(other) is None


def test_an_unwritable_state_folder_is_an_output_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("CLINICEDGE_STATE", str(tmp_path / "file"))
    with pytest.raises(OutputError, match="cannot write"):
        choices.write_choice(BUNDLE, CHOICE)


def test_state_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLINICEDGE_STATE")
    monkeypatch.setenv("XDG_STATE_HOME", "/somewhere")
    assert choices.state_folder() == Path("/somewhere/clinicedge")
    monkeypatch.delenv("XDG_STATE_HOME")
    assert choices.state_folder() == Path.home() / ".local" / "state" / "clinicedge"


def test_machine_id_is_stable_across_processes() -> None:
    code = "from clinicedge.runtime.choices import machine_id; print(machine_id())"
    seen = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert seen == choices.machine_id()
    assert len(seen) == 16
