"""NAME-fold-K: the same network trained on one fold, with weights and a bundle of its own name."""

import re
from dataclasses import replace

from ..runtime.spec import ModelSpec, WeightsSource

_FORM = re.compile(r"(.+)-fold-([1-9][0-9]?)")


def whole_name(name: str) -> str:
    """The name without the ending of a fold; other names as they are."""
    match = _FORM.fullmatch(name)
    return match[1] if match else name


def fold_spec(spec: ModelSpec, name: str) -> ModelSpec:
    """The spec of the fold `name`: members of an ensemble must have different names."""
    weights = WeightsSource(f"{name}.safetensors", spec.weights.licence, spec.weights.attribution)
    return replace(spec, name=name, weights=weights)
