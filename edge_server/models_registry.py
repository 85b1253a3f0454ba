"""The models that this server answers with: opened once, after they passed acceptance here."""

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..profiles.devices import detect
from ..runtime.acceptance import AcceptanceResult, check_acceptance
from ..runtime.bundle import Bundle, load
from ..runtime.errors import SettingsError, UnknownCaseError
from ..runtime.explanations import MapRequest
from ..runtime.explanations.lung_fields import lung_fields
from ..runtime.film import Film
from ..runtime.intended_use import refuse_outside
from ..runtime.manifest import Threshold
from ..runtime.predictions import Explanation, Prediction
from ..runtime.predictor import ModelPredictor, Predictor
from ..runtime.spec import Voi
from ..runtime.trust import Trust
from .readings import NONE, Questions
from .settings import EngineWish

# The members whose answer a pipeline gives on, and the one that adds findings.
_DECIDING = ("classifier", "first")
_ADDING = "second"


@dataclass(frozen=True)
class Checked:
    """How one network fared; `role` is its place in a pipeline, "" for a model alone."""

    role: str
    model: str
    result: AcceptanceResult


@dataclass(frozen=True, eq=False)
class Served:
    """One model or pipeline. Any thread may ask; a predictor takes one question at a time."""

    bundle: Bundle
    predictor: Predictor
    checks: tuple[Checked, ...]
    _turn: threading.Lock = field(default_factory=threading.Lock)

    @property
    def name(self) -> str:
        """What a request calls it by."""
        return self.bundle.manifest.name

    @property
    def passed(self) -> bool:
        """Whether every network in it reproduced its recorded answers here."""
        return all(c.result.passed for c in self.checks)

    @property
    def voi(self) -> Voi:
        """The grey range of DICOM files that the model was made for."""
        return self.predictor.input.dicom.voi

    @cached_property
    def questions(self) -> Questions:
        """What a clinician's own reading may name."""
        labels = self.predictor.labels
        if self.predictor.kind == "findings":
            return Questions((), labels)
        if self.predictor.kind == "segmentation":
            return Questions((*labels, NONE), ())
        second = part(self.predictor, (_ADDING,))
        return Questions(labels, second.labels if second is not None else ())

    def predict(self, film: Film) -> Prediction:
        """As `Predictor.predict`; what the film declares is looked at before anything else."""
        refuse_outside(film, self.bundle.manifest.intended_use, self.name)
        with self._turn:
            return self.predictor.predict(film)

    def explain(
        self, film: Film, request: MapRequest
    ) -> tuple[Explanation, NDArray[np.bool_] | None]:
        """As `Predictor.explain`, and the lungs that the pipeline sees, bool (H, W)."""
        with self._turn:
            return self.predictor.explain(film, request), lung_fields(self.predictor, film)


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


def part(predictor: Predictor, roles: tuple[str, ...]) -> Predictor | None:
    """The member in one of these roles; None where the pipeline has none."""
    return next((p.predictor for p in predictor.parts if p.role in roles), None)


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
    second = part(predictor, (_ADDING,))
    return () if second is None else thresholds(second)


def members(predictor: Predictor, above: str = "") -> Iterator[tuple[str, Predictor]]:
    """Everything in a pipeline with its role path such as "first/lungs", outer before inner."""
    for inner in predictor.parts:
        role = f"{above}/{inner.role}" if above else inner.role
        yield role, inner.predictor
        yield from members(inner.predictor, role)


def open_models(
    folders: tuple[Path, ...], wish: EngineWish, default: str | None, trust: Trust | None = None
) -> Registry:
    """Open every bundle; the model named `default` comes first, else the first folder's.

    Raises:
        SignatureError: a bundle is not signed as `trust`, or the device, demands.
        BundleError, EngineError: what `Bundle.predictor` raises.
        SettingsError: two bundles of one name, none of the default's, or one for lung crops.
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
    predictor = bundle.predictor(wish.engine, wish.precision, wish.threads, order)
    if not _takes_films(predictor):
        raise SettingsError(
            f"'{bundle.manifest.name}' takes films cropped to the lungs, and a clinic sends whole "
            "ones. Serve the pipeline that finds the lungs and crops: its name ends in -on-lungs."
        )
    checks = tuple(_checks(predictor))
    return Served(bundle, predictor, checks)


def _takes_films(predictor: Predictor) -> bool:
    """Whether whole films may be asked; a pipeline that crops makes crops of them."""
    if not predictor.parts:
        return predictor.input.region == "film"
    if part(predictor, ("lungs",)) is not None:
        return True
    return all(_takes_films(p.predictor) for p in predictor.parts)


def _checks(predictor: Predictor) -> Iterator[Checked]:
    """What acceptance said of each network; passed a moment ago and remembered."""
    for role, member in (("", predictor), *members(predictor)):
        if member.parts:
            continue
        report, bundle = member.report, member.bundle
        computes = bundle.artifact(report.artifact).computes
        compute = next(c for c in computes if c == report.session.compute)
        result = check_acceptance(bundle, report.artifact, compute, report.session.engine)
        yield Checked(role, bundle.manifest.name, result)
