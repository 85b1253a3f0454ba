"""Training recipes: every number that decides a run, as data."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

Loss = Literal["bce", "focal"]
# Lin et al. 2017, section 5: the best of those that they tried.
FOCAL_GAMMA = 2.0


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

    `warmup`: share of all steps in which the learning rate rises. `patience`: epochs in a row
    without a better figure of `keep` before it stops. `label_smoothing` is for labels;
    `focal_gamma` (0: cross entropy) for findings and masks; `positive_weight` (of a mask's pixels)
    and `focal_weight` (of the pixel loss, beside Dice's 1) for masks. `start` names the model
    whose weights a run begins with, "" for fresh ones. In the first `small_epochs` epochs the films
    are shrunk to `small_side` pixels, in the next `middle_epochs` to `middle_side`: early learning
    needs no fine detail, and costs less so.
    `full_steps` bounds the steps of each epoch at full size. With `first_epochs` the network first
    learns so long, on small films, to tell the easier `first_labels` of the same data folder.

    `schedule` of the learning rate: "one-cycle"; "cycle-a-size": one for each size of
    the films; "exponential": from the peak to a tenth of it
    in `decay_epochs`, again and again; "plateau": the peak, halved after each `plateau_epochs`
    epochs without a better select score. `keep`: the select figure that chooses the epoch, the
    least loss or the greatest score. In the first `frozen_epochs` epochs the image encoder of a
    promptable model learns nothing: prompts and mask decoder come first.
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
    focal_gamma: float = 0.0
    positive_weight: float = 1.0
    focal_weight: float = 1.0
    start: str = ""
    small_epochs: int = 0
    small_side: int = 0
    middle_epochs: int = 0
    middle_side: int = 0
    full_steps: int | None = None
    first_labels: tuple[str, ...] = ()
    first_epochs: int = 0
    schedule: Literal["one-cycle", "cycle-a-size", "exponential", "plateau"] = "one-cycle"
    decay_epochs: float = 20.0
    plateau_epochs: int = 5
    keep: Literal["loss", "score"] = "loss"
    frozen_epochs: int = 0
    augmentation: Augmentation = Augmentation()

    @property
    def first_full_epoch(self) -> int:
        """The first epoch with films of the network's own size."""
        return self.small_epochs + self.middle_epochs

    def side(self, epoch: int) -> int:
        """What films are shrunk to in an epoch; 0: the network's own size."""
        if epoch < self.small_epochs:
            return self.small_side
        return self.middle_side if epoch < self.first_full_epoch else 0

    def learning_rate(self, step: int, steps: int, scores: Sequence[float] = ()) -> float:
        """Of step `step` of all `steps`; `scores` are the select scores of the epochs so far."""
        if self.schedule == "exponential":
            tenths = step / steps * self.epochs / self.decay_epochs
            return self.peak_lr * math.pow(0.1, tenths)
        if self.schedule == "plateau":
            return self.peak_lr * 0.5 ** plateaus(scores, self.plateau_epochs)
        return self._one_cycle(step, steps)

    def _one_cycle(self, step: int, steps: int) -> float:
        """Cosine from peak/25 up to the peak, then down to peak/10,000."""
        rise = max(1, round(self.warmup * steps))
        if step < rise:
            start, end, along = self.peak_lr / 25, self.peak_lr, step / rise
        else:
            start, end = self.peak_lr, self.peak_lr / 1e4
            along = (step - rise) / max(1, steps - rise)
        return end + (start - end) * (1 + math.cos(math.pi * min(along, 1.0))) / 2


def plateaus(scores: Sequence[float], epochs: int) -> int:
    """How many times `epochs` epochs in a row brought no score above the best before them."""
    best, stale, count = -math.inf, 0, 0
    for score in scores:
        best, stale = (score, 0) if score > best else (best, stale + 1)
        if stale == epochs:
            count, stale = count + 1, 0
    return count


def with_loss(recipe: Recipe, loss: Loss) -> Recipe:
    """The recipe of a findings model with another loss than its own."""
    return replace(recipe, focal_gamma=FOCAL_GAMMA if loss == "focal" else 0.0)


def _at_full_size(recipe: Recipe) -> Recipe:
    """No epoch of smaller films, none cut short."""
    return replace(
        recipe, small_epochs=0, small_side=0, middle_epochs=0, middle_side=0, full_steps=None
    )


# What a radiographer's positioning changes; masks are learned from the whole film.
_FIELD = Augmentation(rotation_deg=8.0, shift=0.06, scale=0.12, stretch=0.08, boxes=1, box=0.15)
# 25 and 8 M parameters from scratch: a lower peak, most epochs on small films, and a full size that
# is cut short: two slow cores pass 5 films a second of it. It has a cycle of its own: in the last
# tenth of one for both sizes the AUC fell from .966 on small films to .920.
_DEEP = Recipe(
    epochs=10,
    batch=16,
    peak_lr=1e-3,
    weight_decay=0.05,
    small_epochs=6,
    small_side=96,
    full_steps=200,
    schedule="cycle-a-size",
)
# Bacterial against viral alone is not learned from scratch: after three epochs the AUC was .6.
_TYPE = replace(
    _DEEP,
    epochs=10,
    small_epochs=8,
    first_labels=("NORMAL", "PNEUMONIA"),
    first_epochs=3,
)
# The notebook's decay, shortened; its flattened maps need the full size throughout.
_SEPARABLE = Recipe(epochs=25, schedule="exponential", decay_epochs=12.0, peak_lr=3e-3)
# Masks of few pixels: Dice and focal loss, and the epoch of the best Dice. Two slow cores pass
# 20 films a second of 64 x 64, 5 of 128 x 128, 1.3 of 256 x 256.
_TUMOUR = Recipe(
    epochs=47,
    batch=8,
    peak_lr=1.5e-3,
    focal_gamma=FOCAL_GAMMA,
    positive_weight=5.0,
    small_epochs=40,
    small_side=64,
    middle_epochs=5,
    middle_side=128,
    full_steps=100,
    patience=47,
    schedule="cycle-a-size",
    keep="score",
    augmentation=_FIELD,
)
_DEEP_NAMES = (
    "resnet50-224",
    "resnet50-224-lung-crop",
    "densenet121-224",
    "densenet121-224-lung-crop",
)
_TYPE_NAMES = ("pneumonia-type-224", "pneumonia-type-224-lung-crop")
# The widths that other sizes begin with, where most of the learning is cheap.
_WIDE = Recipe(epochs=14, small_epochs=8, small_side=96)
# Boxes: the epoch of the best AP50. The small side is a multiple of 32.
_BOXES = Recipe(
    epochs=12,
    batch=8,
    peak_lr=1e-3,
    weight_decay=0.01,
    ema_decay=0.99,
    small_epochs=8,
    small_side=128,
    keep="score",
    augmentation=_FIELD,
)
# Masks from boxes: transformers from random values, so a slow start.
_PROMPTS = Recipe(
    epochs=12,
    batch=16,
    peak_lr=1e-3,
    weight_decay=0.05,
    warmup=0.15,
    ema_decay=0.99,
    focal_gamma=FOCAL_GAMMA,
    positive_weight=2.0,
    keep="score",
    augmentation=_FIELD,
)
# From a user's checkpoint: gently, the decoder first.
_TUNED = replace(_PROMPTS, epochs=10, batch=8, peak_lr=1e-4, frozen_epochs=3)
_TUNED_NAMES = ("medsam2-512", "medical-sam2-tiny-1024", "medical-sam2-small-1024")
# What differs from the usual recipe, for the weights that ship.
_RECIPES = {
    "mobilenet-0.25-128": Recipe(epochs=40),
    "mobilenet-0.5-160": Recipe(epochs=30),
    # The widest had no GPU and little time.
    "mobilenet-1.0-224": Recipe(epochs=9, warmup=1 / 3),
    "lungs-128": Recipe(
        epochs=16, batch=16, peak_lr=3e-3, small_epochs=11, small_side=64, augmentation=_FIELD
    ),
    "mobilenet-0.5-160-lung-crop": Recipe(epochs=22, small_epochs=12, small_side=112),
    "mobilenet-0.25-128-lung-crop": Recipe(epochs=24),
    "separable-cnn-180": _SEPARABLE,
    "separable-cnn-180-lung-crop": replace(_SEPARABLE, epochs=10, decay_epochs=6.0, patience=4),
    "segunet-256": _TUMOUR,
    "segunet-512": _TUMOUR,
    **dict.fromkeys(("yolo-nas-s-256", "yolo-nas-s-256-lungs"), _BOXES),
    **dict.fromkeys(
        ("yolo-nas-s-640", "yolo-nas-m-640", "yolo-nas-l-640"),
        replace(_BOXES, small_side=320),
    ),
    "medsam2-mini-192-lungs": _PROMPTS,
    **dict.fromkeys(("medsam2-256", "medsam2-256-lungs"), replace(_PROMPTS, peak_lr=4e-4)),
    **{name: replace(_TUNED, start=name) for name in _TUNED_NAMES},
    **dict.fromkeys(_DEEP_NAMES, _DEEP),
    **dict.fromkeys(_TYPE_NAMES, _TYPE),
    **dict.fromkeys(("mobilenet-0.75-128-lung-crop", "mobilenet-1.0-128-lung-crop"), _WIDE),
}
# With a GPU, full size throughout and slowly, as the thesis of the attention U-Net has it.
_THESIS = replace(
    _at_full_size(_TUMOUR),
    epochs=100,
    batch=16,
    peak_lr=1e-4,
    weight_decay=0.0,
    patience=15,
    schedule="plateau",
)
_UNHURRIED = replace(_at_full_size(_DEEP), epochs=24, batch=32, patience=8, schedule="one-cycle")
_USUAL = Recipe(epochs=24)
_ON_GPU_PROMPTS = replace(_PROMPTS, epochs=60, batch=32, peak_lr=4e-4, patience=15)
_ON_GPU = {
    "segunet-256": _THESIS,
    "segunet-512": replace(_THESIS, batch=8),
    "mobilenet-1.0-224": _USUAL,
    **dict.fromkeys(("medsam2-256", "medsam2-256-lungs"), _ON_GPU_PROMPTS),
    **dict.fromkeys(_DEEP_NAMES, _UNHURRIED),
    **dict.fromkeys(
        _TYPE_NAMES,
        replace(_UNHURRIED, small_side=96, first_labels=_TYPE.first_labels, first_epochs=8),
    ),
}
# A MobileNet has the same weights at every resolution: the others of a width begin with these.
_BEGINNINGS = {"0.25": "128", "0.5": "160", "0.75": "128", "1.0": "128"}
_WIDE_WIDTHS = ("0.75", "1.0")


def _finer(name: str) -> Recipe | None:
    """The recipe of a MobileNet that begins with the weights of its width at another size."""
    family, _, rest = name.partition("-")
    width, _, tail = rest.partition("-")
    side, _, form = tail.partition("-")
    first = _BEGINNINGS.get(width)
    if family != "mobilenet" or first is None or side == first:
        return None
    start = "-".join(filter(None, (family, width, first, form)))
    epochs = 3 if width in _WIDE_WIDTHS else 6
    return Recipe(epochs=epochs, peak_lr=1e-3, warmup=0.1, start=start)


def recipe_for(
    name: str, epochs: int | None = None, quick: bool = False, gpu: bool = False
) -> Recipe:
    """The recipe of a model, for a GPU where there is one and it has its own.

    `quick` stops after a few steps an epoch, to try the machinery. With other `epochs` the sizes
    of the films keep their shares; where the recipe ends at full size, so does the run.
    """
    recipe = _RECIPES.get(name) or _finer(name) or _USUAL
    if gpu:
        recipe = _ON_GPU.get(name, recipe)
    if quick:
        first = min(recipe.first_epochs, 1)
        recipe = replace(recipe, batch=8, max_steps=3, first_epochs=first)
        epochs = epochs or 2
    return recipe if epochs is None else _scaled(recipe, epochs)


def _scaled(recipe: Recipe, epochs: int) -> Recipe:
    small, middle, frozen = (
        round(count * epochs / recipe.epochs)
        for count in (recipe.small_epochs, recipe.middle_epochs, recipe.frozen_epochs)
    )
    # Weights judged at a size that they never saw would ship.
    smaller = epochs - 1 if recipe.first_full_epoch < recipe.epochs else epochs
    small = min(small, smaller)
    middle = min(middle, smaller - small)
    return replace(
        recipe, epochs=epochs, small_epochs=small, middle_epochs=middle, frozen_epochs=frozen
    )
