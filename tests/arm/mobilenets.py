"""The 16 MobileNets, and a small network for the second stage of a cascade.

Whether a processor reproduces recorded answers does not hang on what was learned: where a clone
has reference weights of neither form, random ones do.
"""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from clinicedge.convert.recipes import FORMATS, GUARDED
from clinicedge.convert.source import Source
from clinicedge.convert.zoo_source import load_source
from clinicedge.models import weights, zoo
from clinicedge.models.chest import LUNG_CROP
from clinicedge.runtime import phantom
from clinicedge.runtime.guarding import Budget
from clinicedge.runtime.images import prepare
from clinicedge.runtime.manifest import Precision
from clinicedge.runtime.spec import ModelSpec

if TYPE_CHECKING:
    from torch import nn

SMALLEST = "mobilenet-0.25-128"
# Two findings in the place of two labels: pneumonia-type-224 is a DenseNet121, 200 times as large.
TYPES = "types-lung-crop"
# Phantoms and weights of no training say nothing of accuracy: any INT8 keeps this budget.
_WIDE = Budget(points=100.0, auc=1.0, dice=1.0, ap50=1.0)
_SETTLED_ON = 8


@dataclass(frozen=True)
class Net:
    """A network to convert.

    Attributes:
        name: one of `names()`, or TYPES.
        model: of the zoo; the form for lung crops where that alone has weights.
        weights: the clone's file, None where there is none.
        floats: made beside guarded INT8.
    """

    name: str
    model: str
    weights: Path | None
    floats: tuple[Precision, ...] = ("fp32",)

    @property
    def spec(self) -> ModelSpec:
        """Its spec with a wide budget."""
        spec = replace(zoo.spec(self.model), budget=_WIDE)
        if self.name != TYPES:
            return spec
        scores = replace(
            spec.output("logits"),
            activation="sigmoid",
            labels=("BACTERIAL", "VIRAL"),
            positive_label=None,
        )
        others = tuple(o for o in spec.outputs if o.meaning != "logits")
        return replace(spec, name=TYPES, task="findings", outputs=(scores, *others))

    @property
    def artifacts(self) -> set[str]:
        """Ids of all that its bundle must have."""
        return {f"{format_}/{recipe}" for format_ in FORMATS for recipe in (*self.floats, GUARDED)}


def names() -> tuple[str, ...]:
    """Of all 16, the lightest first."""
    plain = [n for n in zoo.chest_names() if n.startswith("mobilenet-") and LUNG_CROP not in n]
    return tuple(sorted(plain, key=lambda name: zoo.cost(name).mult_adds))


def net(name: str) -> Net:
    """With the clone's weights, if need be those of the form for lung crops."""
    if name == TYPES:
        model = SMALLEST + LUNG_CROP
        return Net(name, model, _in_clone(model), floats=())
    for model in (name, name + LUNG_CROP):
        found = _in_clone(model)
        if found is not None:
            return Net(name, model, found)
    return Net(name, name, None)


def source(wanted: Net) -> Source:
    """The network itself."""
    found = load_source(wanted.model) if wanted.weights else _untrained(wanted.model)
    if wanted.name == TYPES:
        # The card's threshold is of another answer.
        found = replace(found, thresholds={})
    return replace(found, spec=wanted.spec)


def _in_clone(model: str) -> Path | None:
    path = weights.CLONE_FOLDER / zoo.spec(model).weights.file
    return path if path.is_file() else None


def _untrained(model: str) -> Source:
    import torch

    torch.manual_seed(0)
    module = zoo.build(model)
    _settle(module, zoo.spec(model))
    with tempfile.TemporaryDirectory() as name:
        weights.save(module, Path(name) / zoo.spec(model).weights.file, model)
        return load_source(model, (Path(name),))


def _settle(module: "nn.Module", spec: ModelSpec) -> None:
    """Give the batch norms the statistics of phantoms.

    Without them signals die on their way through random layers, and INT8's scales with them:
    LiteRT's own kernels refuse such a graph.
    """
    import torch

    films = [prepare(phantom.draw(phantom.sample(seed)), spec.input) for seed in range(_SETTLED_ON)]
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.momentum = 1.0
    module.train()
    with torch.no_grad():
        module(torch.from_numpy(np.concatenate(films)))
    module.eval()
