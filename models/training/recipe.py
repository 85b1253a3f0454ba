"""Training recipes: every number that decides a run, as data."""

import math
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Augmentation:
    """How far a training film may be changed; ranges are uniform and symmetric.

    A radiographer would accept each film: no vertical flip. What lies outside the lungs
    (borders, markers, shape of the frame, exposure) is shaken hardest, since it tells the label
    of these films without being evidence.

    Attributes:
        rotation_deg, shift: degrees; share of the side.
        scale: zoom between 1 - scale and 1 + scale.
        stretch: further change of the aspect ratio (films came squashed to a square).
        brightness, contrast, gamma: shares of full range, of 1, and of the exponent's log.
        sharpness: from blurred (-) to sharpened (+).
        noise: standard deviation at most, share of full range.
        border: share of the side that a blank margin may cover, each side on its own.
        boxes: blank boxes drawn a film; `box` is their side at most.
    """

    rotation_deg: float = 10.0
    shift: float = 0.08
    scale: float = 0.18
    stretch: float = 0.12
    brightness: float = 0.15
    contrast: float = 0.3
    gamma: float = 0.35
    sharpness: float = 0.6
    noise: float = 0.03
    border: float = 0.14
    boxes: int = 2
    box: float = 0.3


@dataclass(frozen=True)
class Recipe:
    """One training run.

    `warmup`: share of all steps in which the learning rate rises. `patience`: epochs without a
    better select loss before it stops.
    """

    epochs: int
    batch: int = 32
    peak_lr: float = 3e-3
    weight_decay: float = 0.02
    warmup: float = 0.25
    label_smoothing: float = 0.05
    ema_decay: float = 0.995
    patience: int = 10
    seed: int = 20180209
    checkpoint_minutes: float = 5.0
    max_steps: int | None = None
    augmentation: Augmentation = Augmentation()

    def learning_rate(self, step: int, steps: int) -> float:
        """One cycle: cosine from peak/25 up to the peak, then down to peak/10,000."""
        rise = max(1, round(self.warmup * steps))
        if step < rise:
            start, end, along = self.peak_lr / 25, self.peak_lr, step / rise
        else:
            start, end = self.peak_lr, self.peak_lr / 1e4
            along = (step - rise) / max(1, steps - rise)
        return end + (start - end) * (1 + math.cos(math.pi * min(along, 1.0))) / 2


# (epochs, warmup) of the weights that ship; the widest had no GPU and little time.
_CYCLES = {
    "mobilenet-0.25-128": (40, 0.25),
    "mobilenet-0.5-160": (30, 0.25),
    "mobilenet-1.0-224": (9, 1 / 3),
}
_USUAL = (24, 0.25)


def recipe_for(name: str, epochs: int | None = None, quick: bool = False) -> Recipe:
    """The recipe of a model. `quick` stops after a few steps an epoch, to try the machinery."""
    usual, warmup = _CYCLES.get(name, _USUAL)
    recipe = Recipe(epochs=epochs or usual, warmup=warmup)
    if quick:
        recipe = replace(recipe, epochs=epochs or 2, batch=8, max_steps=3)
    return recipe
