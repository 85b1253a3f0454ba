"""What an artifact can be: format x recipe, and what an export hands to the next stage."""

from dataclasses import dataclass
from importlib import metadata

from ..runtime.errors import ConversionError
from ..runtime.figures import Compute
from ..runtime.manifest import FloatLayer, Format, Precision, TensorBinding

FORMATS: tuple[Format, ...] = ("onnx", "tflite", "openvino")
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8")
# What a precision means where nobody names a recipe.
DEFAULTS: dict[str, str] = {"fp32": "fp32", "fp16": "fp16", "int8": "int8-static"}
COMPUTE: dict[Precision, Compute] = {"fp32": "f32", "fp16": "f32", "int8": "int8"}
# Counted up when a recipe changes what it makes, so that old work is not reused.
REVISION = 2
TOOLS: dict[Format, tuple[str, ...]] = {
    "onnx": ("torch", "onnx", "onnxscript", "onnxruntime"),
    "tflite": ("torch", "litert-torch", "litert-converter", "ai-edge-litert", "ai-edge-quantizer"),
    "openvino": ("torch", "onnx", "onnxscript", "openvino", "nncf"),
}


@dataclass(frozen=True)
class Recipe:
    """One artifact to make."""

    format: Format
    precision: Precision

    @property
    def name(self) -> str:
        """e.g. "int8-static"."""
        return DEFAULTS[self.precision]

    @property
    def artifact_id(self) -> str:
        """e.g. "onnx/int8-static"."""
        return f"{self.format}/{self.name}"

    @property
    def compute(self) -> Compute:
        """The compute precision that is validated."""
        return COMPUTE[self.precision]


@dataclass(frozen=True)
class Export:
    """The files of one graph in memory.

    `files`: (name, bytes), the one that an engine opens first; `binding` as in the manifest.
    """

    files: tuple[tuple[str, bytes], ...]
    binding: tuple[TensorBinding, ...]
    float_layers: tuple[FloatLayer, ...] = ()


def chosen(formats: tuple[str, ...], precisions: tuple[str, ...]) -> tuple[Recipe, ...]:
    """The recipes of the named formats and precisions, in the toolkit's order.

    Raises:
        ConversionError: an unknown or no format or precision.
    """
    _known("format", formats, FORMATS)
    _known("precision", precisions, PRECISIONS)
    return tuple(
        Recipe(f, p) for f in FORMATS if f in formats for p in PRECISIONS if p in precisions
    )


def tool_versions(formats: tuple[Format, ...]) -> dict[str, str]:
    """Versions of the packages that the formats' files are made with, sorted by name.

    Raises:
        ConversionError: one is not installed.
    """
    names = {"clinicedge", "numpy", "pillow", *(t for f in formats for t in TOOLS[f])}
    found = {}
    for name in sorted(names):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError as err:
            raise ConversionError(
                f"'{name}' is not installed, {', '.join(formats)} files are made with it. "
                "To convert: pip install 'clinicedge[convert]'."
            ) from err
    return found


def _known(what: str, asked: tuple[str, ...], known: tuple[str, ...]) -> None:
    wrong = [a for a in asked if a not in known]
    if wrong or not asked:
        found = ", ".join(map(repr, wrong)) or "none"
        raise ConversionError(f"{what} {found}; expected some of {', '.join(known)}.")
