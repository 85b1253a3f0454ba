"""Weights files: where they are looked for, and that nothing but the right one loads."""

import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from clinicedge.models import weights
from clinicedge.models.zoo import build, lung_crop_names, names, spec
from clinicedge.runtime.errors import CheckpointError, WeightsMissingError
from clinicedge.runtime.spec import ModelSpec

NAME = "mobilenet-0.25-128"


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    path = tmp_path / f"{NAME}.safetensors"
    weights.save(build(NAME), path, NAME)
    return path


def test_what_was_saved_is_loaded_rounded_to_fp16(saved: Path) -> None:
    torch.manual_seed(1)
    source, target = build(NAME), build(NAME)
    weights.load_into(target, saved)
    assert not target.training
    for key, value in source.state_dict().items():
        if value.is_floating_point():
            assert torch.equal(target.state_dict()[key], value.half().float())


def test_same_values_same_bytes(saved: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    weights.save(build(NAME), tmp_path / "again.safetensors", NAME)
    assert (tmp_path / "again.safetensors").read_bytes() == saved.read_bytes()
    assert saved.stat().st_size < 2.2 * 219_058


def test_the_given_folder_comes_first(saved: Path, tmp_path: Path) -> None:
    assert weights.find(spec(NAME), [tmp_path / "none", tmp_path]) == saved


def test_missing_weights_are_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "CLONE_FOLDER", tmp_path / "clone")
    with pytest.raises(WeightsMissingError) as caught:
        weights.find(spec(NAME), [tmp_path])
    text = str(caught.value)
    assert f"{NAME}.safetensors" in text
    assert str(tmp_path) in text
    assert f"clinicedge train {NAME}" in text


def test_missing_and_unexpected_tensors_are_listed(saved: Path) -> None:
    tensors = load_file(saved)
    tensors["head.weight"] = tensors.pop("classifier.weight")
    save_file(tensors, saved)
    with pytest.raises(CheckpointError) as caught:
        weights.load_into(build(NAME), saved)
    assert "missing classifier.weight" in str(caught.value)
    assert "unexpected head.weight" in str(caught.value)


def test_weights_of_another_width_are_refused(saved: Path) -> None:
    with pytest.raises(CheckpointError, match="has shape"):
        weights.load_into(build("mobilenet-0.5-160"), saved)


@pytest.mark.parametrize("content", [b"", b"not a file of tensors", b"\x10" * 64])
def test_a_damaged_file_is_refused(saved: Path, content: bytes) -> None:
    saved.write_bytes(content)
    with pytest.raises(CheckpointError, match="cannot read"):
        weights.load_into(build(NAME), saved)


def test_values_beyond_fp16_are_refused(tmp_path: Path) -> None:
    network = build(NAME)
    with torch.no_grad():
        network.get_parameter("classifier.bias").fill_(1e5)
    with pytest.raises(CheckpointError, match=r"classifier\.bias.*fp16"):
        weights.save(network, tmp_path / "x.safetensors", NAME)
    assert not (tmp_path / "x.safetensors").exists()


def answers(network: torch.nn.Module, model: ModelSpec) -> tuple[torch.Tensor, ...]:
    """All outputs on a black film; a promptable model is asked with its middle half."""
    height, width = model.input.height, model.input.width
    asked = [torch.zeros(1, *model.input.shape)]
    if model.task == "promptable-segmentation":
        box = [width / 4, height / 4, width * 3 / 4, height * 3 / 4]
        asked.append(torch.tensor([box]))
    with torch.inference_mode():
        found = network(*asked)
    return found if isinstance(found, tuple) else (found,)


@pytest.mark.parametrize(("name", "count"), [("medsam2-mini-192-lungs", 2), ("lungs-128", 1)])
def test_a_network_is_asked_as_its_task_wants(name: str, count: int) -> None:
    assert len(answers(build(name).eval(), spec(name))) == count


SHIPPED = [
    name
    for name in (*names(), *lung_crop_names())
    if (weights.CLONE_FOLDER / f"{name}.safetensors").is_file()
]


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_weights_fit_and_agree_with_their_card(name: str) -> None:
    path = weights.CLONE_FOLDER / f"{name}.safetensors"
    network = build(name)
    weights.load_into(network, path)
    card = path.with_suffix(".md").read_text(encoding="utf-8")
    figures = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert figures["weights_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert figures["weights_sha256"] in card
    assert "econd opinion, not a diagnosis; not a medical device" in card
    model = spec(name)
    for words in (model.weights.attribution, model.intended_use.statement, "CC BY", "Not for"):
        assert words in card
    for answer in answers(network, model):
        assert torch.isfinite(answer).all()
