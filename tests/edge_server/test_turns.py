"""Films are answered between the runs of a slow map, and a slow map ends in time."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from clinicedge.edge_server import heat, served
from clinicedge.edge_server.settings import Settings
from clinicedge.edge_server.turns import Turns
from clinicedge.runtime.errors import SlowMapError

from .conftest import Box, Serve


def _until(there: Callable[[], bool]) -> None:
    for _ in range(3000):
        if there():
            return
        threading.Event().wait(0.01)
    raise AssertionError("nothing came in 30 s")


def test_whoever_waits_for_an_answer_goes_between_two_runs() -> None:
    turns, order, begun = Turns(), list[str](), threading.Event()

    def map_() -> None:
        with turns.patient(60) as turn:
            begun.set()
            for run in range(3):
                # Somebody waits before each run ends, so each gives way.
                _until(lambda: turns._waiting > 0 or "answer 2" in order)
                order.append("run")
                turn.between(run + 1, 3)

    with ThreadPoolExecutor(1) as pool:
        made = pool.submit(map_)
        assert begun.wait(30)
        for number in range(3):
            with turns.soon():
                order.append(f"answer {number}")
        made.result()
    before = order[: order.index("answer 2")]
    assert before[:2] == ["run", "answer 0"]
    assert ["run", "run"] not in [before[i : i + 2] for i in range(len(before))]
    assert order.count("run") == 3


def test_two_slow_maps_go_one_after_the_other() -> None:
    turns, inside = Turns(), list[int]()
    at_once = list[int]()

    def map_(_: int) -> None:
        with turns.patient(60) as turn:
            for run in range(20):
                inside.append(1)
                at_once.append(len(inside))
                inside.pop()
                turn.between(run, 20)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(map_, range(4)))
    assert set(at_once) == {1}


def test_a_map_that_takes_too_long_gives_up_and_leaves_the_turn() -> None:
    turns = Turns()
    with pytest.raises(SlowMapError, match="3 of 9 runs done"), turns.patient(0.0) as turn:
        turn.between(3, 9)
    with turns.soon(), pytest.raises(SlowMapError, match=r"0\.02 s; answers"), turns.patient(0.02):
        raise AssertionError("the turn is somebody else's")
    with turns.patient(1.0) as turn:
        turn.between(1, 2)


def test_at_the_end_a_map_is_left_undone() -> None:
    turns = Turns()
    with turns.patient(60) as turn:
        turns.close()
        with pytest.raises(SlowMapError):
            turn.between(1, 2)
    with pytest.raises(SlowMapError), turns.patient(60):
        raise AssertionError("nothing begins at the end")


def test_a_film_is_answered_while_a_map_of_many_runs_is_made(
    plain: Settings, serve: Serve, film_png: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heat, "_MOST_PASSES", 300)
    monkeypatch.setattr(served, "SLOWEST_S", 600.0)
    with serve(plain) as box, ThreadPoolExecutor(1) as pool:
        address = box.send(film_png)["links"]["explanation"]
        asked = {"method": "rise", "as": "json"}
        slow = pool.submit(lambda: box.client.get(address, params=asked, timeout=600))
        _until(lambda: box.server.desk.registry.models[0].turns._taken)
        other = box.send(film_png)
        quick = box.client.get(other["links"]["explanation"], params={"as": "json"})
        assert not slow.done(), "hundreds of runs took no longer than an answer and a quick map"
        assert quick.status_code == 200
        assert slow.result().status_code == 200


def _slow(box: Box, case: dict[str, Any]) -> Any:
    asked = {"method": "occlusion", "as": "json"}
    return box.client.get(case["links"]["explanation"], params=asked)


def test_a_map_that_was_given_up_is_told_and_not_kept(
    plain: Settings, serve: Serve, film_png: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(replace(plain, queue=2)) as box:
        case = box.send(film_png)
        monkeypatch.setattr(served, "SLOWEST_S", 0.0)
        answer = _slow(box, case)
        assert answer.status_code == 503
        assert answer.json()["type"].endswith("slow-map")
        assert "not finished within 0 s" in answer.json()["detail"]
        monkeypatch.undo()
        assert _slow(box, case).status_code == 200
