"""What `train` prints of a finished run."""

from dataclasses import replace

import pytest

from clinicedge.cli._trained import print_cards
from clinicedge.models import weights
from clinicedge.models.training.cards.card import read_card
from clinicedge.models.training.judging.judgement import MeasuredBoxes
from clinicedge.runtime.figures import BoxAccuracy, Figure


def test_a_detector_s_card_tells_of_its_boxes(capsys: pytest.CaptureFixture[str]) -> None:
    card = read_card(weights.CLONE_FOLDER / "lungs-128.json")
    area, recall = Figure(0.625, 0.5, 0.75, 40, 20), Figure(0.875, 0.8, 0.95, 48, 20)
    boxes = BoxAccuracy("legs", "test", "f32", 0.4, "TUMOUR", area, recall, None, None, None)
    found = replace(card, name="finder", masks=(), boxes=(MeasuredBoxes("held out", boxes),))
    print_cards("one model", [(found, "trained")])
    told = capsys.readouterr().out
    for words in ("AP50", "held out, TUMOUR", "87.5 (80.0-95.0)", "0.625 (0.500-0.750)"):
        assert words in told
