"""What the log says at the start: what answers, and what was passed over and why."""

import logging

from .models_registry import Registry
from .served import members

_LOG = logging.getLogger("clinicedge.edge_server")


def log_models(registry: Registry) -> None:
    """One line a network that answers, one for each note of its session, and one for a bundle that
    a revoked key signed.

    Notes are warnings: they reach stderr where nobody set up a log.
    """
    for model in registry.models:
        if model.bundle.signed.state == "revoked key":
            _LOG.warning("%s: %s", model.name, model.bundle.signed.words())
        for role, member in (("", model.predictor), *members(model.predictor)):
            if member.parts:
                continue
            report = member.report
            where = f"{model.name} {role}".rstrip()
            version = report.session.engine_version
            _LOG.info("%s: answers with %s in %s", where, report.artifact, version)
            for note in report.session.notes:
                _LOG.warning("%s: %s", where, note)
