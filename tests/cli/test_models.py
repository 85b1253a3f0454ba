"""`clinicedge models`"""

import json
from collections.abc import Callable
from typing import Any

from clinicedge.models.zoo import names


def test_the_table_names_every_model(ce: Callable[..., Any]) -> None:
    ran = ce("models")
    assert ran.code == 0
    for name in names():
        assert name in ran.out


def test_json_says_where_published_figures_are_wrong(ce: Callable[..., Any]) -> None:
    ran = ce("models", "--json")
    found = json.loads(ran.out)
    assert [m["name"] for m in found["models"]] == list(names())
    wrong = {m["name"] for m in found["models"] if m["published_note"]}
    assert len(wrong) == 5
    assert "mobilenet-0.25-192" in wrong
    assert "three of the four" in found["note"]


def test_an_unknown_model_is_refused(ce: Callable[..., Any]) -> None:
    ran = ce("train", "mobilenet-9", "--data", ".")
    assert ran.code == 2
    assert ran.err.startswith("error: no model 'mobilenet-9'")
