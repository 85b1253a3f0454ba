"""What an artifact can be: format x recipe, and what an export hands to the next stage."""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata

from ..runtime.errors import ConversionError
from ..runtime.figures import Compute
from ..runtime.manifest import FloatLayer, Format, Precision, TensorBinding

FORMATS: tuple[Format, ...] = ("onnx", "tflite", "openvino")
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8")
GUARDED = "int8-guarded"
# The plain recipe that guarded quantization starts from.
PLAIN = "int8-static"
COMPUTE: dict[Precision, Compute] = {"fp32": "f32", "fp16": "f32", "int8": "int8"}
# Counted up when a recipe changes what it makes, so that old work is not reused.
REVISION = 3
TOOLS: dict[Format, tuple[str, ...]] = {
    "onnx": ("torch", "onnx", "onnxscript", "onnxruntime"),
    "tflite": ("torch", "litert-torch", "litert-converter", "ai-edge-litert", "ai-edge-quantizer"),
    "openvino": ("torch", "onnx", "onnxscript", "openvino", "nncf"),
}


@dataclass(frozen=True)
class Kind:
    """What a recipe's name means.

    Attributes:
        calibrated: films of the train part set ranges.
        words: for people, no full stop.
    """

    precision: Precision
    calibrated: bool
    words: str


RECIPES: dict[str, Kind] = {
    "fp32": Kind("fp32", False, "as trained"),
    "fp16": Kind("fp16", False, "weights stored in 16 bits, computed in 32"),
    GUARDED: Kind(
        "int8", True, "int8-static with as many layers left in float as the budget asks for"
    ),
    PLAIN: Kind(
        "int8", True, "weights and activations in 8 bits, ranges from the calibration films"
    ),
    "int8-static-u8": Kind(
        "int8", True, "the same with unsigned 8-bit weights, whose sums saturate nowhere; ONNX"
    ),
    "int8-dynamic": Kind("int8", False, "weights in 8 bits, ranges of activations at run time"),
}
# What a precision means where nobody names a recipe.
DEFAULTS: dict[Precision, str] = {"fp32": "fp32", "fp16": "fp16", "int8": GUARDED}


@dataclass(frozen=True)
class Recipe:
    """One artifact to make; `name` is one of RECIPES."""

    format: Format
    name: str

    @property
    def precision(self) -> Precision:
        """What it computes in."""
        return RECIPES[self.name].precision

    @property
    def calibrated(self) -> bool:
        """Whether films set its ranges."""
        return RECIPES[self.name].calibrated

    @property
    def artifact_id(self) -> str:
        """e.g. "onnx/int8-guarded"."""
        return f"{self.format}/{self.name}"

    @property
    def compute(self) -> Compute:
        """The compute precision that is validated."""
        return COMPUTE[self.precision]


def usual(format_: Format, precision: Precision) -> Recipe:
    """The recipe that a precision means."""
    return Recipe(format_, DEFAULTS[precision])


@dataclass(frozen=True)
class Export:
    """The files of one graph in memory.

    `files`: (name, bytes), the one that an engine opens first; `binding` as in the manifest.
    """

    files: tuple[tuple[str, bytes], ...]
    binding: tuple[TensorBinding, ...]
    float_layers: tuple[FloatLayer, ...] = ()

    @property
    def bytes(self) -> int:
        """Of all files."""
        return sum(len(data) for _, data in self.files)


def chosen(
    formats: tuple[str, ...], precisions: tuple[str, ...], recipes: tuple[str, ...] = ()
) -> tuple[Recipe, ...]:
    """What the precisions mean and the named recipes, in every named format, in the toolkit's
    order.

    Raises:
        ConversionError: an unknown or no format, an unknown precision or recipe, or neither.
    """
    _known("format", formats, FORMATS)
    if recipes:
        _known("recipe", recipes, tuple(RECIPES))
    if precisions or not recipes:
        _known("precision", precisions, PRECISIONS)
    asked = {*recipes, *(DEFAULTS[p] for p in PRECISIONS if p in precisions)}
    return tuple(Recipe(f, r) for f in FORMATS if f in formats for r in RECIPES if r in asked)


def defaults_of(made: Iterable[Recipe]) -> dict[str, str]:
    """For every precision that was made the recipe that it means: the usual one, else the first."""
    found: dict[str, str] = {}
    for recipe in made:
        if recipe.name == DEFAULTS[recipe.precision]:
            found[recipe.precision] = recipe.name
        found.setdefault(recipe.precision, recipe.name)
    return {p: found[p] for p in PRECISIONS if p in found}


def tool_versions(formats: tuple[Format, ...], others: tuple[str, ...] = ()) -> dict[str, str]:
    """Versions of the packages that the formats' files are made with, sorted by name.

    Args:
        others: packages that the network itself is built with.

    Raises:
        ConversionError: one is not installed.
    """
    names = {"clinicedge", "numpy", "pillow", *others, *(t for f in formats for t in TOOLS[f])}
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
