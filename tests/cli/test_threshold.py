"""`clinicedge threshold`, and the tables of decisions."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_bundles as tiny

from clinicedge.runtime import Bundle

Run = Callable[..., Any]
TOLD = ("--value", "0.1", "--who", "Dr A", "--data", "200 films of ours", "--films", "200")


@pytest.fixture
def own(tmp_path: Path) -> Bundle:
    return tiny.binary(tmp_path / "tiny")


def test_set_show_and_clear(ce: Run, own: Bundle, film: Path) -> None:
    done = ce("threshold", "set", own.folder, *TOLD, "--json")
    assert done.code == 0
    (row,) = json.loads(done.out)["thresholds"]
    assert (row["own"]["value"], row["own"]["who"], row["refused"]) == (0.1, "Dr A", "")
    assert row["own"]["artifact_sha256"] == own.manifest.artifacts[0].sha256
    told = ce("predict", own.folder, film, "--json")
    assert '"threshold": 0.1' in told.out
    assert "set on this device by Dr A" in told.out
    shown = ce("threshold", "show", own.folder)
    assert "Dr A" in shown.out
    assert "0.5000" in shown.out
    assert ce("threshold", "clear", own.folder).code == 0
    again = ce("threshold", "clear", own.folder)
    assert (again.code, "there was none" in again.err) == (0, True)
    assert '"threshold": 0.5' in ce("predict", own.folder, film, "--json").out


def test_after_an_update_it_is_refused(ce: Run, own: Bundle, film: Path, tmp_path: Path) -> None:
    assert ce("threshold", "set", own.folder, *TOLD).code == 0
    other = tiny.binary(tmp_path / "new", "tiny", tiny.Scores(slopes=(-2.0, 2.0)))
    told = ce("predict", other.folder, film)
    assert told.code == 2
    assert "Set it anew" in told.err
    assert "refused: this device's own threshold" in ce("threshold", "show", other.folder).out
    assert ce("threshold", "clear", other.folder).code == 0
    assert ce("predict", other.folder, film).code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("frob",), "expected show, set, clear"),
        (("set",), "set needs --value, --who and --data"),
        (("set", "--value", "2", "--who", "A", "--data", "x"), "between 0 and 1"),
        (("set", "--artifact", "onnx/int8", *TOLD), "has no artifact"),
        (("set", "--label", "NORMAL", *TOLD), "0 thresholds fit"),
    ],
)
def test_refusals(ce: Run, own: Bundle, words: tuple[str, ...], said: str) -> None:
    action, *rest = words
    told = ce("threshold", action, own.folder, *rest)
    assert told.code == 2
    assert said in " ".join(told.err.replace("│", " ").split())


def test_a_pipeline_names_its_members(ce: Run, bundle: Bundle) -> None:
    told = ce("threshold", "show", bundle.folder)
    assert told.code == 2
    assert "Name the member" in told.err
