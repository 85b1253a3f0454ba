"""Files that want to run code, are damaged or of another kind are refused with words."""

import os
import pickle
from pathlib import Path

import pytest
import torch
from checkpoint_files import SMALL, refusal, saved, small
from hypothesis import given, settings
from hypothesis import strategies as st

from clinicedge.models.mobilenet import MobileNetV1
from clinicedge.models.tensor_files import read_tensors
from clinicedge.runtime.errors import CheckpointError


class Evil:
    """Runs a command where it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.target}",)


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle"])
def test_a_pickle_that_wants_to_run_code_does_not(tmp_path: Path, form: str) -> None:
    target, path = tmp_path / "ran", tmp_path / "evil.pth"
    content = {"state_dict": small(), "extra": Evil(target)}
    if form == "pickle":
        path.write_bytes(pickle.dumps(Evil(target)))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    text = refusal(SMALL, path)
    assert "wants to run code" in text
    assert "system" in text
    assert "weights_only" not in text
    assert not target.exists()
    # The bait works: a reader that trusts the file runs it.
    if form == "pickle":
        pickle.loads(path.read_bytes())
        assert target.exists()


def test_a_whole_pickled_network_is_refused_with_what_to_do(tmp_path: Path) -> None:
    text = refusal(SMALL, saved(tmp_path, MobileNetV1(0.25)))
    assert "MobileNetV1" in text
    assert "torch.save(network.state_dict(), FILE)" in text


def test_a_torchscript_program_is_refused(tmp_path: Path) -> None:
    class Program(torch.jit.ScriptModule):
        pass

    Program().save(str(tmp_path / "p.pt"))
    assert "TorchScript" in refusal(SMALL, tmp_path / "p.pt")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.pth", b"", "cannot read"),
        ("a.pth", b"not a checkpoint at all", "cannot read"),
        ("a.pth", b"\x89HDF\r\n\x1a\n" + bytes(100), "Keras HDF5"),
        ("a.pth", b"version https://git-lfs.github.com/spec/v1\noid sha256:", "git lfs pull"),
        ("a.pth", b"<!doctype html><html>", "web page"),
        ("model.ckpt-1.index", b"\0" * 40 + bytes.fromhex("57fb808b247547db"), "TensorFlow"),
        ("model.ckpt-1.data-00000-of-00001", bytes(64), "TensorFlow"),
        ("checkpoint", b'model_checkpoint_path: "model.ckpt-1"', "TensorFlow"),
        ("frozen.pb", b"\n\x10" + bytes(30), "TensorFlow"),
        ("a.safetensors", b"\x10" * 64, "cannot read"),
        ("a.onnx", b"\xff" * 64, "cannot read"),
        ("a.onnx", b"", "no initializers"),
    ],
)
def test_other_files(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert words in refusal(SMALL, tmp_path / name)


def test_a_missing_file(tmp_path: Path) -> None:
    assert "cannot read" in refusal(SMALL, tmp_path / "none.pth")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_cut_anywhere_is_refused(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "whole.pth"
    torch.save(small(), path, _use_new_zipfile_serialization=zipped)
    whole, cut = path.read_bytes(), tmp_path / "cut.pth"
    for share in (0.001, 0.01, 0.3, 0.9, 0.99, 0.9999):
        cut.write_bytes(whole[: int(len(whole) * share)])
        assert "cannot read" in refusal(SMALL, cut)


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=1, max_size=200), st.booleans())
def test_no_bytes_bring_it_down(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, pickled: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.pth"
    path.write_bytes(b"\x80\x02" + content if pickled else content)
    with pytest.raises(CheckpointError):
        read_tensors(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"epoch": 3, "optimizer": {}}, "found 'epoch', 'optimizer'"),
        ([1, 2], "found list"),
        (torch.zeros(3), "found Tensor"),
        ({3: torch.zeros(3)}, "found 3"),
        ({"state_dict": {}}, "no named tensors"),
        ({"a": torch.full((2,), float("nan"))}, "not finite"),
        ({"a": torch.eye(3).to_sparse()}, "sparse"),
    ],
)
def test_files_without_usable_tensors(tmp_path: Path, content: object, words: str) -> None:
    assert words in refusal(SMALL, saved(tmp_path, content))
