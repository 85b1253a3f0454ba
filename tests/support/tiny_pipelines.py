"""Pipelines of tiny bundles."""

import math
from pathlib import Path

import tiny_bundles as tiny
from tiny_bundles import Scores

from clinicedge.runtime import Bundle
from clinicedge.runtime.manifest import DiscrepancyRule, PipelineRules, Threshold

CROPPED = Scores(region="lungs")
RULE = DiscrepancyRule(0.1, 0.3, 1, 2)
CASCADE = PipelineRules("cascade", None, RULE, None)


def ensemble_rules(value: float = 0.5) -> PipelineRules:
    """Of binary members."""
    own = Threshold("onnx/fp32", "f32", "PNEUMONIA", value, "by hand", "noise", "select", 1)
    return PipelineRules("ensemble", None, None, own)


def on_lungs(folder: Path, lungs: Bundle) -> Bundle:
    """lungs -> crop -> classifier, in `folder`."""
    classifier = tiny.binary(folder / "crop", "tiny-lung-crop", CROPPED)
    return tiny.on_lungs(folder / "on-lungs", classifier, lungs)


def cascade(folder: Path, first: Bundle, lungs: Bundle) -> Bundle:
    """First a label, then bacterial or viral, both on lungs; in `folder`."""
    net = Scores(("BACTERIAL", "VIRAL"), (4.0, -4.0), (0.0, 0.0), (0.5, 0.5), "lungs")
    types = tiny.findings(folder / "types", "types-lung-crop", net)
    second = tiny.on_lungs(folder / "types-on-lungs", types, lungs)
    return tiny.pipeline(
        folder / "cascade", "tiny-cascade", CASCADE, [("first", first), ("second", second)]
    )


def sigmoid(logit: float) -> float:
    """In float64."""
    return 1 / (1 + math.exp(-logit))
