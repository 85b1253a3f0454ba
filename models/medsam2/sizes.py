"""SAM 2's networks as data: image encoder (Hiera), and the widths of prompt and mask parts."""

from dataclasses import dataclass
from typing import Literal

from ..layers import Cost

Generation = Literal["2.0", "2.1"]
# Each stage halves the side; the first stands at a quarter of the film's.
PATCH = 4
# Output tokens before the prompt's: object score, IoU and four masks.
TOKENS = 6
# A box is two corners and a padding point.
PROMPT_TOKENS = 3
# The three levels that leave the neck: sides at 1/4, 1/8 and 1/16 of the film's.
LEVELS = 3
_PATCH_KERNEL = 7
_PROMPT_MASK = 16
_MLP_RATIO = 4
_DECODER_LAYERS = 2
_ATTENTION_RATE = 2
_MASKS = 4


@dataclass(frozen=True)
class Sam2Size:
    """One network.

    Attributes:
        side: of the film in pixels, a multiple of 32.
        generation: of the checkpoints that it takes; both have the same 2D path.
        trunk: the image encoder's name, for people.
        widths, heads, blocks, windows: a stage each; a window's first use halves it with the side.
        global_blocks: blocks whose attention sees the whole film; none is the first of a stage.
        background: side of the position embedding that is widened to the map.
        hidden: width of neck, prompts and mask decoder, a multiple of 16.
        mlp, quality: inner widths of the decoder's layers and of the head that predicts the IoU.
    """

    side: int
    generation: Generation = "2.1"
    trunk: str = "hiera tiny"
    widths: tuple[int, ...] = (96, 192, 384, 768)
    heads: tuple[int, ...] = (1, 2, 4, 8)
    blocks: tuple[int, ...] = (1, 2, 7, 2)
    windows: tuple[int, ...] = (8, 4, 14, 7)
    global_blocks: tuple[int, ...] = (5, 7, 9)
    background: int = 7
    hidden: int = 256
    mlp: int = 2048
    quality: int = 256

    def map_side(self, level: int) -> int:
        """Side of the level's map: 0 is a quarter of the film."""
        return self.side // (PATCH << level)

    @property
    def embedding(self) -> tuple[int, int, int]:
        """(C, h, w) of the image embedding."""
        return (self.hidden, self.map_side(2), self.map_side(2))

    @property
    def fine(self) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        """(C, h, w) of the two finer maps that the mask decoder is given."""
        return (
            (self.hidden // 8, self.map_side(0), self.map_side(0)),
            (self.hidden // 4, self.map_side(1), self.map_side(1)),
        )

    @property
    def mask(self) -> tuple[int, int, int]:
        """(1, h, w) of the mask's logits."""
        return (1, self.map_side(0), self.map_side(0))


# For trying things out: every part is there, windows that do not divide their maps too.
TINY = Sam2Size(
    side=128,
    trunk="hiera of the tests",
    widths=(8, 16, 32, 64),
    blocks=(1, 1, 2, 1),
    windows=(8, 4, 6, 3),
    global_blocks=(3,),
    hidden=32,
)


def cost(size: Sam2Size) -> Cost:
    """Parameters, and multiply-adds of a film with one box, by counting over the definition.

    Convolutions, linear layers and attention's two products count; padding of windows counts.
    """
    trunk, prompt, decoder = _Sum(), _Sum(), _Sum()
    _trunk(size, trunk)
    _neck(size, trunk)
    _prompt(size, prompt)
    _decoder(size, decoder)
    found = [trunk, prompt, decoder]
    trainable = sum(s.numbers for s in found) + size.hidden
    fourier = size.hidden
    return Cost(trainable + fourier, trainable, sum(s.mult_adds for s in found))


class _Sum:
    def __init__(self) -> None:
        self.numbers = self.mult_adds = 0

    def linear(self, inputs: int, outputs: int, positions: int) -> None:
        """With bias; also a convolution whose kernel is counted into `inputs`."""
        self.numbers += inputs * outputs + outputs
        self.mult_adds += inputs * outputs * positions

    def norm(self, width: int) -> None:
        self.numbers += 2 * width

    def attend(self, queries: int, keys: int, width: int) -> None:
        """Scores and weighted sum."""
        self.mult_adds += 2 * queries * keys * width


def _trunk(size: Sam2Size, add: _Sum) -> None:
    first = size.widths[0]
    add.linear(3 * _PATCH_KERNEL**2, first, size.map_side(0) ** 2)
    add.numbers += first * (size.background**2 + size.windows[0] ** 2)
    number = 0
    for stage, (width, blocks) in enumerate(zip(size.widths, size.blocks, strict=True)):
        for block in range(blocks):
            pooled = stage > 0 and block == 0
            _block(size, (stage, width, pooled, number in size.global_blocks), add)
            number += 1


def _block(size: Sam2Size, what: tuple[int, int, bool, bool], add: _Sum) -> None:
    stage, width, pooled, sees_all = what
    given = size.widths[stage - 1] if pooled else width
    side, after = size.map_side(stage - pooled), size.map_side(stage)
    window = side if sees_all else size.windows[stage - 1 if pooled else stage]
    windows = (-(-side // window)) ** 2
    inside = window**2
    asked = inside // 4 if pooled else inside
    add.norm(given)
    add.linear(given, 3 * width, windows * inside)
    add.attend(windows * asked, inside, width)
    add.linear(width, width, windows * asked)
    if given != width:
        add.linear(given, width, side**2)
    add.norm(width)
    add.linear(width, _MLP_RATIO * width, after**2)
    add.linear(_MLP_RATIO * width, width, after**2)


def _neck(size: Sam2Size, add: _Sum) -> None:
    for level, width in enumerate(size.widths):
        add.linear(width, size.hidden, size.map_side(level) ** 2)


def _prompt(size: Sam2Size, add: _Sum) -> None:
    quarter = _PROMPT_MASK // 4
    # Four kinds of points, no point, no mask; the mask prompt's convolutions, which a box skips.
    add.numbers += 6 * size.hidden
    for inputs, outputs in ((4, quarter), (4 * quarter, _PROMPT_MASK), (_PROMPT_MASK, size.hidden)):
        add.linear(inputs, outputs, 0)
    add.norm(quarter)
    add.norm(_PROMPT_MASK)


def _decoder(size: Sam2Size, add: _Sum) -> None:
    hidden, tokens, places = size.hidden, TOKENS + PROMPT_TOKENS, size.map_side(2) ** 2
    add.numbers += TOKENS * hidden
    for _ in range(_DECODER_LAYERS):
        _attention(add, hidden, hidden, (tokens, tokens))
        _attention(add, hidden, hidden // _ATTENTION_RATE, (tokens, places))
        _attention(add, hidden, hidden // _ATTENTION_RATE, (places, tokens))
        add.linear(hidden, size.mlp, tokens)
        add.linear(size.mlp, hidden, tokens)
        for _ in range(4):
            add.norm(hidden)
    _attention(add, hidden, hidden // _ATTENTION_RATE, (tokens, places))
    add.norm(hidden)
    fine, middle = (side**2 for side in (size.map_side(0), size.map_side(1)))
    add.linear(hidden, hidden // 8, fine)
    add.linear(hidden, hidden // 4, middle)
    # Transposed convolutions of 2 x 2, stride 2: one product an output pixel.
    for inputs, outputs, positions in (
        (hidden, hidden // 4, middle),
        (hidden // 4, hidden // 8, fine),
    ):
        add.numbers += 4 * inputs * outputs + outputs
        add.mult_adds += inputs * outputs * positions
    add.norm(hidden // 4)
    for used in (1, *(0 for _ in range(_MASKS - 1))):
        _three(add, (hidden, hidden, hidden // 8), used)
    _three(add, (hidden, size.quality, _MASKS), 1)
    _three(add, (hidden, hidden, 1), 0)
    add.mult_adds += hidden // 8 * fine


def _attention(add: _Sum, hidden: int, inner: int, counts: tuple[int, int]) -> None:
    queries, keys = counts
    add.linear(hidden, inner, queries)
    add.linear(hidden, inner, keys)
    add.linear(hidden, inner, keys)
    add.attend(queries, keys, inner)
    add.linear(inner, hidden, queries)


def _three(add: _Sum, widths: tuple[int, int, int], used: int) -> None:
    """Three linear layers, run `used` times."""
    inputs, inner, outputs = widths
    add.linear(inputs, inner, used)
    add.linear(inner, inner, used)
    add.linear(inner, outputs, used)
