"""Which function makes which float artifact, and from what. INT8 is made in `guard`."""

from collections.abc import Callable

from . import onnx_files, openvino_files, tflite_files
from .isolated import call
from .recipes import Export, Recipe
from .source import Source

ONNX_FP32 = Recipe("onnx", "fp32")
TFLITE_FP32 = Recipe("tflite", "fp32")


def make(recipe: Recipe, source: Source, earlier: Callable[[Recipe], Export]) -> Export:
    """Make one float artifact in a child process.

    Args:
        earlier: gives the FP32 files that fp16 and OpenVINO start from.

    Raises:
        ConversionError: a converter failed; the message has the end of what it printed.
    """
    spec = source.spec
    match recipe.format, recipe.name:
        case "onnx", "fp32":
            return call(onnx_files.export, source.network, spec)
        case "onnx", _:
            return call(onnx_files.to_fp16, earlier(ONNX_FP32))
        case "openvino", name:
            return call(openvino_files.export, earlier(ONNX_FP32), name == "fp16")
        case _, "fp32":
            return call(tflite_files.export, source.module, spec)
        case _:
            return call(tflite_files.to_fp16, earlier(TFLITE_FP32), spec)
