"""What the interface tells of a model."""

from typing import Any

from ..runtime.predictions import CAUTION
from ..runtime.predictor import Predictor
from ..runtime.records import to_json
from .models_registry import finding_thresholds, thresholds
from .readings import SYMPTOMS
from .served import Checked, Served, members


def model_json(model: Served, default: bool) -> dict[str, Any]:
    """One model of GET /api/v1/models.

    `kind` is the bundle's ("model" or "pipeline"), `answer` that of its predictions. `threshold`
    is None where every finding has its own, in `findings`; `thresholds` has one a decided label.
    """
    manifest, predictor = model.bundle.manifest, model.predictor
    rules = thresholds(predictor)
    return {
        "name": model.name,
        "version": manifest.version,
        "default": default,
        "kind": manifest.kind,
        "pipeline": None if manifest.pipeline is None else manifest.pipeline.kind,
        "task": manifest.task,
        "answer": predictor.kind,
        "labels": list(predictor.labels),
        "positive_label": predictor.positive_label,
        "threshold": to_json(rules[0]) if predictor.kind != "findings" else None,
        "thresholds": to_json(rules),
        "findings": to_json(finding_thresholds(predictor)),
        "members": [_member_json(role, member) for role, member in members(predictor)],
        "reading": {
            "first_opinion": list(model.questions.opinions),
            "first_findings": list(model.questions.findings),
            "symptoms": list(SYMPTOMS) if predictor.kind == "cascade" else [],
        },
        "input": {
            "height": predictor.input.height,
            "width": predictor.input.width,
            "region": predictor.input.region,
        },
        "explanation": _explains(predictor),
        "intended_use": to_json(manifest.intended_use),
        "licence": manifest.licence,
        "signed": to_json(model.bundle.signed),
        "report": to_json(predictor.report),
        "acceptance": acceptance_json(model),
        "caution": CAUTION,
    }


def _member_json(role: str, member: Predictor) -> dict[str, Any]:
    report = member.report
    return {
        "role": role,
        "name": report.model,
        "version": report.model_version,
        "kind": member.bundle.manifest.kind,
        "answer": member.kind,
        "bundle_id": report.bundle_id,
        "artifact": report.artifact,
        "artifact_sha256": report.artifact_sha256,
        "engine": report.session.engine_version,
        "compute": report.session.compute,
        "notes": list(report.session.notes),
    }


def _explains(predictor: Predictor) -> bool:
    """Whether a map can be asked for: a mask is one, else a network must give features."""
    if predictor.kind == "segmentation":
        return True
    inner = [m for _, m in members(predictor) if not m.parts]
    return any(m.bundle.manifest.explanation is not None for m in inner or [predictor])


def acceptance_json(model: Served) -> dict[str, Any]:
    """Whether this machine reproduced the recorded answers, and how closely."""
    films = [f for c in model.checks for f in c.result.films]
    first = model.checks[0].result
    told: dict[str, Any] = {
        "passed": model.passed,
        "films": len(films),
        "largest_difference": max((f.max_difference or 0.0 for f in films), default=None),
        "engine": first.engine_version,
        "processor": first.processor,
    }
    if model.predictor.parts:
        told["members"] = [_checked_json(c) for c in model.checks]
    return told


def _checked_json(checked: Checked) -> dict[str, Any]:
    result = checked.result
    return {
        "role": checked.role,
        "name": checked.model,
        "artifact": result.artifact,
        "engine": result.engine_version,
        "passed": result.passed,
        "films": len(result.films),
    }
