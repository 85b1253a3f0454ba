"""The models that this server answers with: opened once, after they passed acceptance here."""

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..profiles.devices import detect
from ..runtime.acceptance import AcceptanceResult, check_acceptance
from ..runtime.bundle import Bundle, load
from ..runtime.errors import SettingsError, UnknownCaseError
from ..runtime.film import Film
from ..runtime.predictions import CAUTION, Classification, Explanation
from ..runtime.predictor import Predictor
from ..runtime.records import to_json
from ..runtime.spec import Voi
from .settings import EngineWish


@dataclass(frozen=True, eq=False)
class Served:
    """One model. Any thread may ask; a predictor takes one question at a time."""

    bundle: Bundle
    predictor: Predictor
    acceptance: AcceptanceResult
    _turn: threading.Lock = field(default_factory=threading.Lock)

    @property
    def name(self) -> str:
        """What a request calls it by."""
        return self.bundle.manifest.name

    @property
    def labels(self) -> tuple[str, ...]:
        """Of the first output that has labels, in the manifest's order."""
        return next(o.labels for o in self.bundle.manifest.outputs if o.labels)

    @property
    def positive_label(self) -> str:
        """The label that the score stands for."""
        return next(o.positive_label or "" for o in self.bundle.manifest.outputs if o.labels)

    @property
    def voi(self) -> Voi:
        """The grey range of DICOM files that the model was made for."""
        return self.predictor.input.dicom.voi

    def predict(self, film: Film) -> Classification:
        """As `Predictor.predict`."""
        with self._turn:
            return self.predictor.predict(film)

    def explain(self, film: Film) -> Explanation:
        """As `Predictor.explain`."""
        with self._turn:
            return self.predictor.explain(film)


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
            if name is None or model.name == name:
                return model
        raise UnknownCaseError(
            f"no model '{name}' on this box; it has {', '.join(m.name for m in self.models)}."
        )

    def by_artifact(self, artifact_sha256: str) -> Served | None:
        """The model that answers with exactly that artifact."""
        found = (m for m in self.models if m.predictor.report.artifact_sha256 == artifact_sha256)
        return next(found, None)


def open_models(folders: tuple[Path, ...], wish: EngineWish) -> Registry:
    """Open every bundle.

    Raises:
        BundleError, EngineError: what `Bundle.predictor` raises.
        SettingsError: two bundles of one name.
    """
    order = detect().profile.engine_order
    models = tuple(_open(folder, wish, order) for folder in folders)
    names = [m.name for m in models]
    if len(set(names)) != len(names):
        raise SettingsError(
            f"two bundles have one name: {', '.join(sorted(names))}. Serve one of them."
        )
    return Registry(models)


def _open(folder: Path, wish: EngineWish, order: tuple[str, ...]) -> Served:
    bundle = load(folder)
    predictor = bundle.predictor(wish.engine, wish.precision, wish.threads, order)
    report = predictor.report
    compute = next(
        c for c in bundle.artifact(report.artifact).computes if c == report.session.compute
    )
    # Passed a moment ago and remembered; asked again for what it said.
    accepted = check_acceptance(bundle, report.artifact, compute, report.session.engine)
    return Served(bundle, predictor, accepted)


def model_json(model: Served, default: bool) -> dict[str, Any]:
    """What the interface tells of a model."""
    manifest = model.bundle.manifest
    report = model.predictor.report
    rule = next(
        t
        for t in manifest.thresholds
        if (t.artifact, t.compute) == (report.artifact, model.acceptance.compute)
    )
    return {
        "name": model.name,
        "version": manifest.version,
        "default": default,
        "task": manifest.task,
        "labels": list(model.labels),
        "positive_label": model.positive_label,
        "threshold": to_json(rule),
        "input": {"height": model.predictor.input.height, "width": model.predictor.input.width},
        "explanation": manifest.explanation is not None,
        "intended_use": to_json(manifest.intended_use),
        "licence": manifest.licence,
        "report": to_json(report),
        "acceptance": acceptance_json(model),
        "caution": CAUTION,
    }


def acceptance_json(model: Served) -> dict[str, Any]:
    """Whether this machine reproduced the recorded answers, and how closely."""
    result = model.acceptance
    return {
        "passed": result.passed,
        "films": len(result.films),
        "largest_difference": max((f.max_difference or 0.0 for f in result.films), default=None),
        "engine": result.engine_version,
        "processor": result.processor,
    }
