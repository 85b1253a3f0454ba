"""Pictures that can be made again, and films kept for the next question."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinicedge.edge_server.derived import Derived, sealed
from clinicedge.edge_server.latest_films import LatestFilms
from clinicedge.runtime.film import Film, FilmSource

CASE = "0" * 32


def film(side: int) -> Film:
    """A black one."""
    return Film(np.zeros((side, side), np.uint8), None, FilmSource("array", "black"))


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    derived = Derived(tmp_path)
    assert derived.get(CASE, "map.png") is None
    derived.keep(CASE, "map.png", b"first")
    derived.keep(CASE, "map.png", b"second")
    assert derived.get(CASE, "map.png") == b"second"
    assert [p.name for p in (tmp_path / CASE).iterdir()] == ["map.png"], "nothing temporary stays"


@given(data=st.binary(max_size=200), cut=st.integers(0, 300), flip=st.integers(0, 255))
def test_a_file_that_a_power_cut_spoiled_is_not_there(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, cut: int, flip: int
) -> None:
    derived = Derived(tmp_path_factory.mktemp("derived"))
    whole = sealed(data)
    path = derived.path(CASE, "map.png")
    path.parent.mkdir()
    path.write_bytes(whole[:cut])
    assert derived.get(CASE, "map.png") == (data if cut >= len(whole) else None)
    spoiled = bytearray(whole)
    spoiled[cut % len(whole)] ^= flip
    path.write_bytes(spoiled)
    assert derived.get(CASE, "map.png") == (data if flip == 0 else None)


def test_a_disk_that_refuses_costs_nothing_but_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"in the way")
    derived = Derived(tmp_path / "file")
    derived.keep(CASE, "map.png", b"lost")
    assert derived.get(CASE, "map.png") is None


def test_the_latest_films_stay() -> None:
    films = LatestFilms(max_films=2)
    first, second, third = film(4), film(4), film(4)
    films.keep("1", first)
    films.keep("2", second)
    assert films.get("1") is first, "asked for, so it is the latest now"
    films.keep("3", third)
    assert (films.get("1"), films.get("2"), films.get("3")) == (first, None, third)


def test_large_films_push_the_others_out_and_one_always_stays() -> None:
    films = LatestFilms(max_bytes=40)
    small, large = film(4), film(20)
    films.keep("1", small)
    films.keep("2", film(4))
    films.keep("3", large)
    assert films.get("1") is None
    assert films.get("2") is None
    assert films.get("3") is large
