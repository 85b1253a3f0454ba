"""The rule that picks a default method, case by case."""

from clinicedge.profiles.explanation_quality.records import (
    FilmFigures,
    Likeness,
    MapFigures,
    RegionTold,
)
from clinicedge.profiles.explanation_quality.rule import pick
from clinicedge.profiles.explanation_quality.summary import mean_difference, summarise


def row(method: str, gain: float, lungs: float | None = None, random: float = 0.0) -> MapFigures:
    region = None if lungs is None else RegionTold(lungs, lungs > 0.5, 0.5)
    return MapFigures(
        method, flat=False, deletion=0.2, insertion=0.2 + gain, lungs=region, box=None,
        random=Likeness(random, 0.1), float_map=None,
    )  # fmt: skip


def films(*rows: MapFigures, n: int = 8) -> list[FilmFigures]:
    return [FilmFigures(f"{k}.png", f"p{k}", rows) for k in range(n)]


def test_the_most_inside_the_lungs_wins_among_equals() -> None:
    found = pick(films(row("eigen-cam", 0.3, 0.6), row("grad-cam", 0.3, 0.7)))
    assert found is not None
    assert found.method == "grad-cam"
    assert "inside the lungs 0.700" in found.why
    assert [(o.what, o.why) for o in found.others] == [
        ("eigen-cam", "share of the map inside the lungs 0.600")
    ]


def test_a_method_whose_curves_are_worse_is_left_out() -> None:
    found = pick(films(row("eigen-cam", 0.1, 0.9), row("grad-cam", 0.3, 0.6)))
    assert found is not None
    assert found.method == "grad-cam"
    assert "0.200 (0.200-0.200) below grad-cam's" in found.others[0].why
    near = pick(films(row("eigen-cam", 0.29, 0.9), row("grad-cam", 0.3, 0.6)))
    assert near is not None
    assert near.method == "eigen-cam"


def test_a_map_that_stays_without_what_was_learned_is_left_out() -> None:
    for sign in (1.0, -1.0):
        shown = films(row("eigen-cam", 0.4, 0.9, 0.8 * sign), row("grad-cam", 0.3, 0.6))
        found = pick(shown)
        assert found is not None
        assert found.method == "grad-cam"
        assert "stays when the weights are shuffled" in found.others[0].why
    assert pick(films(row("eigen-cam", 0.4, 0.9, 0.8))) is None


def test_a_map_that_is_mostly_empty_is_left_out() -> None:
    full, empty = row("eigen-cam", 0.3, 0.6), row("grad-cam", 0.3, 0.9)
    flat = MapFigures("grad-cam", True, 0.2, 0.5, None, None, Likeness(0.0, 0.0), None)
    shown = films(full, empty, n=3) + films(full, flat, n=5)
    found = pick(shown)
    assert found is not None
    assert found.method == "eigen-cam"
    assert found.others[0].why == "its map is empty on 5 of 8 films"


def test_without_lungs_the_curves_decide_and_ties_go_to_the_first() -> None:
    found = pick(films(row("grad-cam", 0.3), row("eigen-cam", 0.3001)))
    assert found is not None
    assert found.method == "grad-cam"
    assert "insertion less deletion" in found.why


def test_methods_that_need_many_runs_are_never_the_default() -> None:
    found = pick(films(row("eigen-cam", 0.1), row("rise", 0.9)))
    assert found is not None
    assert found.method == "eigen-cam"


def test_a_summary_counts_films_and_patients() -> None:
    rows = [row("eigen-cam", 0.1 * k, 0.4) for k in range(4)]
    shown = [FilmFigures(f"{k}", f"p{k // 2}", (r,)) for k, r in enumerate(rows)]
    (found,) = summarise(shown)
    assert (found.films, found.flat, found.gain.n, found.gain.n_patients) == (4, 0, 4, 2)
    assert found.gain.low <= found.gain.value <= found.gain.high
    assert found.float_rank is None
    assert found.lung_hits is not None
    assert found.lung_hits.value == 0.0
    assert mean_difference([-0.5, 0.5], ["a", "b"]).low == -0.5
