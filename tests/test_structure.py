"""How the files import each other: no circle, but for two doors that open when they are used."""

import sys
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[1]
# A bundle opens its predictor, a predictor its heat map, when asked to: callers hold one object
# and need not know which file makes the next. Everything else has one direction.
DOORS = {
    ("clinicedge.runtime.bundle", "clinicedge.runtime.pipelines"),
    ("clinicedge.runtime.bundle", "clinicedge.runtime.selection"),
    ("clinicedge.runtime.bundle", "clinicedge.runtime.predictor"),
    ("clinicedge.runtime.predictor", "clinicedge.runtime.explanations.making"),
}


@pytest.fixture(scope="module")
def arrows() -> dict[str, set[str]]:
    """Of each file those that it imports, at the top, inside functions or for types alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(ROOT / ".dev"), *sys.path])
        graph = grimp.build_graph("clinicedge", cache_dir=None)
    return {name: set(graph.find_modules_directly_imported_by(name)) for name in graph.modules}


def circles(arrows: dict[str, set[str]]) -> list[str]:
    """What is left when files that import nothing that is left are taken away, again and again."""
    left = {name: set(to) for name, to in arrows.items()}
    while True:
        done = {name for name, to in left.items() if not to & left.keys()}
        if not done:
            return sorted(left)
        left = {name: to for name, to in left.items() if name not in done}


def test_no_file_imports_itself_by_way_of_others(arrows: dict[str, set[str]]) -> None:
    assert len(arrows) > 300
    without = {a: {b for b in to if (a, b) not in DOORS} for a, to in arrows.items()}
    assert circles(without) == []


def test_every_door_is_needed(arrows: dict[str, set[str]]) -> None:
    for importer, imported in DOORS:
        assert imported in arrows[importer], f"{importer} -> {imported} is no door any more"


def test_a_circle_would_be_seen() -> None:
    arrows = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set(), "e": {"a"}}
    assert circles(arrows) == ["a", "b", "c", "e"]
    assert circles(arrows | {"c": {"d"}}) == []
