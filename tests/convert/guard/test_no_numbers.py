"""Scores that are no numbers: seen wherever they are, and whose they are is told."""

import numpy as np
import pytest

from clinicedge.convert.parity import refuse_no_numbers
from clinicedge.convert.running import Measured
from clinicedge.runtime.errors import NoNumbersError, ParityError

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
