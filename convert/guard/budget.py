"""Whether what INT8 loses against FP32 on guard is within the model's budget."""

from collections.abc import Sequence

from ...profiles.paired import worst_share
from ...runtime.guarding import PairedLoss, Trial
from ..recipes import Export
from .driver import Quantization

__all__ = ["broken", "judged_trial", "keeps", "worst_share"]

# JSON has no infinity: something was lost where nothing is allowed.
_INFINITE = 1e6


def keeps(losses: Sequence[PairedLoss]) -> bool:
    """Whether every loss is within its allowance."""
    return worst_share(losses) <= 1.0


def judged_trial(settings: Quantization, made: Export, losses: Sequence[PairedLoss]) -> Trial:
    """The record of one quantization."""
    return Trial(
        method=settings.method,
        float_layers=len(settings.float_layers),
        worst=min(worst_share(losses), _INFINITE),
        bytes=made.bytes,
    )


def broken(losses: Sequence[PairedLoss]) -> str:
    """A sentence about the losses that break the budget."""
    told = [
        f"{loss.figure}{f' of {loss.label}' if loss.label else ''} loses {loss.value:.4f} "
        f"(95 % interval {loss.low:.4f} to {loss.high:.4f}) on {loss.n} films, at most "
        f"{loss.allowed:.4f} allowed"
        for loss in losses
        if not keeps([loss])
    ]
    return f"against FP32, {'; '.join(told)}."
