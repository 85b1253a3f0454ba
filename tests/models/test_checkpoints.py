"""Checkpoints as they are found in the wild go in; all else is refused with words."""

import argparse
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoint_files import SMALL, State, refusal, saved, small
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from clinicedge.models import weights
from clinicedge.models.checkpoints import load_checkpoint
from clinicedge.models.fit import PREFIXES, looks_like, shapes, values
from clinicedge.models.mobilenet import MobileNetV1
from clinicedge.models.resnet import ResNet50
from clinicedge.models.tensor_files import WRAPPERS
from clinicedge.models.zoo import build, names
from clinicedge.runtime.errors import CheckpointError, UnknownModelError

DENSE = "densenet121-224"


@pytest.fixture(scope="module")
def dense() -> State:
    torch.manual_seed(3)
    return dict(build(DENSE).state_dict())


@pytest.fixture(scope="module")
def resnet() -> State:
    torch.manual_seed(4)
    return dict(build("resnet50-224").state_dict())


def same(module: nn.Module, state: Mapping[str, Tensor]) -> bool:
    return all(torch.equal(v, state[k]) for k, v in values(module).items())


@pytest.mark.parametrize("wrapper", [None, *WRAPPERS])
def test_bare_or_under_a_key(tmp_path: Path, wrapper: str | None) -> None:
    state = small()
    content: Any = state if wrapper is None else {wrapper: state, "epoch": 3, "lr": [0.1]}
    loaded = load_checkpoint(SMALL, saved(tmp_path, content))
    assert same(loaded.module, state)
    assert not loaded.module.training
    assert loaded.classes == 2


@pytest.mark.parametrize("wrapper", ["model_state", "best_model_state", "params", "x"])
def test_under_a_key_that_no_list_knows(tmp_path: Path, wrapper: str) -> None:
    state = small()
    step = {"exp_avg": torch.zeros(2, 2), "step": torch.zeros(1)}
    content = {
        "model": {"name": "mobilenet", "width": 0.25},
        "data": {"mean": torch.zeros(3), "class_weights": torch.ones(2)},
        "optimizer_state": {"state": {0: step, "conv": step}},
        "run": {"epoch": 3, wrapper: state},
    }
    assert same(load_checkpoint(SMALL, saved(tmp_path, content)).module, state)


def test_several_networks_of_which_none_is_said_to_be_the_one(tmp_path: Path) -> None:
    content = {"model_state": small(), "best_model_state": small(), "epoch": 3}
    text = refusal(SMALL, saved(tmp_path, content))
    assert "2 networks, under 'model_state', 'best_model_state'; expected one" in text


@pytest.mark.parametrize("prefix", ["cnn.", "feature_extractor.", "student.net.0.", "module.a.b."])
def test_behind_a_prefix_that_no_list_knows(tmp_path: Path, prefix: str) -> None:
    state = small()
    head = {k.replace("classifier.", "classifier.1."): v for k, v in state.items()}
    wrapped = {prefix + k: v for k, v in head.items()} | {"n_averaged": torch.tensor(3)}
    loaded = load_checkpoint(SMALL, saved(tmp_path, wrapped))
    assert same(loaded.module, state)
    assert loaded.notes == (f"the network was found behind '{prefix}'",)


def test_names_of_2017_behind_such_a_prefix(tmp_path: Path, dense: State) -> None:
    path = saved(tmp_path, {f"cnn.{k.replace('norm1', 'norm.1')}": v for k, v in dense.items()})
    assert same(load_checkpoint(DENSE, path).module, dense)
    assert "It looks like 'densenet121-224'" in refusal("resnet50-224", path)


def test_two_networks_behind_two_prefixes(tmp_path: Path) -> None:
    both = {f"{p}.{k}": v for p in ("student", "teacher") for k, v in small().items()}
    text = refusal(SMALL, saved(tmp_path, both))
    assert "2 networks, behind 'student.', 'teacher.'; expected one" in text
    averaged = {f"ema_shadow.{k}": v for k, v in small().items()}
    path = saved(tmp_path, {**small(), **averaged})
    assert "unexpected ema_shadow" in refusal(SMALL, path)
    more = {f"cnn.{k}": v for k, v in small().items()} | {"att.weight": torch.zeros(2, 2)}
    assert "unexpected att.weight" in refusal(SMALL, saved(tmp_path, more))


def test_a_refusal_carries_every_name(tmp_path: Path) -> None:
    path = saved(tmp_path, {**small(), "classifier.weight": torch.zeros(2, 9)})
    with pytest.raises(CheckpointError, match=r"misshapen classifier\.weight has shape") as caught:
        load_checkpoint(SMALL, path)
    assert caught.value.details == {
        "missing": (),
        "unexpected": (),
        "misshapen": ("classifier.weight has shape (2, 9), expected (2, 256)",),
    }
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint("resnet50-224", path)
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    body = {k for k in values(build("resnet50-224")) if not k.startswith("fc.")}
    assert set(again.details["missing"]) == body
    assert len(again.details["unexpected"]) == len(values(MobileNetV1(0.25))) - 2


@settings(max_examples=8, deadline=None)
@given(st.lists(st.sampled_from(PREFIXES), max_size=3))
def test_any_row_of_prefixes(tmp_path_factory: pytest.TempPathFactory, row: list[str]) -> None:
    state = small()
    before = {"".join(row) + k: v for k, v in state.items()}
    path = saved(tmp_path_factory.mktemp("x"), {"state_dict": before})
    assert same(load_checkpoint(SMALL, path).module, state)


def test_only_the_backbone_has_a_prefix(tmp_path: Path, resnet: State) -> None:
    split = {k if k.startswith("fc.") else f"module.backbone.{k}": v for k, v in resnet.items()}
    assert same(load_checkpoint("resnet50-224", saved(tmp_path, split)).module, resnet)


def test_two_networks_in_one_file_are_refused(tmp_path: Path) -> None:
    state = small()
    both = {**state, **{f"module.{k}": v for k, v in state.items()}}
    assert "twice" in refusal(SMALL, saved(tmp_path, both))


def test_what_was_left_aside_is_told(tmp_path: Path) -> None:
    other = {k: v + 1 for k, v in small().items()}
    path = saved(tmp_path, {"state_dict": small(), "ema": other, "criterion.pos_weight": 1})
    loaded = load_checkpoint(SMALL, path)
    assert same(loaded.module, small())
    assert loaded.notes == ("'state_dict' was taken, 'ema' left aside",)


def test_what_losses_and_profilers_leave_behind_is_passed_over(tmp_path: Path) -> None:
    extra = {"criterion.pos_weight": torch.ones(1), "total_ops": torch.zeros(1)}
    path = saved(tmp_path, {"state_dict": {**small(), **extra}})
    assert same(load_checkpoint(SMALL, path).module, small())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_every_float_becomes_float32(tmp_path: Path, dtype: torch.dtype) -> None:
    state = {k: v.to(dtype) if v.is_floating_point() else v for k, v in small().items()}
    module = load_checkpoint(SMALL, saved(tmp_path, state)).module
    assert {v.dtype for v in values(module).values()} == {torch.float32}


def test_numbers_and_options_beside_the_weights_are_no_code(tmp_path: Path) -> None:
    beside = {"args": argparse.Namespace(lr=0.1), "best": np.float64(0.9), "n": np.int64(3)}
    path = saved(tmp_path, {"model": small(), **beside})
    assert same(load_checkpoint(SMALL, path).module, small())


def test_torch_s_form_before_1_6_and_names_of_2017(tmp_path: Path, dense: State) -> None:
    """As CheXNet's file: DataParallel around a class around torchvision's DenseNet."""
    old = {}
    for key, value in dense.items():
        for part in ("norm1", "norm2", "conv1", "conv2"):
            if "denselayer" in key:
                key = key.replace(part, f"{part[:-1]}.{part[-1]}")
        head = key.replace("classifier.", "classifier.0.")
        old[f"module.densenet121.{head}"] = value
    path = tmp_path / "m-25012018.pth.tar"
    torch.save({"state_dict": old, "epoch": 1}, path, _use_new_zipfile_serialization=False)
    assert same(load_checkpoint(DENSE, path).module, dense)


@pytest.mark.parametrize("classes", [1, 2, 14, 1000])
@pytest.mark.parametrize("at", ["classifier", "classifier.1", "fc.1", "head"])
def test_a_head_of_any_length_anywhere(tmp_path: Path, classes: int, at: str) -> None:
    state = {k: v for k, v in small().items() if not k.startswith("classifier")}
    weight, bias = torch.randn(classes, 256), torch.randn(classes)
    path = saved(tmp_path, {**state, f"{at}.weight": weight, f"{at}.bias": bias})
    labels = ("a", "b") if classes == 1 else tuple(map(str, range(classes)))
    loaded = load_checkpoint(SMALL, path, labels)
    x = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        logits, maps = loaded.module.forward_with_features(x)  # type: ignore[operator]
        expected = maps.mean((2, 3)) @ weight.T + bias
    if classes == 1:
        assert loaded.classes == 2
        assert "sigmoid" in loaded.notes[0]
        chance = torch.softmax(logits, 1)[:, 1:]
        torch.testing.assert_close(chance, torch.sigmoid(expected))
    else:
        assert loaded.classes == classes
        torch.testing.assert_close(logits, expected)


def test_torchvision_s_replaced_fc(tmp_path: Path, resnet: State) -> None:
    state = {k: v for k, v in resnet.items() if not k.startswith("fc.")}
    state["fc.1.weight"], state["fc.1.bias"] = torch.randn(5, 2048), torch.randn(5)
    labels = ("a", "b", "c", "d", "e")
    loaded = load_checkpoint("resnet50-224", saved(tmp_path, state), labels)
    assert isinstance(loaded.module, ResNet50)
    assert torch.equal(loaded.module.fc.weight, state["fc.1.weight"])


def test_labels_and_head_of_different_length(tmp_path: Path, dense: State) -> None:
    text = refusal(DENSE, saved(tmp_path, dense), ("BACTERIA", "VIRUS"))
    assert "5 logits" in text
    assert "2 labels (BACTERIA, VIRUS)" in text
    fourteen = {**dense, "classifier.weight": torch.zeros(14, 1024)}
    fourteen["classifier.bias"] = torch.zeros(14)
    text = refusal(DENSE, saved(tmp_path, fourteen))
    assert "14 logits" in text
    assert "5 labels (Bronchitis, Broncho-pneumonia" in text


def test_a_head_without_bias(tmp_path: Path) -> None:
    state = small()
    del state["classifier.bias"]
    loaded = load_checkpoint(SMALL, saved(tmp_path, state))
    assert loaded.notes == ("the head has no bias, zeros were put",)


def test_a_head_of_several_layers_is_named(tmp_path: Path) -> None:
    state = {k: v for k, v in small().items() if not k.startswith("classifier")}
    for at, shape in (("0", (64, 256)), ("3", (2, 64))):
        state[f"classifier.{at}.weight"] = torch.zeros(shape)
        state[f"classifier.{at}.bias"] = torch.zeros(shape[0])
    text = refusal(SMALL, saved(tmp_path, state))
    assert "2 layers with weights (classifier.0, classifier.3)" in text
    assert "module.py:build" in text


def test_another_architecture_of_ours_is_recognized(tmp_path: Path, dense: State) -> None:
    path = saved(tmp_path, {"state_dict": {f"module.{k}": v for k, v in dense.items()}})
    text = refusal("resnet50-224", path)
    assert "It looks like 'densenet121-224'" in text
    assert "missing bn1.bias" in text
    assert "more" in text
    assert len(text) < 1500


def test_a_network_of_nobody_s(tmp_path: Path) -> None:
    path = saved(tmp_path, {"head.0.weight": torch.zeros(3, 3), "head.1.weight": torch.zeros(3, 3)})
    text = refusal(SMALL, path)
    assert "unexpected head.0.weight, head.1.weight" in text
    assert "of another model" in text


def test_a_deeper_network_with_the_same_names(tmp_path: Path, resnet: State) -> None:
    """ResNet101 holds all names of ResNet50."""
    deeper = dict(resnet)
    for block in range(6, 23):
        for key, value in resnet.items():
            if key.startswith("layer3.5."):
                deeper[key.replace("layer3.5.", f"layer3.{block}.")] = value
    text = refusal("resnet50-224", saved(tmp_path, deeper))
    assert "unexpected layer3.10" in text
    assert "of another model" in text


@pytest.mark.parametrize("name", [n for n in names() if not n.startswith("mobilenet")])
def test_every_architecture_knows_itself(name: str) -> None:
    with torch.device("meta"):
        own = shapes(values(build(name)))
    like = looks_like(own)
    assert like is not None
    with torch.device("meta"):
        assert shapes(values(build(like))).keys() == own.keys()


def test_lung_crop_forms_take_checkpoints_too(tmp_path: Path) -> None:
    loaded = load_checkpoint(f"{SMALL}-lung-crop", saved(tmp_path, small()))
    assert same(loaded.module, small())


def test_an_unknown_architecture(tmp_path: Path) -> None:
    with pytest.raises(UnknownModelError):
        load_checkpoint("resnet18", saved(tmp_path, small()))


def test_our_own_safetensors_and_a_user_s(tmp_path: Path) -> None:
    weights.save(load_checkpoint(SMALL, saved(tmp_path, small())).module, tmp_path / "a", "x")
    (tmp_path / "a").rename(tmp_path / "a.safetensors")
    assert load_checkpoint(SMALL, tmp_path / "a.safetensors").classes == 2
    save_file({f"model.{k}": v for k, v in small().items()}, tmp_path / "b.safetensors")
    assert same(load_checkpoint(SMALL, tmp_path / "b.safetensors").module, small())
