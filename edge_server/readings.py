"""What a clinician may say before the answer, and what of it a model can be asked about."""

from collections.abc import Iterable
from dataclasses import dataclass

from ..runtime.errors import OpinionError
from .records import Reading

UNSURE = "unsure"
NONE = "none"
SYMPTOMS = ("fever", "cough", "shortness-of-breath", "wheeze")


@dataclass(frozen=True)
class Questions:
    """What the reading of a film can name for one model.

    Attributes:
        opinions: of `first_opinion`, beside "unsure": both labels of a binary model, the label of
            a mask and "none", () where there are findings alone.
        findings: of `first_findings`, beside "none"; () where the model knows none.
    """

    opinions: tuple[str, ...]
    findings: tuple[str, ...]


@dataclass(frozen=True)
class Said:
    """A reading as it was sent."""

    opinion: str | None = None
    findings: tuple[str, ...] = ()
    symptoms: tuple[str, ...] = ()


def read(said: Said, questions: Questions, model: str) -> Reading:
    """The reading, spelled as the model spells it.

    Raises:
        OpinionError: a word that neither the model nor this box knows.
    """
    return Reading(
        _opinion(said.opinion, questions, model),
        _findings(_words(said.findings), questions, model),
        _symptoms(_words(said.symptoms)),
    )


def _words(given: Iterable[str]) -> tuple[str, ...]:
    """Each once, in the order given; blanks say nothing."""
    return tuple(dict.fromkeys(w.strip() for w in given if w.strip()))


def _opinion(given: str | None, questions: Questions, model: str) -> str | None:
    if given is None or not given.strip():
        return None
    known = {label.casefold(): label for label in (*questions.opinions, UNSURE)}
    try:
        return known[given.strip().casefold()]
    except KeyError as err:
        raise OpinionError(
            f"first_opinion is '{given[:40]}'; for '{model}' expected one of "
            f"{', '.join(known.values())}, or leave it away."
        ) from err


def _findings(given: tuple[str, ...], questions: Questions, model: str) -> tuple[str, ...] | None:
    if not given:
        return None
    if not questions.findings:
        raise OpinionError(
            f"first_findings names '{given[0][:40]}', but '{model}' answers with no findings. "
            "Leave it away, or send the film to a model that has some."
        )
    known = {label.casefold(): label for label in questions.findings}
    if [w.casefold() for w in given] == [NONE] and NONE not in known:
        return ()
    unknown = [w for w in given if w.casefold() not in known]
    if unknown:
        raise OpinionError(
            f"first_findings names '{unknown[0][:40]}'; for '{model}' expected some of "
            f"{', '.join(known.values())}, the main one first, or '{NONE}' alone."
        )
    return tuple(dict.fromkeys(known[w.casefold()] for w in given))


def _symptoms(given: tuple[str, ...]) -> tuple[str, ...]:
    """In the order of SYMPTOMS."""
    said = {"-".join(w.casefold().replace("_", " ").replace("-", " ").split()): w for w in given}
    unknown = [w for key, w in said.items() if key not in SYMPTOMS]
    if unknown:
        raise OpinionError(
            f"symptoms names '{unknown[0][:40]}'; expected some of {', '.join(SYMPTOMS)}. "
            "Nothing else can be recorded yet."
        )
    return tuple(s for s in SYMPTOMS if s in said)
