"""Which declared body parts a model takes: terms of DICOM PS3.16 Table L-1, and vendors' own."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinicedge.runtime.errors import OutsideUseError
from clinicedge.runtime.film import Film, FilmSource
from clinicedge.runtime.intended_use import refuse_outside
from clinicedge.runtime.spec import IntendedUse

_CHEST = "CHEST THORAX LUNG CHESTABDOMEN CHESTABDPELVIS NECKCHEST NECKCHESTABDOMEN NECKCHESTABDPELV"
CHEST = _CHEST.split()
_LIMBS = (
    "ACJOINT ANKLE ARM CALCANEUS CALF CLAVICLE ELBOW EXTREMITY FEMUR FIBULA FINGER FOOT FOREARM "
    "HAND HIP HUMERUS ILIUM KNEE LEG LOWERLEG LOWERLIMB PATELLA PELVIS PELVISLOWEXTREMT "
    "POPLITEALFOSSA RADIUS RADIUSULNA SCAPULA SESAMOID SHOULDER THIGH THUMB TIBIA TIBIAFIBULA TOE "
    "ULNA UPPERARM UPPERLIMB WRIST"
)
LIMBS = _LIMBS.split()
# The table's other terms: heads, trunks, spines, organs and the vessels of every part.
_OTHERS = (
    "ABDOMEN ABDOMENPELVIS ABDOMINALAORTA ADRENAL AMNIOTICFLUID ANTECUBITALV ANTCARDIACV ACA "
    "ANTCOMMA ANTSPINALA ANTTIBIALA ANUSRECTUMSIGMD AORTA AORTICARCH APPENDIX ARTERY ASCAORTA "
    "ASCENDINGCOLON AXILLA AXILLARYA AXILLARYV AZYGOSVEIN BACK BASILARA BILEDUCT BILIARYTRACT "
    "BLADDER BLADDERURETHRA BRACHIALA BRACHIALV BRAIN BREAST BRONCHUS BUTTOCK CAROTID BULB "
    "CELIACA CEPHALICV CEREBELLUM CEREBRALA CEREBHEMISPHERE CSPINE CTSPINE CERVIX CHEEK "
    "CHOROIDPLEXUS CIRCLEOFWILLIS COCCYX COLON COMMONBILEDUCT CCA CFA CFV COMILIACA COMILIACV "
    "CORNEA CORONARYARTERY CORONARYSINUS DESCAORTA DESCENDINGCOLON DUODENUM EAR ENDOMETRIUM "
    "WHOLEBODY EPIDIDYMIS EPIGASTRIC ESOPHAGUS EAC ECA EXTILIACA EXTILIACV EXTJUGV EYE EYELID "
    "FACE FACIALA FEMORALA FEMORALV FETALARM FETALDIGIT FETALHEART FETALLEG FETALPOLE FLANK "
    "FONTANEL GALLBLADDER GASTRICV GENICULARA GESTSAC GLUTEAL GSV HEAD HEADNECK HEART HEPATICA "
    "HEPATICV HYPOGASTRIC HYPOPHARYNX ILEUM ILIACA ILIACV INFMESA INFVENACAVA INGUINAL "
    "INNOMINATEA INNOMINATEV IAC ICA INTILIACA INTJUGULARV INTMAMMARYA INTRACRANIAL JAW JEJUNUM "
    "JOINT KIDNEY LACRIMALA LARGEINTESTINE LARYNX LATVENTRICLE LATRIUM LFEMORALA LHEPATICV "
    "LHYPOCHONDRIAC LINGUINAL LLQ LLUMBAR LPORTALV LPULMONARYA LUQ LVENTRICLE LINGUALA LIVER "
    "LUMBARA LUMBAR LSPINE LSSPINE LUMEN MANDIBLE MASTOID MAXILLA MEDIASTINUM MESENTRICA "
    "MESENTRICV MCA MORISONSPOUCH MOUTH NASOPHARYNX NECK NOSE OCCPITALA OCCIPTALV OPHTHALMICA "
    "OPTICCANAL ORBIT OVARY PANCREAS PANCREATICDUCT PANCBILEDUCT PARASTERNAL PARATHYROID PAROTID "
    "PENILEA PENIS PERINEUM PERONEALA PHANTOM PHARYNX PHARYNXLARYNX PLACENTA POPLITEALA "
    "POPLITEALV PORTALV PCA POSCOMMA POSTIBIALA PROFFEMA PROFFEMV PROSTATE PULMONARYA PULMONARYV "
    "RADIALA CULDESAC RECTUM RENALA RENALV RETROPERITONEUM RIB RATRIUM RVENTRICLE SIJOINT SSPINE "
    "SFJ SAPHENOUSV SCALP SCLERA SCROTUM SELLA SEMVESICLE SIGMOID SKULL SMALLINTESTINE SPINALCORD "
    "SPINE SPLEEN SPLENICA SPLENICV SCJOINT STERNUM STOMACH SUBCLAVIANA SUBCLAVIANV SUBCOSTAL "
    "SUBMANDIBULAR SFA SFV SMA SUPTHYROIDA SVC SUPRACLAVICULAR SUPRAPUBIC TMJ TESTIS THALAMUS "
    "THORACICAORTA TSPINE TLSPINE THYMUS THYROID TONGUE TRACHEA TRACHEABRONCHUS TRANSVERSECOLON "
    "ULNARA UMBILICALA UMBILICAL UMBILICALV UPRURINARYTRACT URETER URETHRA UTERUS VAGINA VEIN "
    "VERTEBRALA VULVA ZYGOMA"
)
OTHERS = _OTHERS.split()
BESIDE = ("L", "R", "LT", "LEFT", "BOTH", "AP", "PA", "LAT", "LATERAL", "OBLIQUE", "2", "PORTABLE")
ONLY_BESIDE = st.lists(st.sampled_from(BESIDE), max_size=3)
BETWEEN = st.sampled_from([" ", "_", "/", "-", ", ", "^"])


def taken(part: str, model: str) -> bool:
    film = Film(np.zeros((8, 8), np.uint8), None, FilmSource("dicom", "film.dcm", body_part=part))
    use = IntendedUse("tests", model, ("CR", "DX"), None, ())
    try:
        refuse_outside(film, use, "m")
    except OutsideUseError:
        return False
    return True


@pytest.mark.parametrize("part", LIMBS)
def test_every_term_of_a_limb(part: str) -> None:
    assert taken(part, "EXTREMITY")
    assert taken(part.lower(), "EXTREMITY")
    assert not taken(part, "CHEST")


@pytest.mark.parametrize("part", CHEST)
def test_every_term_of_the_chest(part: str) -> None:
    assert taken(part, "CHEST")
    assert not taken(part, "EXTREMITY")


@pytest.mark.parametrize(
    "part",
    [
        *("LOWEREXTREMITY", "UPPER EXTREMITY", "LOWEXTREMITIES", "UP_EXM", "LOW_EXM", "AC JOINTS"),
        *("CARPUS", "METATARSUS", "Metacarpals", "HANDS", "KNEES", "FEET", "TOES", "ARMS", "HIPS"),
        *("TIB/FIB", "TIBFIB", "LOWER LEG", "LOWLEG", "RTARM", "LEFTHANDS", "BOTHKNEES", "LHIP"),
        *("KNEESTANDING", "HIPAP", "PELVISAP", "Patellae", "Bone of lower limb", "Hip joint"),
        *("Sesamoid bones of foot", "Pelvis and lower extremities", "Acromioclavicular joint"),
    ],
)
def test_vendors_words_of_a_limb(part: str) -> None:
    assert taken(part, "EXTREMITY")
    assert not taken(part, "CHEST")


@pytest.mark.parametrize(
    "part",
    ["CHESTPA", "CHEST_AP", "PORTABLECHEST", "THORAX AP/LAT", "LUNGS", "Chest and Abdomen", "CXR"],
)
def test_vendors_words_of_the_chest(part: str) -> None:
    assert taken(part, "CHEST")
    assert not taken(part, "EXTREMITY")


@pytest.mark.parametrize(
    "part",
    [
        *("ABDOMEN PELVIS", "ABD_PELVIS", "Chest, Abdomen and Pelvis", "Renal pelvis", "LIMBUS"),
        *("HIPPOCAMPUS", "ARMPIT", "TSPINE", "THORACIC SPINE", "RIBS", "PALATE"),
    ],
)
def test_near_words_of_other_parts(part: str) -> None:
    assert not taken(part, "EXTREMITY")


@given(st.sampled_from(OTHERS), ONLY_BESIDE, ONLY_BESIDE, BETWEEN)
def test_other_parts_are_refused_whatever_stands_beside(
    part: str, before: list[str], after: list[str], between: str
) -> None:
    said = between.join((*before, part, *after))
    assert not taken(said, "CHEST")
    assert not taken(said, "EXTREMITY")


@given(
    st.sampled_from(OTHERS), st.sampled_from(["L", "R", "LT", "LEFT", "BOTH", "AP", "PA", "LAT"])
)
def test_nor_does_a_joined_side_or_view_make_them_another(part: str, joined: str) -> None:
    for said in (part + joined, joined + part, part + "S"):
        assert not taken(said, "CHEST")
        assert not taken(said, "EXTREMITY")


@given(st.sampled_from(LIMBS), ONLY_BESIDE, ONLY_BESIDE, BETWEEN)
def test_limbs_are_taken_whatever_stands_beside(
    part: str, before: list[str], after: list[str], between: str
) -> None:
    assert taken(between.join((*before, part, *after)), "EXTREMITY")


def test_a_part_that_only_a_spec_names() -> None:
    assert taken("LSPINE", "SPINE")
    assert taken("Abdomen and Pelvis", "PELVIS")
    assert taken("LEFT EYE", "EYE")
    assert not taken("EYELID", "EYE")
    assert not taken("HAND", "SPINE")
    assert taken("", "SPINE")
