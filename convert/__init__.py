"""A trained model in, a bundle out; needs the extra `convert`, a workstation only.

    from clinicedge.convert import ConvertOptions, convert
    done = convert("mobilenet-0.5-160-on-lungs", ConvertOptions(Path("bundles")))
    print(done.folder)

The way of one model, one file a stage: `zoo_source` (or `user_source`), `gathering`, `exporting`
(`onnx_files`, `tflite_files`, `openvino_files`), `judging`, `acceptance`, `writing`; `steps` keeps
what is done and `conversion` joins them. `pipelines` puts bundles together, `matrix` converts many.
"""

from dataclasses import replace
from pathlib import Path

from .conversion import check_request, convert_model
from .options import Conversion, ConvertOptions, Failed, Progress
from .recipes import FORMATS, PRECISIONS
from .source import Source

__all__ = [
    "FORMATS",
    "PRECISIONS",
    "Conversion",
    "ConvertOptions",
    "Failed",
    "Progress",
    "Source",
    "convert",
    "convert_model",
]


def convert(
    name: str,
    options: ConvertOptions,
    weights: tuple[Path, ...] = (),
    progress: Progress | None = None,
) -> Conversion:
    """Convert a model or a pipeline of the zoo.

    Args:
        weights: folders to look for the weights in, before those of the options.

    Raises:
        UnknownModelError: the zoo has no such name.
        WeightsMissingError: no weights.
        CheckpointError: the weights or their card are of another model.
        Also what `convert_model` raises.
    """
    from .pipelines import convert_named

    check_request(options)
    return convert_named(name, replace(options, weights=(*weights, *options.weights)), progress)
