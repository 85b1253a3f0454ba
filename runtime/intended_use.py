"""Refuse a film that says itself that the model was not made for it.

Only what DICOM declares is looked at: Modality (0008,0060) and Body Part Examined (0018,0015).
A film that declares nothing passes; whether it is a chest at all is another question.
"""

import re

from .errors import OutsideUseError
from .film import Film
from .spec import IntendedUse

# What vendors write for the same thing: retired and conventional-film modalities, PS3.16 CID 4031.
_MODALITIES = {"CR": {"CR", "RG"}, "DX": {"DX", "DR"}}
# Limbs with shoulder and pelvis; vendors write the joint, the bone or the limb.
_LIMBS = (
    "EXTREMITY EXTREMITIES EXM ARM FOREARM ELBOW WRIST HAND FINGER THUMB HUMERUS RADIUS ULNA "
    "SHOULDER CLAVICLE SCAPULA PELVIS HIP LEG FEMUR THIGH KNEE PATELLA TIBIA FIBULA ANKLE FOOT "
    "TOE CALCANEUS HEEL"
)
_BODY_PARTS = {
    "CHEST": {"CHEST", "THORAX", "LUNG", "LUNGS"},
    "EXTREMITY": set(_LIMBS.split()),
}


def refuse_outside(film: Film, use: IntendedUse, model: str) -> None:
    """Check a film's own declaration.

    Raises:
        OutsideUseError: it declares another modality or body part.
    """
    source = film.source
    if source.modality and use.modalities:
        known = {name for m in use.modalities for name in _MODALITIES.get(m, {m})}
        if source.modality.strip().upper() not in known:
            raise _outside(film, f"modality {source.modality}", use, model)
    if source.body_part and use.body_part:
        wanted = use.body_part.upper()
        words = set(re.split(r"[^A-Z]+", source.body_part.upper()))
        if not words & _BODY_PARTS.get(wanted, {wanted}):
            raise _outside(film, f"body part {source.body_part}", use, model)


def _outside(film: Film, found: str, use: IntendedUse, model: str) -> OutsideUseError:
    return OutsideUseError(
        f"'{film.source.name}' declares {found}; '{model}' is for {', '.join(use.modalities)} "
        f"films of the {use.body_part.lower()}. A score would mean nothing: choose a model made "
        "for it, or correct the film's DICOM header where it is wrong."
    )
