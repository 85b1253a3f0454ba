"""Refuse a film that says itself that the model was not made for it.

Only what DICOM declares is looked at: Modality (0008,0060) and Body Part Examined (0018,0015), or
the Anatomic Region (0008,2218) where that is empty. A film that declares nothing passes; whether it
is a chest at all is another question.
"""

import re

from .errors import OutsideUseError
from .film import Film
from .spec import IntendedUse

# What vendors write for the same thing: retired and conventional-film modalities, PS3.16 CID 4031.
_MODALITIES = {"CR": {"CR", "RG"}, "DX": {"DX", "DR"}}
# Terms of PS3.16 Table L-1, meanings of CID 4031, and what vendors write beside them.
_CHEST = "CHEST THORAX TORAX LUNG CXR NECKCHESTABDOMEN NECKCHESTABDPELV NECKCHESTABDPELVIS"
# Limbs with shoulder and pelvis; vendors write the joint, the bone or the limb.
_LIMBS = (
    "EXTREMITY EXTREMITIES EXTREMT EXM LIMB ARM FOREARM ELBOW WRIST CARPUS CARPAL HAND METACARPUS "
    "METACARPAL FINGER THUMB PHALANX PHALANGES HUMERUS RADIUS ULNA ACJOINT ACROMIOCLAVICULAR "
    "SHOULDER CLAVICLE SCAPULA PELVIS ILIUM HIP LEG FEMUR THIGH KNEE PATELLA POPLITEALFOSSA CALF "
    "SHIN TIBIA FIBULA TIB FIB TIBFIB ANKLE TARSUS TARSAL METATARSUS METATARSAL FOOT FEET "
    "SESAMOID TOE HALLUX CALCANEUS HEEL TALUS"
)
_BODY_PARTS = {"CHEST": frozenset(_CHEST.split()), "EXTREMITY": frozenset(_LIMBS.split())}
# What these end or begin other words with is no part of them: limbus, ulnar artery (ULNARA),
# abdomen and pelvis (ABDOMENPELVIS).
_NOT_JOINED = {"LIMB", "ULNA", "PELVIS"}
_SHORTEST_JOINED = 4
# A side, a height, a view: all that may stand beside those and the shortest words.
_QUALIFIERS = re.compile(
    r"(UPPER|LOWER|LWR|UP|LOW|LEFT|RIGHT|BOTH|BILATERAL|BILAT|LT|RT|L|R|AP|PA|LATERAL|LAT"
    r"|OBLIQUE|OBL|AXIAL|JOINT|BONE)+"
)
# Of the trunk, or of a kidney, where one of these stands with it.
_TRUNK = {"ABDOMEN", "ABD", "CHEST", "THORAX", "RENAL", "KIDNEY"}


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
        known_parts = _BODY_PARTS.get(wanted, frozenset((wanted,)))
        if not _declares(source.body_part.upper(), known_parts):
            raise _outside(film, f"body part {source.body_part}", use, model)


def _declares(said: str, parts: frozenset[str]) -> bool:
    """Whether one of the parts is among the words of a declaration, however it is joined."""
    words = set(re.split(r"[^A-Z]+", said))
    if words & _TRUNK:
        parts = parts - {"PELVIS"} or parts
    whole = re.sub(r"[^A-Z]", "", said)
    found = {one.removesuffix("S") for one in words} | words
    return bool({whole, whole.removesuffix("S")} & parts) or any(
        _names(word, part) for word in found for part in parts
    )


def _names(word: str, part: str) -> bool:
    """HAND is named by HAND, LEFTHAND and HANDPA; ARM by ARM and UPPERARM, not by FETALARM."""
    if word == part:
        return True
    if word.endswith(part):
        rest = word.removesuffix(part)
    elif word.startswith(part):
        rest = word.removeprefix(part)
    else:
        return False
    joined = len(part) >= _SHORTEST_JOINED and part not in _NOT_JOINED
    return joined or _QUALIFIERS.fullmatch(rest) is not None


def _outside(film: Film, found: str, use: IntendedUse, model: str) -> OutsideUseError:
    return OutsideUseError(
        f"'{film.source.name}' declares {found}; '{model}' is for {', '.join(use.modalities)} "
        f"films of the {use.body_part.lower()}. A score would mean nothing: choose a model made "
        "for it, or correct the film's DICOM header where it is wrong."
    )
