"""Small checkpoints as files, and how their loading is refused."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from clinicedge.models.checkpoints import load_checkpoint
from clinicedge.models.mobilenet import MobileNetV1
from clinicedge.runtime.errors import CheckpointError

SMALL = "mobilenet-0.25-128"
State = dict[str, Tensor]


def small() -> State:
    torch.manual_seed(2)
    return dict(MobileNetV1(0.25).state_dict())


def saved(tmp_path: Path, content: object, name: str = "c.pth") -> Path:
    torch.save(content, tmp_path / name)
    return tmp_path / name


def refusal(name: str, path: Path, labels: tuple[str, ...] | None = None) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(name, path, labels)
    assert str(path) in str(caught.value)
    return str(caught.value)
