"""From plain INT8 to one that keeps its budget, with as few layers in float as are needed.

The calibration method whose scores on select are least noisy goes first, as it is; a method that
the tool cannot do on this network is passed over. Where the first breaks the budget on guard,
layers go back to float, 1, 2, 4, 8 ..., those first whose own noise is large for what they
compute; then halving back, and last one by one, drops what was not needed.
Where a format has quick drafts, methods and layers are sought with them; what they find is made
and judged in full, and where it breaks the budget then, the search goes on. Deterministic, and
never more than `limit` quantizations, drafts included.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from ...runtime.errors import BudgetError, ConversionError
from ...runtime.guarding import PairedLoss, Trial
from ..recipes import Export
from .budget import Losses, broken, judged_trial, keeps, share_used
from .driver import Layer, Quantization
from .ranking import MOST_FLOAT, ranked, within_cap

# A method must be this much less noisy than an earlier one to go before it.
CLEARLY_DB = 1.0

Say = Callable[[str], None]


class Bench(Protocol):
    """What the search can have done for it; each call may be a long one."""

    @property
    def methods(self) -> tuple[str, ...]:
        """Calibration methods, the usual first."""
        ...

    def layers(self) -> tuple[Layer, ...]:
        """The network's layers as they run."""
        ...

    @property
    def drafts(self) -> bool:
        """Whether quick drafts stand in for INT8 while it is sought."""
        ...

    def quantize(self, settings: Quantization, draft: bool = False) -> Export:
        """One INT8, or a draft of it."""
        ...

    def scores_db(self, made: Export) -> float:
        """SNR of the raw scores against FP32's on select."""
        ...

    def losses(self, made: Export) -> Losses:
        """Against FP32 on guard, each at its own threshold; None: its scores are no numbers."""
        ...

    def noise(self, made: Export) -> Mapping[str, float]:
        """SNR in dB of each layer's output on some calibration films."""
        ...


@dataclass(frozen=True, eq=False)
class Found:
    """The INT8 that keeps the budget.

    Attributes:
        trials: as in `Guarding`.
        noise: of the plain INT8's layers in dB; {} where nothing was reverted.
        plain: the INT8 with the same method and nothing reverted.
    """

    settings: Quantization
    export: Export
    losses: tuple[PairedLoss, ...]
    trials: tuple[Trial, ...]
    noise: Mapping[str, float]
    plain: Export


@dataclass(frozen=True, eq=False)
class _Judged:
    trial: Trial
    settings: Quantization
    export: Export
    losses: Losses

    @property
    def kept(self) -> bool:
        return keeps(self.losses)


def search(bench: Bench, recipe: str, limit: int, say: Say) -> Found:
    """Find the INT8 of a network.

    Args:
        recipe: the plain one to start from, e.g. "int8-static".
        limit: quantizations at most.
        say: told in words what is being tried.

    Raises:
        BudgetError: none keeps the budget.
        ConversionError: the quantizer failed by every method, or on layers in float.
    """
    return _Search(bench, recipe, limit, say).run()


class _Search:
    def __init__(self, bench: Bench, recipe: str, limit: int, say: Say) -> None:
        self._bench, self._recipe, self._limit, self._say = bench, recipe, limit, say
        self._trials: list[Trial] = []
        self._judged: dict[tuple[str, ...], _Judged] = {}
        self._layers: tuple[Layer, ...] = ()
        self._noise: Mapping[str, float] = {}
        self._draft = False
        self._refused: list[ConversionError] = []

    def run(self) -> Found:
        plain = self._plain()
        if plain.kept:
            return self._found(plain, plain)
        self._say("looking for the layers that cost most")
        self._layers = self._bench.layers()
        self._noise = self._bench.noise(plain.export)
        order = within_cap(ranked(self._layers, self._noise), self._layers, MOST_FLOAT)
        for draft in (True, False) if self._bench.drafts else (False,):
            self._draft, self._judged = draft, {(): plain}
            found = self._within_budget(plain, order)
            if found is not None:
                return self._found(found, plain)
        raise BudgetError(self._words(len(order)))

    def _within_budget(self, plain: _Judged, order: tuple[str, ...]) -> _Judged | None:
        """In full; None where there is none, or no more trials."""
        while True:
            passed = self._grow(plain, order)
            if passed is None:
                return None
            passed = self._in_full(self._prune(passed))
            if passed is None or passed.kept:
                return passed

    def _in_full(self, passed: _Judged) -> _Judged | None:
        """What a draft promised, made; its judgement takes the draft's place."""
        if not passed.trial.draft:
            return passed
        if len(self._trials) >= self._limit:
            return None
        made = self._make(passed.settings, draft=False)
        self._judged[passed.settings.float_layers] = made
        return made

    def _plain(self) -> _Judged:
        """Nothing reverted, by the least noisy method."""
        # A draft of the only method would choose nothing.
        methods = self._bench.methods[: max(1, self._limit)]
        draft = self._bench.drafts and len(methods) > 1
        asked = methods[: max(1, self._limit - 1)] if draft else methods
        made = [c for c in (self._candidate(method, draft) for method in asked) if c is not None]
        if not made:
            raise self._refused[-1]
        settings, export, _ = made[clearly_best([db for *_, db in made])]
        if draft:
            return self._plain_in_full(settings)
        losses = self._losses(export)
        mine = next(t for t in self._trials if t.method == settings.method)
        trial = replace(judged_trial(settings, export, losses), snr_db=mine.snr_db)
        self._trials.remove(mine)
        self._trials.append(trial)
        return _Judged(trial, settings, export, losses)

    def _candidate(self, method: str, draft: bool) -> tuple[Quantization, Export, float] | None:
        """With its noise; None where the tool fails on this network with this method."""
        settings = Quantization(self._recipe, method)
        self._say(self._try_words(settings))
        try:
            export = self._bench.quantize(settings, draft)
        except ConversionError as err:
            self._refused.append(err)
            words = str(err).splitlines()[-1].strip()
            self._trials.append(Trial(method, 0, None, 0, draft=draft, error=words))
            self._say(f"passed over: {words}")
            return None
        db = self._bench.scores_db(export)
        self._trials.append(Trial(method, 0, None, export.bytes, round(db, 2), draft=draft))
        return settings, export, db

    def _plain_in_full(self, settings: Quantization) -> _Judged:
        """With the noise of what may be published, not of its draft."""
        judged = self._make(settings, draft=False)
        db = round(self._bench.scores_db(judged.export), 2)
        self._trials[-1] = replace(judged.trial, snr_db=db)
        return replace(judged, trial=self._trials[-1])

    def _grow(self, plain: _Judged, order: tuple[str, ...]) -> _Judged | None:
        """1, 2, 4 ... layers until the budget is kept, then halving back."""
        low, high = 0, 1
        passed = None
        while passed is None and low < len(order):
            high = min(high, len(order))
            judged = self._try(plain, order[:high])
            if judged is None:
                return None
            if judged.kept:
                passed = judged
            else:
                low, high = high, high * 2
        while passed is not None and high - low > 1:
            middle = (low + high) // 2
            judged = self._try(plain, order[:middle])
            if judged is None:
                break
            if judged.kept:
                passed, high = judged, middle
            else:
                low = middle
        return passed

    def _prune(self, passed: _Judged) -> _Judged:
        """Without each layer in turn, those that compute most first."""
        cost = {layer.name: layer.multiply_adds for layer in self._layers}
        for name in sorted(passed.settings.float_layers, key=lambda n: (-cost[n], n)):
            fewer = tuple(n for n in passed.settings.float_layers if n != name)
            judged = self._try(passed, fewer) if fewer else None
            if judged is not None and judged.kept:
                passed = judged
        return passed

    def _try(self, like: _Judged, names: Sequence[str]) -> _Judged | None:
        """One more quantization; None where no more are allowed."""
        known = self._in_order(names)
        if known in self._judged:
            return self._judged[known]
        # What a draft finds is still to be made in full.
        if len(self._trials) >= self._limit - self._draft:
            return None
        self._judged[known] = self._make(replace(like.settings, float_layers=known), self._draft)
        return self._judged[known]

    def _make(self, settings: Quantization, draft: bool) -> _Judged:
        self._say(self._try_words(settings))
        export = self._bench.quantize(settings, draft)
        losses = self._losses(export)
        trial = judged_trial(settings, export, losses, draft)
        self._trials.append(trial)
        return _Judged(trial, settings, export, losses)

    def _losses(self, made: Export) -> Losses:
        losses = self._bench.losses(made)
        if losses is None:
            self._say("that gave scores that are no numbers")
        return losses

    def _in_order(self, names: Sequence[str]) -> tuple[str, ...]:
        return tuple(layer.name for layer in self._layers if layer.name in set(names))

    def _try_words(self, settings: Quantization) -> str:
        number = len(self._trials) + 1
        layers = len(settings.float_layers)
        return (
            f"trial {number} of at most {self._limit}: {settings.method}, {layers} layers in float"
        )

    def _found(self, chosen: _Judged, plain: _Judged) -> Found:
        others = tuple(t for t in self._trials if t is not chosen.trial)
        return Found(
            settings=chosen.settings,
            export=chosen.export,
            losses=chosen.losses or (),
            trials=(*others, chosen.trial),
            noise=self._noise,
            plain=plain.export,
        )

    def _words(self, candidates: int) -> str:
        best = min(self._judged.values(), key=lambda j: share_used(j.losses))
        return (
            f"{broken(best.losses)} Best of {len(self._trials)} trials (at most {self._limit}): "
            f"{best.settings.method}, {len(best.settings.float_layers)} of {candidates} layers in "
            f"float; no more than {MOST_FLOAT:.0%} of the multiply-adds may stay in float. It was "
            "not written; calibrate on more and more varied films, allow more trials or a larger "
            "budget, or leave this artifact out."
        )


def clearly_best(noise: Sequence[float]) -> int:
    """The first that is at most CLEARLY_DB noisier than the least noisy."""
    limit = max(noise) - CLEARLY_DB
    return next(i for i, db in enumerate(noise) if db >= limit)
