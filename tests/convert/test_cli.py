"""`clinicedge convert` over the finished steps of the session's conversion."""

import json

import pytest

from clinicedge.cli import main
from clinicedge.convert import Conversion, ConvertOptions


@pytest.fixture
def words(converted: Conversion, options: ConvertOptions) -> list[str]:
    return [
        *("convert", converted.manifest.name),
        *("--out", str(options.out), "--data", str(options.data)),
        *("--calibration-films", str(options.calibration_films)),
        *("--min-agreement", str(options.min_agreement)),
    ]


def _run(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main(words)
    assert not end.value.code
    return capsys.readouterr()


def test_json_and_nothing_else(
    words: list[str], converted: Conversion, capsys: pytest.CaptureFixture[str]
) -> None:
    out, _ = _run([*words, "--json"], capsys)
    found = json.loads(out)
    assert found["bundle"] == str(converted.folder)
    assert found["unchanged"] is True
    assert found["made"] == []
    rows = found["proof"]["rows"]
    assert [row["artifact"] for row in rows] == [a.id for a in converted.manifest.artifacts]
    assert all(row["auc"]["low"] <= row["auc"]["value"] for row in rows)


def test_the_proof_table(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = _run(words, capsys)
    assert "tflite/int8-guarded" in out
    assert "24 films of phantoms, part guard" in out
    assert "unchanged, reused" in out
