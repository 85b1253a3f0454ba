"""Which function makes which artifact, and from what."""

from collections.abc import Callable

from . import onnx_files, openvino_files, tflite_files
from .films import FilmSet
from .isolated import call
from .recipes import Export, Recipe
from .source import Source

ONNX_FP32 = Recipe("onnx", "fp32")
TFLITE_FP32 = Recipe("tflite", "fp32")
CALIBRATION_METHOD = {
    "onnx": "minimum and maximum; onnxruntime quantize_static, QDQ, u8 activations, 7-bit s8 "
    "weights a channel",
    "tflite": "minimum and maximum; ai-edge-quantizer static_wi8_ai8",
    "openvino": "minimum and maximum; nncf quantize, preset mixed, full bias correction (fast for "
    "networks beyond 4 million weights)",
}


def make(
    recipe: Recipe, source: Source, films: FilmSet, earlier: Callable[[Recipe], Export]
) -> Export:
    """Make one artifact in a child process.

    Args:
        films: calibrate static int8.
        earlier: gives the FP32 files that fp16, int8 and OpenVINO start from.

    Raises:
        ConversionError: a converter failed; the message has the end of what it printed.
    """
    spec = source.spec
    match recipe.format, recipe.precision:
        case "onnx", "fp32":
            return call(onnx_files.export, source.network, spec)
        case "onnx", "fp16":
            return call(onnx_files.to_fp16, earlier(ONNX_FP32))
        case "onnx", _:
            return call(onnx_files.to_int8, earlier(ONNX_FP32), spec, films)
        case "openvino", "int8":
            return call(openvino_files.to_int8, earlier(ONNX_FP32), spec, films)
        case "openvino", precision:
            return call(openvino_files.export, earlier(ONNX_FP32), precision == "fp16")
        case _, "fp32":
            return call(tflite_files.export, source.module, spec)
        case _, "fp16":
            return call(tflite_files.to_fp16, earlier(TFLITE_FP32), spec)
        case _:
            return call(tflite_files.to_int8, earlier(TFLITE_FP32), spec, films)
