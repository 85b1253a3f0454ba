"""The search alone: on a network of which we know which layers must stay in float."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinicedge.convert.guard.driver import Layer, Quantization
from clinicedge.convert.guard.ranking import MOST_FLOAT, float_share, ranked, within_cap
from clinicedge.convert.guard.search import Found, clearly_best, search
from clinicedge.convert.recipes import Export
from clinicedge.runtime.errors import BudgetError, ConversionError
from clinicedge.runtime.guarding import PairedLoss

COUNT = 12
LAYERS = tuple(
    Layer(f"l{i}", "Conv", 1000 + i, 400, (f"l{i - 1}",) if i else (), tail=i == COUNT - 1)
    for i in range(COUNT)
)
NAMES = tuple(layer.name for layer in LAYERS if not layer.tail)


@dataclass
class Net:
    """Every culprit that is not in float costs three films of 100; two are allowed. While a layer
    of `broken` is not in float, the scores are no numbers. `hidden` culprits cost nothing in a
    draft, and `feared` ones only there. The tool fails by the `impossible` methods."""

    culprits: frozenset[str]
    methods: tuple[str, ...] = ("one", "other")
    scores: Mapping[str, float] = field(default_factory=dict)
    noisiest: tuple[str, ...] = ()
    broken: frozenset[str] = frozenset()
    drafts: bool = False
    hidden: frozenset[str] = frozenset()
    feared: frozenset[str] = frozenset()
    impossible: tuple[str, ...] = ()
    asked: list[Quantization] = field(default_factory=list)

    def layers(self) -> tuple[Layer, ...]:
        return LAYERS

    def quantize(self, settings: Quantization, draft: bool = False) -> Export:
        self.asked.append(settings)
        if settings.method in self.impossible:
            raise ConversionError("quantize ended with code 1.\n  ValueError: too many bins")
        name = "draft" if draft else "net"
        return Export(((name, "/".join((settings.method, *settings.float_layers)).encode()),), ())

    def scores_db(self, made: Export) -> float:
        return self.scores.get(made.files[0][1].decode(), 30.0)

    def losses(self, made: Export) -> tuple[PairedLoss, ...] | None:
        left = set(made.files[0][1].decode().split("/")[1:])
        if self.broken - left:
            return None
        guilty = self.culprits - (self.hidden if made.files[0][0] == "draft" else self.feared)
        lost = 0.03 * len(guilty - left)
        return (PairedLoss("sensitivity", "", lost, lost, lost, 0.02, 100, 90),)

    def noise(self, made: Export) -> Mapping[str, float]:
        own = np.array([0.3 if layer.name in self.noisiest else 1e-4 for layer in LAYERS])
        return dict(
            zip((la.name for la in LAYERS), (-10 * np.log10(own.cumsum())).tolist(), strict=True)
        )


def _found(net: Net, limit: int = 40, said: list[str] | None = None) -> Found:
    heard: list[str] = [] if said is None else said
    return search(net, "int8-static", limit, heard.append)


def test_plain_int8_that_keeps_the_budget_stays_as_it_is() -> None:
    net = Net(frozenset())
    found = _found(net)
    assert found.settings == Quantization("int8-static", "one")
    assert found.export is found.plain
    assert len(net.asked) == 2
    other, published = found.trials
    assert (other.method, other.worst, other.snr_db) == ("other", None, 30.0)
    assert (published.method, published.float_layers, published.worst) == ("one", 0, 0.0)


@pytest.mark.parametrize(("db", "method"), [(30.9, "one"), (31.5, "other"), (20.0, "one")])
def test_a_method_must_be_clearly_less_noisy_than_the_usual_one(db: float, method: str) -> None:
    found = _found(Net(frozenset(), scores={"other": db}))
    assert found.settings.method == found.trials[-1].method == method


@pytest.mark.parametrize("drafts", [False, True])
def test_a_method_that_the_tool_cannot_do_is_passed_over_and_said(drafts: bool) -> None:
    said: list[str] = []
    found = _found(Net(frozenset({"l2"}), impossible=("one",), drafts=drafts), said=said)
    assert found.settings == Quantization("int8-static", "other", ("l2",))
    failed = found.trials[0]
    assert (failed.method, failed.bytes, failed.error) == ("one", 0, "ValueError: too many bins")
    assert [t.error for t in found.trials[1:]] == [""] * (len(found.trials) - 1)
    assert "passed over: ValueError: too many bins" in said


def test_where_every_method_fails_the_tool_has_the_word() -> None:
    with pytest.raises(ConversionError, match="too many bins"):
        _found(Net(frozenset(), impossible=("one", "other")))


def test_the_layers_that_cost_most_go_back_and_no_others() -> None:
    culprits = frozenset({"l2", "l7", "l8"})
    net = Net(culprits, noisiest=("l2", "l7", "l8"))
    found = _found(net)
    assert set(found.settings.float_layers) == culprits
    assert found.settings.float_layers == ("l2", "l7", "l8"), "as they run"
    assert found.trials[-1].float_layers == 3
    assert found.trials[-1].worst == 0.0
    assert len(found.trials) == len(net.asked) <= 12


def test_the_same_search_twice() -> None:
    one, other = (Net(frozenset({"l3", "l9"}), noisiest=("l3", "l9")) for _ in range(2))
    assert _found(one).trials == _found(other).trials
    assert one.asked == other.asked


@settings(max_examples=60, deadline=None)
@given(
    st.sets(st.sampled_from(NAMES), max_size=4),
    st.integers(2, 40),
    st.booleans(),
    st.booleans(),
)
def test_what_is_found_keeps_the_budget_within_the_limit(
    culprits: set[str], limit: int, drafts: bool, heard: bool
) -> None:
    """`heard`: the culprits are the noisiest; 7 trials are then enough for four of them."""
    noisiest = tuple(culprits) if heard else ()
    net = Net(frozenset(culprits), noisiest=noisiest, drafts=drafts)
    try:
        found = _found(net, limit)
    except BudgetError:
        assert culprits
        assert limit < 7 or not heard
    else:
        assert culprits <= set(found.settings.float_layers)
        assert found.trials[-1].worst == 0.0
        assert float_share(LAYERS, found.settings.float_layers) <= MOST_FLOAT
    assert len(net.asked) <= max(limit, len(net.methods))


def test_too_few_trials_say_what_was_lost_and_what_to_do() -> None:
    with pytest.raises(BudgetError) as told:
        _found(Net(frozenset({"l1", "l5", "l9"})), limit=3)
    for words in ("sensitivity loses 0.09", "at most 0.0200 allowed", "100 films", "more trials"):
        assert words in str(told.value)


def test_layers_are_sought_with_drafts_and_what_is_published_is_made_in_full() -> None:
    culprits = frozenset({"l2", "l7", "l8"})
    net = Net(culprits, noisiest=("l2", "l7", "l8"), drafts=True, scores={"other": 40.0})
    found = _found(net)
    assert found.settings == Quantization("int8-static", "other", ("l2", "l7", "l8"))
    assert found.export.files[0][0] == found.plain.files[0][0] == "net"
    one, other, plain, *drafts, published = found.trials
    assert [t.draft for t in (one, other, plain)] == [True, True, False]
    assert plain.snr_db == 40.0
    assert all(t.draft for t in drafts)
    assert (published.draft, published.worst, published.float_layers) == (False, 0.0, 3)
    assert found.trials == _found(replace(net, asked=[])).trials


def test_plain_int8_that_keeps_the_budget_needs_one_full_quantization() -> None:
    found = _found(Net(frozenset(), drafts=True))
    assert [t.draft for t in found.trials] == [True, True, False]
    assert found.export.files[0][0] == "net"
    only = _found(Net(frozenset(), methods=("one",), drafts=True))
    assert [t.draft for t in only.trials] == [False]


def test_a_draft_that_promised_too_much_is_not_published() -> None:
    culprits = frozenset({"l2", "l7"})
    net = Net(culprits, noisiest=("l2", "l7"), drafts=True, hidden=frozenset({"l7"}))
    found = _found(net)
    assert set(found.settings.float_layers) == culprits
    full = [t.worst for t in found.trials if not t.draft and t.float_layers]
    assert full == [pytest.approx(1.5), 0.0], "one layer, as the draft said, then both"


def test_where_every_draft_breaks_it_the_search_is_made_in_full() -> None:
    always = LAYERS[-1].name
    net = Net(frozenset({"l2", always}), noisiest=("l2",), drafts=True, feared=frozenset({always}))
    found = _found(net)
    assert found.settings.float_layers == ("l2",)
    assert found.export.files[0][0] == "net"


def test_scores_that_are_no_numbers_break_the_budget_and_the_search_goes_on() -> None:
    net = Net(frozenset({"l2"}), noisiest=("l5", "l2"), broken=frozenset({"l5"}))
    said: list[str] = []
    found = _found(net, said=said)
    assert found.settings.float_layers == ("l2", "l5")
    plain, published = found.trials[1], found.trials[-1]
    assert (plain.numbers, plain.worst) == (False, 1e6)
    assert (published.numbers, published.worst) == (True, 0.0)
    silent = sum(not trial.numbers for trial in found.trials)
    assert said.count("that gave scores that are no numbers") == silent


def test_no_numbers_at_all_are_told() -> None:
    with pytest.raises(BudgetError, match=r"NaN or infinite.* Best of .* trials"):
        _found(Net(frozenset(), broken=frozenset({LAYERS[-1].name})))


def test_half_of_the_multiply_adds_at_most_go_to_float() -> None:
    order = within_cap(NAMES, LAYERS, MOST_FLOAT)
    assert len(order) == 5
    with pytest.raises(BudgetError, match="50% of the multiply-adds"):
        _found(Net(frozenset(NAMES)))


def test_a_layer_answers_for_its_own_noise_alone() -> None:
    wide = (
        Layer("a", "Conv", 100, 4),
        Layer("b", "Conv", 100, 4, ("a",)),
        Layer("c", "Add", 0, 0, ("a", "b")),
        Layer("end", "Gemm", 10, 4, ("c",), tail=True),
    )
    assert ranked(wide, {"a": 40.0, "b": 5.0, "c": 4.99, "end": 1.0}) == ("b", "c", "a")
    assert ranked(wide, {"b": 20.0}) == ("b", "a", "c"), "what was not measured goes last"
    assert float_share(wide, ("b",)) == pytest.approx(110 / 210)


def test_clearly_best() -> None:
    assert clearly_best([10.0]) == 0
    assert clearly_best([10.0, 10.9, 11.2]) == 1
    assert clearly_best([-120.0, -120.0]) == 0
