"""A trained model in, a bundle out; needs the extra `convert`, a workstation only.

    from clinicedge.convert import ConvertOptions, convert
    done = convert("mobilenet-0.5-160", ConvertOptions(Path("bundles"), data=Path("films")))
    print(done.folder)

Stages, one file each, in the order the work runs: zoo_source, films, exporting (onnx_files,
tflite_files, openvino_files), running, compare, acceptance, writing; conversion joins them.
"""

from pathlib import Path

from .conversion import check_request, convert_model
from .options import Conversion, ConvertOptions, Progress
from .recipes import FORMATS, PRECISIONS
from .source import Source

__all__ = [
    "FORMATS",
    "PRECISIONS",
    "Conversion",
    "ConvertOptions",
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
    """Convert a model of the zoo.

    Args:
        weights: folders to look for the weights in, before the clone's own.

    Raises:
        UnknownModelError: the zoo has no such name.
        WeightsMissingError: no weights.
        CheckpointError: the weights or their card are of another model.
        Also what `convert_model` raises.
    """
    from .zoo_source import load_source

    check_request(options)
    return convert_model(load_source(name, weights), options, progress)
