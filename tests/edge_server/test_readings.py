"""What a clinician says before the answer, in whatever spelling it arrives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinicedge.edge_server.readings import SYMPTOMS, Questions, Said, read
from clinicedge.edge_server.records import Reading
from clinicedge.runtime.errors import OpinionError

ASKED = Questions(("NORMAL", "PNEUMONIA"), ("Bronchitis", "Other disease"))


def test_words_are_spelled_as_the_model_spells_them() -> None:
    said = Said(" pneumonia ", ("other DISEASE", "bronchitis"), ("Shortness_of breath", "COUGH"))
    assert read(said, ASKED, "m") == Reading(
        "PNEUMONIA", ("Other disease", "Bronchitis"), ("cough", "shortness-of-breath")
    )


def test_nothing_said_is_nothing_kept() -> None:
    assert read(Said(), ASKED, "m") == Reading(None, None, ())
    assert read(Said("  ", ("", " "), ("",)), ASKED, "m") == Reading(None, None, ())
    assert read(Said(findings=("None",)), ASKED, "m").first_findings == ()


def test_twice_the_same_word_is_said_once() -> None:
    said = Said(None, ("Bronchitis", "bronchitis"), ("fever", "Fever"))
    assert read(said, ASKED, "m") == Reading(None, ("Bronchitis",), ("fever",))


words = st.text(max_size=30)


@given(st.none() | words, st.lists(words, max_size=4), st.lists(words, max_size=4))
def test_any_text_is_a_reading_or_is_refused(
    opinion: str | None, findings: list[str], symptoms: list[str]
) -> None:
    try:
        found = read(Said(opinion, tuple(findings), tuple(symptoms)), ASKED, "m")
    except OpinionError:
        return
    assert found.first_opinion in (None, "unsure", *ASKED.opinions)
    assert set(found.first_findings or ()) <= set(ASKED.findings)
    assert set(found.symptoms) <= set(SYMPTOMS)


@given(st.permutations(SYMPTOMS), st.permutations(ASKED.findings))
def test_the_order_of_findings_is_kept_and_symptoms_have_theirs(
    symptoms: list[str], findings: list[str]
) -> None:
    found = read(Said(None, tuple(findings), tuple(symptoms)), ASKED, "m")
    assert found.first_findings == tuple(findings)
    assert found.symptoms == SYMPTOMS


def test_a_model_without_findings_is_asked_for_none() -> None:
    with pytest.raises(OpinionError, match="no findings"):
        read(Said(findings=("Bronchitis",)), Questions(("A", "B"), ()), "m")
