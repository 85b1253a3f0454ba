"""A torch twin of the handmade network."""

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def twin() -> Any:
    """From a bundle's ONNX file, the network in torch and its feature layer."""

    def build(folder: Path) -> tuple[Any, Any]:
        import onnx
        import torch
        from onnx import numpy_helper
        from torch import nn

        graph = onnx.load(str(folder / "artifacts/onnx/fp32/main.onnx")).graph
        values = {
            t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in graph.initializer
        }
        kernel, weight = values["k"], values["w"]
        conv = nn.Conv2d(kernel.shape[1], kernel.shape[0], kernel.shape[2], stride=4, bias=False)
        head = nn.Linear(weight.shape[1], weight.shape[0])
        network = nn.Sequential(conv, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)
        with torch.no_grad():
            conv.weight.copy_(kernel)
            head.weight.copy_(weight)
            head.bias.copy_(values["b"])
        return network.eval(), network[1]

    return build
