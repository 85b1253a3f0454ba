"""The reference implementation, package grad-cam, and its maps at the size of the input."""

import importlib
import sys
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

# Ours by the package's names; the sign of the last two is arbitrary there.
CLASSES = {
    "grad-cam": "GradCAM",
    "grad-cam++": "GradCAMPlusPlus",
    "hirescam": "HiResCAM",
    "score-cam": "ScoreCAM",
    "eigen-cam": "EigenCAM",
    "eigen-grad-cam": "EigenGradCAM",
}
UNSIGNED = ("eigen-cam", "eigen-grad-cam")
_OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


def package() -> ModuleType:
    """`pytorch_grad_cam`; the operators that torchvision lacks beside a CPU torch are declared."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            importlib.import_module("torchvision")
        except RuntimeError:
            _declare()
        return importlib.import_module("pytorch_grad_cam")


def _declare() -> None:
    torch_library: Any = importlib.import_module("torch.library")

    for name in [n for n in sys.modules if n.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    library = torch_library.Library("torchvision", "FRAGMENT")
    for operator in _OPERATORS:
        library.define(operator)
    # It must live as long as the process, or the operators go with it.
    sys.modules[__name__].__dict__["_library"] = library


def reference(
    method: str, network: Any, layer: Any, tensor: np.ndarray, score: Callable[[Any], Any]
) -> list[np.ndarray]:
    """The package's maps, float32 (H, W) of the input's size, 0..1; both where a sign is open."""
    import torch

    base: Any = getattr(package(), CLASSES[method])

    class Turned(base):  # type: ignore[misc, valid-type]
        def get_cam_image(self, *args: Any, **named: Any) -> Any:
            return -super().get_cam_image(*args, **named)

    kinds = (base, Turned) if method in UNSIGNED else (base,)
    maps = []
    for kind in kinds:
        with kind(model=network, target_layers=[layer]) as cam:
            maps.append(cam(torch.from_numpy(tensor), targets=[score])[0])
    return maps


def as_the_package(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """Our map enlarged and scaled as the package does with its own."""
    import cv2

    grown = np.asarray(cv2.resize(values, (width, height)))
    grown = grown - grown.min()
    return np.asarray(grown / (1e-7 + grown.max()))
