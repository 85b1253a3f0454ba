"""Initializers of ONNX files: exact where they are the network's, words where they are not."""

from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from clinicedge.models.checkpoints import load_checkpoint
from clinicedge.models.fit import values
from clinicedge.models.mobilenet import MobileNetV1
from clinicedge.runtime.errors import CheckpointError

NAME = "mobilenet-0.25-128"


def network() -> MobileNetV1:
    torch.manual_seed(6)
    return MobileNetV1(0.25).eval()


def file_of(tensors: dict[str, Tensor], path: Path, *nodes: onnx.NodeProto) -> Path:
    """An ONNX file with these initializers; `path` is not run, its graph may be anything."""
    film = helper.make_tensor_value_info("film", TensorProto.FLOAT, (1, 3, 128, 128))
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, (1, 3, 128, 128))
    graph = helper.make_graph(
        [helper.make_node("Relu", ["film"], ["out"]), *nodes],
        "main",
        [film],
        [out],
        [numpy_helper.from_array(v.numpy(), k) for k, v in tensors.items()],
    )
    onnx.save(helper.make_model(graph), str(path))
    return path


def test_initializers_with_the_network_s_names(tmp_path: Path) -> None:
    source = network()
    constants = {"val_3": torch.tensor([1, -1])}
    named = {f"model.{k}": v for k, v in values(source).items()} | constants
    loaded = load_checkpoint(NAME, file_of(named, tmp_path / "m.onnx"))
    x = torch.rand(1, 3, 128, 128)
    with torch.inference_mode():
        assert torch.equal(loaded.module(x), source(x))


def test_equal_initializers_that_share_one(tmp_path: Path) -> None:
    """The exporter stores zeros once, and puts Identity nodes where they are used again."""
    tensors = dict(values(network()))
    node = helper.make_node(
        "Identity", ["backbone.conv1.bn.bias"], ["backbone.conv1.bn.running_mean"]
    )
    del tensors["backbone.conv1.bn.running_mean"]
    loaded = load_checkpoint(NAME, file_of(tensors, tmp_path / "m.onnx", node))
    found = values(loaded.module)
    assert torch.equal(found["backbone.conv1.bn.running_mean"], tensors["backbone.conv1.bn.bias"])


@pytest.mark.parametrize("named", [True, False])
def test_an_export_with_normalization_folded_in(tmp_path: Path, named: bool) -> None:
    path = tmp_path / "m.onnx"
    tensors = {
        (k if named else f"onnx::Conv_{i}"): v
        for i, (k, v) in enumerate(values(network()).items())
        if ".bn." not in k
    }
    file_of(tensors, path)
    with pytest.raises(CheckpointError, match=r"27 convolutions.*folded.*itself with a spec"):
        load_checkpoint(NAME, path)


# Of torch's exporter itself.
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_what_torch_exports_is_folded(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    program = torch.onnx.export(
        network(), (torch.rand(1, 3, 128, 128),), dynamo=True, verbose=False
    )
    assert program is not None
    program.save(str(path))
    with pytest.raises(CheckpointError, match="folded"):
        load_checkpoint(NAME, path)


def test_a_quantized_file(tmp_path: Path) -> None:
    node = helper.make_node("QuantizeLinear", ["film", "s", "z"], ["q"])
    path = file_of(dict(values(network())), tmp_path / "m.onnx", node)
    with pytest.raises(CheckpointError, match="is quantized"):
        load_checkpoint(NAME, path)


def test_a_file_cut_short_or_without_its_data(tmp_path: Path) -> None:
    path = file_of(dict(values(network())), tmp_path / "m.onnx")
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(CheckpointError, match="cannot read"):
        load_checkpoint(NAME, cut)
    model = onnx.load(str(path))
    onnx.save(model, str(tmp_path / "e.onnx"), save_as_external_data=True, location="e.data")
    (tmp_path / "e.data").unlink()
    with pytest.raises(CheckpointError, match="with its data beside it"):
        load_checkpoint(NAME, tmp_path / "e.onnx")
