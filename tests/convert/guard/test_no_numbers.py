"""A network that static INT8 brings to 0 / 0, beside a float layer that mends it."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import dead_units
import numpy as np
import pytest

from clinicedge.convert import ConvertOptions, convert_model
from clinicedge.convert.parity import refuse_no_numbers
from clinicedge.convert.running import Measured
from clinicedge.runtime.errors import NoNumbersError, ParityError

if TYPE_CHECKING:
    from torch import nn

FINE = np.zeros((3, 2), np.float32)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_one_score_that_is_no_number_is_seen(wrong: float) -> None:
    one = FINE.copy()
    one[1, 0] = wrong
    assert Measured(FINE, FINE, 0.5).finite
    assert not Measured(one, FINE, None).finite
    assert not Measured(FINE, one, None).finite
    assert not Measured(FINE, FINE, float("nan")).finite


def test_fp32_without_numbers_is_no_matter_of_a_budget() -> None:
    refuse_no_numbers("onnx/int8-guarded", "int8", True)
    with pytest.raises(NoNumbersError, match="onnx/int8-guarded: some of its outputs"):
        refuse_no_numbers("onnx/int8-guarded", "int8", False)
    with pytest.raises(ParityError) as told:
        refuse_no_numbers("onnx/fp32", "fp32", False)
    assert not isinstance(told.value, NoNumbersError)


def _network() -> "nn.Module":
    """Levels of both halves, divided by their root mean square. They pass beside a unit of 10000,
    whose scale of 8 bits makes them 0."""
    import torch
    from torch import nn

    side = dead_units.SIDE // 4
    blur, level = nn.Conv2d(1, 1, 5, stride=4, padding=2, bias=False), nn.Linear(2, 3)
    pick, last = nn.Linear(3, 2, bias=False), nn.Linear(2, 2)
    with torch.no_grad():
        blur.weight.fill_(1 / 25)
        level.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]))
        level.bias.copy_(torch.tensor([3.0, 3.0, 10000.0]))
        pick.weight.copy_(torch.eye(2, 3))
        last.weight.copy_(torch.tensor([[-9.0, 9.0], [9.0, -9.0]]))
        last.bias.zero_()
    halves = nn.AvgPool2d((side, side // 2))
    root = nn.RMSNorm(2, eps=0.0, elementwise_affine=False)
    return nn.Sequential(blur, halves, nn.Flatten(), level, nn.ReLU(), pick, root, last).eval()


@pytest.mark.slow
def test_a_conversion_goes_on_after_a_trial_without_numbers(tmp_path: Path) -> None:
    parts = {"train": 16, "select": 12, "guard": 16}
    data = dead_units.write_folder(tmp_path / "halves", parts)
    source = replace(dead_units.source(), network=_network())
    recipes = ("fp32", "int8-guarded", "int8-static")
    options = ConvertOptions(
        tmp_path / "out", ("onnx",), (), recipes, data, calibration_films=16, trials=10
    )
    done = convert_model(source, options)
    (failed,) = done.failed
    assert failed.artifact == "onnx/int8-static"
    assert "NaN or infinite" in failed.reason
    guard = next(a.guard for a in done.manifest.artifacts if a.recipe == "int8-guarded")
    assert guard is not None
    assert not guard.trials[0].numbers
    assert guard.trials[-1].numbers
    again = convert_model(source, options)
    assert again.made == ()
