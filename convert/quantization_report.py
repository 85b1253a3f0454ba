"""Which layer of an INT8 artifact loses what, measured; written as a page and a picture."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..runtime.files import write_atomic
from ..runtime.manifest import Artifact
from ..runtime.records import dump_bytes
from ..runtime.spec import ModelSpec
from .films import FilmSet
from .float_tail import why as why_tail
from .guard.driver import Layer, driver_for, few_films
from .isolated import call
from .quantization_records import SCHEMA, LayerLoss, QuantizationReport
from .recipes import Export, Recipe

if TYPE_CHECKING:
    from .steps import Steps

# Counted up when the same files give another report.
REVISION = 2
# Signal and noise are sums over films and positions; more films move them little.
FILMS = 16
FOLDER = "report"
NAME = "quantization"


def explained(
    steps: "Steps", recipe: Recipe, artifact: Artifact, int8: Export
) -> QuantizationReport:
    """The report of one artifact of a conversion, from its cache or made.

    Raises:
        ConversionError: a file could not be read or run.
    """
    start = Recipe("tflite" if recipe.format == "tflite" else "onnx", "fp32")
    films = steps.films.calibration
    key = steps.key("explain", recipe, artifact, films.sha256, REVISION, FILMS)

    def work() -> QuantizationReport:
        return explain(steps.network.spec, artifact, (steps.export(start), int8), films)

    return steps.cache.record(f"explain {recipe.artifact_id}", key, QuantizationReport, work)


def explain(
    spec: ModelSpec, artifact: Artifact, exports: tuple[Export, Export], films: FilmSet
) -> QuantizationReport:
    """Run both networks on some films and compare them layer by layer.

    Args:
        exports: the file that INT8 started from (TFLite's own, else the ONNX file), and INT8.
        films: the calibration films; 16 of them are used.

    Raises:
        ConversionError: a file could not be read or run.
    """
    fp32, int8 = exports
    driver = driver_for(artifact.format)
    seen = few_films(films, FILMS)
    layers = call(driver.layers, fp32, spec)
    noise = call(driver.noise, fp32, int8, spec, seen)
    in_float = call(driver.in_float, fp32, int8)
    left = dict.fromkeys(in_float, f"{artifact.recipe} does not quantize it")
    left |= dict.fromkeys((x.name for x in layers if x.tail), why_tail(spec))
    left |= {x.name: x.why for x in artifact.float_layers}
    losses = layer_losses(layers, noise, left)
    return QuantizationReport(
        schema=SCHEMA,
        model=spec.name,
        version=spec.version,
        artifact=artifact.id,
        artifact_sha256=artifact.sha256,
        format=artifact.format,
        recipe=artifact.recipe,
        method=artifact.calibration.method if artifact.calibration else "none",
        safe_on=artifact.safe_on,
        data=seen.data,
        part=seen.part,
        n_films=len(seen),
        bytes=artifact.bytes,
        float_share=sum(x.share for x in losses if x.in_float),
        layers=losses,
    )


def layer_losses(
    layers: tuple[Layer, ...],
    noise: Mapping[str, float],
    left: Mapping[str, str],
) -> tuple[LayerLoss, ...]:
    """Each layer with its share of the work and of the noise.

    Args:
        noise: SNR in dB by layer's name.
        left: why a layer stayed in float, by its name.
    """
    total = sum(layer.multiply_adds for layer in layers) or 1
    power = {name: 10.0 ** (-db / 10) for name, db in noise.items()}
    found = []
    for layer in layers:
        why = left.get(layer.name, "")
        known = layer.name in power
        before = max((power.get(name, 0.0) for name in layer.inputs), default=0.0)
        found.append(
            LayerLoss(
                name=layer.name,
                operation=layer.operation,
                snr_db=noise[layer.name] if known else None,
                noise_added=power[layer.name] - before if known else None,
                share=layer.multiply_adds / total,
                weight_bytes=layer.weight_bytes,
                in_float=bool(why),
                why=why,
            )
        )
    return tuple(found)


def write_reports(reports: tuple[QuantizationReport, ...], folder: Path) -> tuple[Path, ...]:
    """Beside the bundle's manifest: measurements/HASH-quantization.json of each artifact, and in
    report/ one page of all with its pictures.

    Raises:
        OutputError: the folder cannot be written.
    """
    from .quantization_page import page
    from .quantization_picture import picture

    pictures = {r.artifact: picture(r) for r in reports}
    files = {
        folder / "measurements" / f"{r.artifact_sha256}-{NAME}.json": dump_bytes(r) for r in reports
    }
    for artifact, data in pictures.items():
        files[folder / FOLDER / f"{NAME}-{artifact.replace('/', '-')}.png"] = data
    files[folder / FOLDER / f"{NAME}.html"] = page(reports, pictures).encode("utf-8")
    for path, data in files.items():
        write_atomic(path, data)
    return tuple(files)
