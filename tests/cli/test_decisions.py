"""The table of decisions against FP32: a column for every figure that was measured, no other."""

from typing import get_args

import pytest

from clinicedge.cli._decisions import LOSSES, Row, print_decisions
from clinicedge.runtime.figures import Figure
from clinicedge.runtime.guarding import Lost, PairedLoss

ECE = Figure(0.04, 0.02, 0.07, 90, 80)


def loss(figure: Lost, value: float) -> PairedLoss:
    return PairedLoss(figure, "", value, value - 0.01, value + 0.01, 0.02, 90, 80)


def printed(capsys: pytest.CaptureFixture[str], *rows: Row) -> list[str]:
    capsys.readouterr()
    print_decisions("title", rows)
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    ("figures", "columns", "cells"),
    [
        (
            ("sensitivity", "specificity", "auc"),
            ("lost sensitivity, points", "lost specificity, points", "lost AUC"),
            ("+3.0 (+2.0 to +4.0)", "+3.0 (+2.0 to +4.0)", "+0.0300 (+0.0200 to +0.0400)"),
        ),
        (("dice",), ("lost Dice",), ("+0.0300 (+0.0200 to +0.0400)",)),
        (
            ("recall", "ap50"),
            ("lost recall, points", "lost AP50"),
            ("+3.0 (+2.0 to +4.0)", "+0.0300 (+0.0200 to +0.0400)"),
        ),
        (("agreement",), ("decided otherwise, points",), ("+3.0 (+2.0 to +4.0)",)),
    ],
)
def test_the_losses_of_a_task(
    figures: tuple[Lost, ...],
    columns: tuple[str, ...],
    cells: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
) -> None:
    losses = tuple(loss(figure, 0.03) for figure in figures)
    lines = printed(capsys, Row("tflite/int8-guarded", (1, 2, 0, 3), 0.25, losses, None))
    table = "\n".join(lines)
    heads = lines[2].strip("┃ ").split(" ┃ ")
    assert heads[:6] == ["artifact", "to positive", "to negative", "mended", "spoilt", "McNemar p"]
    assert tuple(heads[6:]) == columns
    row = next(line for line in lines if "tflite/int8-guarded" in line).strip("│ ").split(" │ ")
    assert row == ["tflite/int8-guarded", "1", "2", "0", "3", "0.25", *cells]
    assert "ECE" not in table


def test_what_one_artifact_lacks_is_a_dash(capsys: pytest.CaptureFixture[str]) -> None:
    fp32 = Row("onnx/fp32", (), None, (), ECE)
    int8 = Row("onnx/int8-guarded", (0, 0, None, None), None, (loss("agreement", 0.0),), None)
    lines = printed(capsys, fp32, int8)
    cells = [line.strip("│ ").split(" │ ") for line in lines if "onnx/" in line]
    assert cells[0] == ["onnx/fp32", *6 * ["-"], "0.040 (0.020-0.070)"]
    assert cells[1] == ["onnx/int8-guarded", "0", "0", "-", "-", "-", "+0.0 (-1.0 to +1.0)", "-"]


def test_losses_alone_are_shown_and_nothing_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    """Bundles made before masks had flips."""
    masks = Row("onnx/int8-guarded", (), None, (loss("dice", 0.0),), None)
    assert any("lost Dice" in line for line in printed(capsys, masks))
    assert printed(capsys, Row("onnx/fp32", (), None, (), None)) == []


def test_every_figure_that_can_be_lost_has_a_column() -> None:
    assert set(LOSSES) == set(get_args(Lost))
