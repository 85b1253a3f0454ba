"""A promptable model's artifact: an encoder that sees the film, a decoder that is asked a box.

The encoder is made, quantized and searched as any other network, from a spec of its own. The
decoder stays in float: at full precision beside an encoder of FP32, stored in 16 bits beside
others.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..runtime.files import sha256_bytes
from ..runtime.manifest import FileEntry, Graph, Precision, TensorSpec
from ..runtime.spec import BOX, DECODER, ENCODER, ModelSpec, OutputSpec
from . import onnx_files, openvino_files, tflite_files
from .isolated import call
from .recipes import Export, Recipe
from .running import GRAPH, Part, Runnable
from .source import Border, Source, tensor_specs

if TYPE_CHECKING:
    from torch import nn

TASK = "promptable-segmentation"
Shapes = Mapping[str, tuple[int, ...]]


def is_prompted(spec: ModelSpec) -> bool:
    """Whether its artifacts have two graphs."""
    return spec.task == TASK


def tools_of(spec: ModelSpec) -> tuple[str, ...]:
    """Packages that the network is built with, beside torch."""
    return ("transformers",) if is_prompted(spec) else ()


def maps_of(source: Source) -> dict[str, tuple[int, ...]]:
    """What the encoder gives, by name: (C, h, w), in order."""
    shapes: dict[str, tuple[int, ...]] = source.module.embedding_shapes  # type: ignore[assignment]
    return shapes


def encoder_spec(spec: ModelSpec, maps: Shapes) -> ModelSpec:
    """The encoder as a model of its own: film in, maps out."""
    outputs = tuple(
        OutputSpec(name, "embedding", shape, "none", (), None) for name, shape in maps.items()
    )
    return replace(spec, outputs=outputs)


def encoder_of(source: Source) -> Source:
    """The encoder as a source of its own, which is exported as any other network."""
    from ..models.medsam2.network import Encoder

    spec = encoder_spec(source.spec, maps_of(source))
    return replace(source, spec=spec, network=Encoder(source.module))  # type: ignore[arg-type]


def decoder_border(spec: ModelSpec, maps: Shapes) -> Border:
    """The decoder's inputs and outputs: maps and one box in, mask and quality out."""
    given = tuple(TensorSpec(name, (1, *shape)) for name, shape in maps.items())
    return Border((*given, TensorSpec(BOX, (1, 4))), tensor_specs(spec)[1])


@dataclass(frozen=True, eq=False)
class Decoder:
    """What a decoder is exported from; can be pickled."""

    network: "nn.Module"
    border: Border


def decoder_of(source: Source) -> Decoder:
    """The source's."""
    return Decoder(source.module, decoder_border(source.spec, maps_of(source)))


def decoder_recipe(recipe: Recipe) -> Recipe:
    """How the decoder beside an encoder of that recipe is stored."""
    return recipe if recipe.name == "fp32" else Recipe(recipe.format, "fp16")


def make_decoder(recipe: Recipe, source: Source, earlier: Callable[[Recipe], Export]) -> Export:
    """FP32 or FP16 of the decoder, in a child process.

    Args:
        earlier: gives the FP32 files that fp16 and OpenVINO start from.

    Raises:
        ConversionError: a converter failed.
    """
    decoder = decoder_of(source)
    match recipe.format, recipe.name:
        case "onnx", "fp32":
            return call(export_onnx, decoder)
        case "onnx", _:
            return call(onnx_files.to_fp16, earlier(Recipe("onnx", "fp32")))
        case "openvino", name:
            return call(openvino_files.export, earlier(Recipe("onnx", "fp32")), name == "fp16")
        case _, "fp32":
            return call(export_tflite, decoder)
        case _:
            return call(tflite_files.fp16_of, earlier(Recipe("tflite", "fp32")), decoder.border)


def export_onnx(decoder: Decoder) -> Export:
    """ONNX FP32; in a child process."""
    return onnx_files.export_module(_module(decoder), decoder.border)


def export_tflite(decoder: Decoder) -> Export:
    """TFLite FP32; in a child process."""
    return tflite_files.export_module(_module(decoder), decoder.border)


def _module(decoder: Decoder) -> "nn.Module":
    from ..models.medsam2.network import Decoder as DecoderGraph

    return DecoderGraph(decoder.network).eval()  # type: ignore[arg-type]


def with_decoder(encoder: Runnable, decoder: Export, border: Border) -> Runnable:
    """The artifact of two graphs, each file named after its graph."""
    precision: Precision = "fp32" if encoder.graph.precision == "fp32" else "fp16"
    graph = Graph(
        DECODER,
        precision,
        _entries(encoder.artifact_id, decoder, DECODER),
        border.inputs,
        border.outputs,
        decoder.binding,
    )
    first = replace(
        encoder.graph, name=ENCODER, files=_entries(encoder.artifact_id, encoder.export, ENCODER)
    )
    return replace(encoder, graph=first, decoder=Part(graph, decoder))


def _entries(artifact_id: str, export: Export, name: str) -> tuple[FileEntry, ...]:
    return tuple(
        FileEntry(
            f"artifacts/{artifact_id}/{file.replace(GRAPH, name, 1)}",
            sha256_bytes(data),
            len(data),
        )
        for file, data in export.files
    )
