"""How an architecture joins the zoo: one `Family` in its own file, named in `zoo.py`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..runtime.spec import ModelSpec
from .layers import Cost

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class PublishedMasks:
    """How well others say that masks of an architecture fit, on data of their own; shares.

    `source`: whose figures, for the head of a column; `note`: the heading of the family's note
    that they stand below.
    """

    source: str
    note: str
    pixel_accuracy: float
    mean_iou: float
    iou: float
    dice: float
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Family:
    """Models of one architecture.

    Attributes:
        names: of the zoo, in the order that people read them.
        spec: what a model is before conversion; needs no torch.
        build: the torch network with fresh weights; imports torch when called.
        cost: parameters and mult-adds, without torch.
        chest: whether each is a classifier of chest films, so that it has a lung-crop form.
        user_weights: names that have no reference weights: the user brings a checkpoint.
        notes: for the card, a heading and its paragraph.
        checkpoint_note: what to tell who loads a checkpoint of other people, "" for nothing.
        telltale: how a weight's name ends that every checkpoint of it has and no other network;
            "" where all names have to be compared.
        published: to put beside figures of masks, None where there is nothing.
    """

    names: tuple[str, ...]
    spec: Callable[[str], ModelSpec]
    build: Callable[[str], "nn.Module"]
    cost: Callable[[str], Cost]
    chest: bool
    user_weights: frozenset[str] = frozenset()
    notes: Mapping[str, str] = field(default_factory=dict)
    checkpoint_note: str = ""
    telltale: str = ""
    published: PublishedMasks | None = None
