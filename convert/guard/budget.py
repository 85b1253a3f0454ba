"""Whether what INT8 loses against FP32 on guard is within the model's budget."""

import math

from ...profiles.paired import worst_share
from ...runtime.guarding import PairedLoss, Trial
from ..recipes import Export
from .driver import Quantization

# JSON has no infinity: something was lost where nothing is allowed.
_INFINITE = 1e6


Losses = tuple[PairedLoss, ...] | None


def keeps(losses: Losses) -> bool:
    """Whether every loss is within its allowance; None, scores that are no numbers, is not."""
    return share_used(losses) <= 1.0


def share_used(losses: Losses) -> float:
    """As `worst_share`, and infinite where there are no numbers."""
    return math.inf if losses is None else worst_share(losses)


def judged_trial(
    settings: Quantization, made: Export, losses: Losses, draft: bool = False
) -> Trial:
    """The record of one quantization."""
    return Trial(
        method=settings.method,
        float_layers=len(settings.float_layers),
        worst=min(share_used(losses), _INFINITE),
        bytes=made.bytes,
        numbers=losses is not None,
        draft=draft,
    )


def broken(losses: Losses) -> str:
    """A sentence about the losses that break the budget."""
    if losses is None:
        return "some of its scores are NaN or infinite, so nothing else can be measured."
    told = [
        f"{loss.figure}{f' of {loss.label}' if loss.label else ''} loses {loss.value:.4f} "
        f"(95 % interval {loss.low:.4f} to {loss.high:.4f}) on {loss.n} films, at most "
        f"{loss.allowed:.4f} allowed"
        for loss in losses
        if not keeps((loss,))
    ]
    return f"against FP32, {'; '.join(told)}."
