"""The zoo: names, specs and networks of all models. Torch is not needed before `build`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..runtime.errors import UnknownModelError
from ..runtime.spec import ModelSpec
from . import attention_unets, densenets, lungs, mobilenets, resnets, separable_cnns
from .chest import LUNG_CROP, lung_crop
from .family import Family, PublishedMasks
from .fold_names import fold_spec, whole_name
from .layers import Cost
from .medsam2 import family as medsam2
from .yolo_nas import family as yolo_nas

if TYPE_CHECKING:
    from torch import nn

_FAMILIES: tuple[Family, ...] = (
    mobilenets.FAMILY,
    separable_cnns.FAMILY,
    resnets.FAMILY,
    densenets.FAMILY,
    lungs.FAMILY,
    attention_unets.FAMILY,
    yolo_nas.FAMILY,
    medsam2.FAMILY,
)


def names() -> tuple[str, ...]:
    """All architectures' names; lung-crop forms are not listed, see `lung_crop_names`."""
    return tuple(name for family in _FAMILIES for name in family.names)


def chest_names() -> tuple[str, ...]:
    """The classifiers of chest films: each has a lung-crop form and a pipeline on lungs."""
    return tuple(name for family in _FAMILIES if family.chest for name in family.names)


def lung_crop_names() -> tuple[str, ...]:
    """NAME-lung-crop of every chest classifier."""
    return tuple(name + LUNG_CROP for name in chest_names())


def spec(name: str) -> ModelSpec:
    """What the model is before conversion; NAME-fold-K is NAME trained on one fold.

    Raises:
        UnknownModelError: the zoo has no such name.
    """
    family, plain = _find(name)
    found = family.spec(plain)
    whole = whole_name(name)
    if whole != plain:
        found = lung_crop(found)
    return found if name == whole else fold_spec(found, name)


def cost(name: str) -> Cost:
    """Parameters and mult-adds.

    Raises:
        UnknownModelError: the zoo has no such name.
    """
    family, plain = _find(name)
    return family.cost(plain)


def build(name: str) -> "nn.Module":
    """The torch network with fresh weights.

    Raises:
        UnknownModelError: the zoo has no such name.
    """
    family, plain = _find(name)
    return family.build(plain)


def notes(name: str) -> Mapping[str, str]:
    """What a card should say besides its figures: headings and their paragraphs.

    Raises:
        UnknownModelError: the zoo has no such name.
    """
    family, _ = _find(name)
    return family.notes


def checkpoint_note(name: str) -> str:
    """What to tell who loads other people's checkpoint, e.g. of its licence; "" for nothing.

    Raises:
        UnknownModelError: the zoo has no such name.
    """
    family, _ = _find(name)
    return family.checkpoint_note


def published(name: str) -> PublishedMasks | None:
    """What others report of the architecture's masks; None also for names not of the zoo."""
    return next((family.published for family in _FAMILIES if name in family.names), None)


def telltale(name: str) -> str:
    """How a weight's name ends that tells the model's checkpoints from others, "" for none.

    Raises:
        UnknownModelError: the zoo has no such name.
    """
    family, _ = _find(name)
    return family.telltale


def needs_user_weights(name: str) -> bool:
    """Whether the zoo has only a spec, and the user brings the checkpoint.

    False for names that are not of the zoo.
    """
    plain = whole_name(name).removesuffix(LUNG_CROP)
    return any(plain in family.user_weights for family in _FAMILIES)


def _find(name: str) -> tuple[Family, str]:
    """The family, and the name without the endings of a fold and of a lung-crop form."""
    whole = whole_name(name)
    plain = whole.removesuffix(LUNG_CROP)
    for family in _FAMILIES:
        if plain in family.names and (plain == whole or family.chest):
            return family, plain
    raise UnknownModelError(
        f"no model {name!r} in the zoo; expected one of {', '.join(names())}, or a chest "
        f"classifier's name with {LUNG_CROP}. `clinicedge models` lists them."
    )
