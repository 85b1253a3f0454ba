"""The probabilities of a mask: a network that segments explains itself."""

from .records import Heat, Method, Subject


def _make(subject: Subject) -> Heat:
    return Heat(subject.places, 1)


METHOD = Method(
    name="probability",
    source="the network's own answer",
    needs=("mask",),
    passes=0,
    make=_make,
)
