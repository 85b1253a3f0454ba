"""Checkpoints of YOLO-NAS as people have them: `ema_net`, `net`, bare; any number of classes."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from clinicedge.models import weights, zoo
from clinicedge.models.checkpoints import load_checkpoint
from clinicedge.models.fit import values
from clinicedge.models.yolo_nas.family import VARIANTS
from clinicedge.models.yolo_nas.network import YoloNas
from clinicedge.models.yolo_nas.sizes import TINY, M, Size
from clinicedge.runtime.errors import CheckpointError, WeightsMissingError

NAME = "yolo-nas-s-640"


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """The zoo's entry with hardly any channels: what is tried here does not hang on them."""
    monkeypatch.setitem(VARIANTS, NAME, replace(VARIANTS[NAME], size=TINY))


def state(size: Size, classes: int, value: float = 0.5) -> dict[str, Tensor]:
    """A state_dict of one value each: a file of a few kilobytes, however large the network."""
    with torch.device("meta"):
        network = YoloNas(size, classes)
    return {
        key: torch.tensor(value if like.is_floating_point() else 3, dtype=like.dtype).expand(
            like.shape
        )
        for key, like in network.state_dict().items()
    }


def saved(folder: Path, content: object) -> Path:
    torch.save(content, folder / "average_model.pth")
    return folder / "average_model.pth"


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("wrapper", ["ema_net", "net", None])
def test_each_layout_and_any_class_count(wrapper: str | None, tmp_path: Path) -> None:
    held = state(TINY, 3)
    if wrapper == "net":
        held = {f"module.{key}": value for key, value in held.items()}
    content = held if wrapper is None else {wrapper: held, "epoch": 7, "acc": 0.5}
    loaded = load_checkpoint(NAME, saved(tmp_path, content), ("A", "B", "C"))
    assert isinstance(loaded.module, YoloNas)
    assert (loaded.classes, loaded.module.classes) == (3, 3)
    assert not loaded.module.training
    assert all(bool((value == 0.5).all()) for value in values(loaded.module).values())


@pytest.mark.usefixtures("tiny")
def test_averaged_weights_go_before_plain_ones(tmp_path: Path) -> None:
    both = {"net": state(TINY, 1, 0.25), "ema_net": state(TINY, 1)}
    loaded = load_checkpoint(NAME, saved(tmp_path, both))
    assert bool((values(loaded.module)["heads.head2.reg_pred.bias"] == 0.5).all())
    assert "'ema_net' was taken, 'net' left aside" in loaded.notes


@pytest.mark.usefixtures("tiny")
def test_the_licence_of_coco_weights_is_told_where_they_are_loaded(tmp_path: Path) -> None:
    loaded = load_checkpoint(NAME, saved(tmp_path, state(TINY, 1)))
    words = "no use in production, no redistribution"
    assert any(words in note for note in loaded.notes)
    with pytest.raises(WeightsMissingError, match=words):
        weights.find(zoo.spec(NAME), [tmp_path])
    assert words in zoo.spec(NAME).licence
    assert any(words in note for note in zoo.notes(NAME).values())


@pytest.mark.usefixtures("tiny")
def test_labels_must_be_as_many_as_classes(tmp_path: Path) -> None:
    path = saved(tmp_path, state(TINY, 80))
    with pytest.raises(CheckpointError, match=r"80 logits, 'yolo-nas-s-640' has 1 labels"):
        load_checkpoint(NAME, path)


@pytest.mark.usefixtures("tiny")
def test_missing_and_unknown_names_are_told(tmp_path: Path) -> None:
    held = state(TINY, 1)
    del held["neck.neck2.upsample.bias"]
    held["heads.head4.stem.seq.conv.weight"] = torch.zeros(1)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(NAME, saved(tmp_path, held))
    assert "missing neck.neck2.upsample.bias" in str(caught.value)
    assert "unexpected heads.head4.stem.seq.conv.weight" in str(caught.value)


def test_another_size_is_recognized(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="looks like 'yolo-nas-m-640'"):
        load_checkpoint(NAME, saved(tmp_path, state(M, 1)))


def test_what_is_kept_of_ours_has_no_room_for_fused_blocks(tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = YoloNas(TINY, 1)
    weights.save(network, tmp_path / "tiny.safetensors", "tiny")
    again = YoloNas(TINY, 1)
    weights.load_into(again, tmp_path / "tiny.safetensors")
    film = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(again(film), network.eval()(film), rtol=0, atol=2e-2)
    stored = sum(value.numel() for value in values(network).values())
    assert (tmp_path / "tiny.safetensors").stat().st_size < 2 * stored + 60_000
    assert not any("rbr_reparam" in key for key in values(network))
