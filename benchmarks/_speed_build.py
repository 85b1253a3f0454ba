"""Lesion pipelines with random values, to be timed: FP32 and plain static INT8, no accuracy."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from clinicedge.convert import ConvertOptions, Source
from clinicedge.convert.guard.bench import FormatBench
from clinicedge.convert.guard.driver import Quantization
from clinicedge.convert.pipeline_bundles import lesions, write_pipeline
from clinicedge.convert.recipes import FORMATS, PLAIN, Recipe, tool_versions
from clinicedge.convert.running import Runnable
from clinicedge.convert.steps import Steps
from clinicedge.convert.thresholds import bound
from clinicedge.convert.writing import build_manifest, write_bundle
from clinicedge.models import zoo
from clinicedge.runtime.figures import Parity
from clinicedge.runtime.manifest import Acceptance, Artifact, Format
from clinicedge.runtime.spec import DetectionRules, ModelSpec

if TYPE_CHECKING:
    from torch import nn

SEED = 20260101
RECIPES = ("fp32", PLAIN)
RANDOM = "random values"
# Phantoms that set the ranges of INT8: what the ranges are does not change the time.
CALIBRATION_FILMS = 8
# Every film gets exactly one box, the surest, however unsure.
ONE_BOX = DetectionRules(nms_iou=0.5, max_candidates=1, max_boxes=1)
_ANY_SCORE = 1e-6
# Films that settle batch normalization.
_SETTLING = 2


@dataclass(frozen=True)
class Built:
    """Where the pipeline lies, the ids of its artifacts, and what a device stores of each, MB."""

    folder: Path
    megabytes: dict[str, float]


def build(names: tuple[str, str], formats: Sequence[Format], work: Path) -> Built:
    """A detector and a promptable segmenter of the zoo as one pipeline in `work`.

    What an earlier run left there is used again.
    """
    folders, megabytes = [], dict.fromkeys((f"{f}/{r}" for f in formats for r in RECIPES), 0.0)
    for name in names:
        artifacts = _model(_source(name), formats, work)
        folders.append(work / name)
        for artifact in artifacts:
            megabytes[artifact.id] += artifact.bytes / 1e6
    plan = lesions("lesion-speed", *folders)
    return Built(write_pipeline(plan, work).folder, megabytes)


def _source(name: str) -> Source:
    import torch

    spec = zoo.spec(name)
    if spec.task == "detection":
        spec = replace(spec, detection=ONE_BOX)
    torch.manual_seed(SEED)
    network = _settled(zoo.build(name), spec)
    return Source(spec, network, "none", "0" * 64, "none", RANDOM)


def _settled(network: "nn.Module", spec: ModelSpec) -> "nn.Module":
    """Batch normalization with the statistics of noise, so that values stay in their usual range
    through the network: numbers near 0 are slow in float32."""
    import torch
    from torch import nn

    normalizations = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    if not normalizations:
        return network.eval()
    kept = [m.momentum for m in normalizations]
    for module in normalizations:
        module.momentum = None
    with torch.no_grad():
        network.train()(torch.rand(_SETTLING, *spec.input.shape))
    for module, momentum in zip(normalizations, kept, strict=True):
        module.momentum = momentum
    return network.eval()


def _model(source: Source, formats: Sequence[Format], work: Path) -> tuple[Artifact, ...]:
    """The bundle of one model, without acceptance films: nothing is known to be right in it."""
    options = ConvertOptions(work, tuple(formats), calibration_films=CALIBRATION_FILMS)
    label = source.spec.outputs[0].labels[0]
    level = _ANY_SCORE if source.spec.task == "detection" else 0.5
    artifacts, thresholds, files = [], [], []
    with TemporaryDirectory() as scratch:
        steps = Steps(source, options, Path(scratch))
        for format_ in formats:
            for name in RECIPES:
                made = _made(steps, Recipe(format_, name))
                artifacts.append(_artifact(made, name))
                picked = (level, "none: random values")
                thresholds.append(bound(made, label, picked, steps.films.select))
                files += made.files
    manifest = build_manifest(
        source,
        tool_versions(tuple(f for f in FORMATS if f in formats)),
        tuple(artifacts),
        tuple(thresholds),
        Acceptance((), ()),
        (),
    )
    write_bundle(work / source.spec.name, manifest, files)
    return tuple(artifacts)


def _made(steps: Steps, recipe: Recipe) -> Runnable:
    if recipe.precision == "fp32":
        return steps.ready(recipe, steps.export(recipe))
    bench = FormatBench(steps, recipe)
    return steps.ready(recipe, bench.quantize(Quantization(recipe.name, bench.methods[0])))


def _artifact(made: Runnable, recipe: str) -> Artifact:
    return Artifact(
        id=made.artifact_id,
        format=made.format,
        recipe=recipe,
        precision=made.graph.precision,
        computes=(made.compute,),
        graphs=made.graphs,
        sha256=made.sha256,
        float_layers=made.export.float_layers,
        calibration=None,
        # Of random values there is nothing to compare.
        parity=Parity("none", 0, 0.0, 0.0, 0.0, None, 0.0, 0),
        accuracy=(),
    )
