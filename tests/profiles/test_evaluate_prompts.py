"""A promptable model measured with true boxes and with moved ones."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_boxes import promptable, spots

from clinicedge.profiles.evaluate import evaluate
from clinicedge.profiles.evaluate_prompts import note_of, prompts_of
from clinicedge.profiles.evaluation import EvaluationReport, Question
from clinicedge.runtime.bundle import Bundle

BOXES = ((8, 8, 24, 32), (40, 16, 56, 56))


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return promptable(tmp_path / "prompted")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Six films of two white boxes, four of none."""
    root = tmp_path / "films"
    root.mkdir()
    lines = ["file,mask,patient,split"]
    for n in range(10):
        film = spots(*(BOXES if n < 6 else ()))
        Image.fromarray(film.pixels).save(root / f"{n}.png")
        Image.fromarray(film.pixels).save(root / f"m{n}.png")
        lines.append(f"{n}.png,m{n}.png,p{n},train")
    (root / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


def run(bundle: Bundle, data: Path, question: Question) -> EvaluationReport:
    return evaluate(bundle, data, question, lambda _d, _t, _w: None)


def test_true_boxes_and_moved_ones(bundle: Bundle, data: Path) -> None:
    exact = run(bundle, data, Question(parts=("all",)))
    moved = run(bundle, data, Question(parts=("all",), boxes="moved"))
    before, after = (report.parts[0].masks[0].figures for report in (exact, moved))
    assert before.dice.n == 6
    assert before.dice.value > 0.5
    assert after.dice.n == 6
    assert after.dice.value != before.dice.value
    assert (exact.boxes, moved.boxes) == ("true", "moved")
    assert before.false_alarms is not None
    assert before.false_alarms.value == 0.0
    assert any("around the true masks" in note for note in exact.notes)
    assert any("moved at random" in note for note in moved.notes)


def test_what_is_asked() -> None:
    mask = spots(*BOXES).pixels
    found = prompts_of(mask, "true", 0)
    assert sorted(found) == sorted(tuple(map(float, box)) for box in BOXES)
    moved = prompts_of(mask, "moved", 0)
    assert moved == prompts_of(mask, "moved", 0) != prompts_of(mask, "moved", 1)
    assert prompts_of(np.zeros((8, 8), np.uint8), "true", 0) == ()
    assert note_of(None) == ()
