"""The models that this server answers with: opened once, after they passed acceptance here."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..profiles.devices import detect
from ..runtime.bundle import Bundle, load
from ..runtime.errors import SettingsError, UnknownCaseError
from ..runtime.manifest import Threshold
from ..runtime.predictor import ModelPredictor, Predictor
from ..runtime.trust import Trust
from .served import ADDING, Served, part
from .settings import EngineWish

# The members whose answer a pipeline gives on.
_DECIDING = ("classifier", "first", "detector")


@dataclass(frozen=True)
class Registry:
    """Models by name; the first one answers when a request names none."""

    models: tuple[Served, ...]

    def get(self, name: str | None = None) -> Served:
        """The model of that name.

        Raises:
            UnknownCaseError: none has it.
        """
        for model in self.models:
            if not name or model.name == name:
                return model
        raise UnknownCaseError(
            f"no model '{(name or '')[:80]}' on this box; it has "
            f"{', '.join(m.name for m in self.models)}. Name one of these, or none for the first."
        )

    def answered(self, report: Mapping[str, Any]) -> Served | None:
        """The model behind a kept report, if it still answers with exactly that artifact.

        A pipeline must be the same bundle too: where it crops is in no artifact.
        """
        for model in self.models:
            here = model.predictor.report
            same_bundle = here.bundle_id == report["bundle_id"]
            same_artifact = here.artifact_sha256 == report["artifact_sha256"]
            if same_artifact and (same_bundle or not model.predictor.parts):
                return model
        return None


def thresholds(predictor: Predictor) -> tuple[Threshold, ...]:
    """The threshold records behind the answer, of the member that decides."""
    manifest = predictor.bundle.manifest
    if isinstance(predictor, ModelPredictor):
        return predictor.rules
    if manifest.pipeline is not None and manifest.pipeline.threshold is not None:
        return (manifest.pipeline.threshold,)
    deciding = part(predictor, _DECIDING)
    return manifest.thresholds if deciding is None else thresholds(deciding)


def finding_thresholds(predictor: Predictor) -> tuple[Threshold, ...]:
    """The threshold of each finding; () where the model knows none."""
    if predictor.kind == "findings":
        return thresholds(predictor)
    second = part(predictor, (ADDING,))
    return () if second is None else thresholds(second)


def open_models(
    folders: tuple[Path, ...], wish: EngineWish, default: str | None, trust: Trust | None = None
) -> Registry:
    """Open every bundle; the model named `default` comes first, else the first folder's.

    Raises:
        SignatureError: a bundle is not signed as `trust`, or the device, demands.
        BundleError, EngineError: what `Bundle.predictor` raises.
        SettingsError: two bundles of one name, none of the default's, one for lung crops,
            or half of a lesion pipeline.
    """
    bundles = [load(folder, trust) for folder in folders]
    names = [b.manifest.name for b in bundles]
    if len(set(names)) != len(names):
        raise SettingsError(
            f"two bundles have one name: {', '.join(sorted(names))}. Serve one of them."
        )
    if default is not None and default not in names:
        raise SettingsError(
            f"--default {default} names no bundle that is served; expected one of "
            f"{', '.join(names)}."
        )
    order = detect().profile.engine_order
    models = [_open(bundle, wish, order) for bundle in bundles]
    return Registry(tuple(sorted(models, key=lambda m: m.name != default)))


def _open(bundle: Bundle, wish: EngineWish, order: tuple[str, ...]) -> Served:
    served = Served(bundle, lambda b: b.predictor(wish.engine, wish.precision, wish.threads, order))
    _refuse_half(served.predictor)
    if not _takes_films(served.predictor):
        raise SettingsError(
            f"'{bundle.manifest.name}' takes films cropped to the lungs, and a clinic sends whole "
            "ones. Serve the pipeline that finds the lungs and crops: its name ends in -on-lungs."
        )
    return served


def _refuse_half(predictor: Predictor) -> None:
    """Refuse what is but half of a lesion pipeline."""
    prompted = predictor.bundle.manifest.task == "promptable-segmentation"
    if prompted or predictor.kind == "detection":
        lacks = "for boxes drawn by hand" if prompted else "with boxes alone"
        raise SettingsError(
            f"'{predictor.report.model}' answers {lacks}; expected a model that outlines what it "
            "finds on a film. Serve a pipeline of a detector and a promptable segmenter, made with "
            "`clinicedge pipeline lesions`."
        )


def _takes_films(predictor: Predictor) -> bool:
    """Whether whole films may be asked; a pipeline that crops makes crops of them."""
    if not predictor.parts:
        return predictor.input.region == "film"
    if part(predictor, ("lungs",)) is not None:
        return True
    return all(_takes_films(p.predictor) for p in predictor.parts)
