"""Every model x format x precision: cells that are made, cells that say why not, the report."""

import json
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from clinicedge.cli import main
from clinicedge.convert import Conversion, ConvertOptions, matrix
from clinicedge.convert.matrix import Wish, chosen_names, make_matrix
from clinicedge.convert.matrix_records import Cell, Matrix
from clinicedge.convert.matrix_report import markdown, page, write_report
from clinicedge.convert.options import Progress
from clinicedge.convert.pipelines import ZooConverter
from clinicedge.runtime.errors import UnknownModelError
from clinicedge.runtime.predictions import CAUTION
from clinicedge.runtime.records import from_json

from .conftest import NAME
from .user_files import patients_of, write_data

ON_LUNGS = f"{NAME}-on-lungs"
NAMES = ("lungs-128", ON_LUNGS, "densenet121-224-on-lungs")


@pytest.fixture(autouse=True)
def short_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix, "ROUNDS", 1)
    monkeypatch.setattr(matrix, "SECONDS", 0.02)


@pytest.fixture
def out(on_lungs: Conversion, tmp_path: Path) -> Path:
    """What an earlier run left."""
    folder = tmp_path / "bundles"
    shutil.copytree(on_lungs.folder.parent, folder)
    return folder


@pytest.fixture
def options(out: Path) -> ConvertOptions:
    return ConvertOptions(out, ("onnx",), ("fp32",))


def test_rows_of_models_and_pipelines(options: ConvertOptions) -> None:
    seen: list[tuple[int, int]] = []
    wish = Wish(NAMES, options, threads=1, words=("clinicedge", "convert", "--all"))
    kept: list[Matrix] = []
    found = make_matrix(wish, lambda _, done, total: seen.append((done, total)), kept.append)
    assert [m.pending for m in kept] == [NAMES[1:], NAMES[2:], ()]
    assert [len(m.rows) for m in kept] == [1, 3, 4]
    assert not kept[0].complete
    assert kept[-1].rows == found.rows
    assert f"Not reached yet: {', '.join(NAMES[1:])}." in markdown(kept[0])
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1][0] == seen[-1][1]
    rows = {row.name: row for row in found.rows}
    assert set(rows) == {*NAMES, f"{NAME}-lung-crop"}
    lungs, crop = rows["lungs-128"].cells[0], rows[f"{NAME}-lung-crop"].cells[0]
    (whole,) = rows[ON_LUNGS].cells
    assert whole.state == "made"
    assert whole.bytes == (lungs.bytes or 0) + (crop.bytes or 0)
    assert whole.latency_ms == pytest.approx((lungs.latency_ms or 0) + (crop.latency_ms or 0))
    assert whole.parity == crop.parity
    assert rows[ON_LUNGS].members == ("lungs-128", f"{NAME}-lung-crop")
    (missing,) = rows[NAMES[2]].cells
    assert missing.state == "missing"
    assert "--model densenet121-224-lung-crop" in missing.reason
    assert not found.complete
    assert (found.count("made"), found.count("missing")) == (3, 1)
    assert "phantom films are not labelled" in crop.figures_note
    assert crop.figures_note in markdown(found)
    again = make_matrix(wish, lambda *_: None)
    assert again.rows == found.rows


def test_a_cell_that_fails_says_why_and_the_others_go_on(options: ConvertOptions) -> None:
    wish = Wish((ON_LUNGS,), replace(options, min_agreement=1.01), threads=0)
    (row,) = make_matrix(wish, lambda *_: None).rows
    assert row.name == ON_LUNGS
    assert row.cells[0].state == "failed"
    assert "agreement 1.000, at least 1.01 expected" in row.cells[0].reason
    wider = Wish(("lungs-128",), replace(options, precisions=("fp32", "int8")), threads=0)
    (row,) = make_matrix(
        replace(wider, options=replace(wider.options, data=Path("none"))), _quiet
    ).rows
    assert {c.state for c in row.cells} == {"failed"}
    assert "none" in row.cells[0].reason


def _quiet(*_: object) -> None:
    """No progress."""


def test_figures_of_guard_and_of_the_test_part(options: ConvertOptions, tmp_path: Path) -> None:
    patients = {"train": 8, "select": 8, "guard": 8, "test": 8}
    data = write_data(tmp_path / "labelled", patients, ("label",), _label)
    wish = Wish((ON_LUNGS,), replace(options, data=data), threads=1, tests=True)
    rows = {row.name: row for row in make_matrix(wish, _quiet).rows}
    cell = rows[ON_LUNGS].cells[0]
    where = [m.where for m in cell.figures]
    assert "labelled, guard" in where
    assert "labelled, test" in where, rows[ON_LUNGS].notes
    assert {m.name for m in cell.figures} >= {"accuracy", "AUC"}
    # A label corrected below the same name: the test part is scored anew, guard stays.
    number = next(n for part, n in patients_of(data.name, patients) if part == "test")
    manifest = data / "manifest.csv"
    lines = [_other(line, number) for line in manifest.read_text("utf-8").splitlines()]
    manifest.write_text("\n".join(lines), "utf-8")
    after = {row.name: row for row in make_matrix(wish, _quiet).rows}[ON_LUNGS].cells[0]
    changed = {m.where for m in after.figures if m not in cell.figures}
    assert changed == {"labelled, test"}


def _other(line: str, patient: str) -> str:
    """The other label in that patient's line."""
    if line.split(",")[1] != patient:
        return line
    *rest, label = line.split(",")
    return ",".join((*rest, "PNEUMONIA" if label == "NORMAL" else "NORMAL"))


def _label(folder: Path, i: int, pixels: NDArray[np.uint8]) -> dict[str, str]:
    return {"label": "PNEUMONIA" if i % 2 else "NORMAL"}


class _Page(HTMLParser):
    """Text, and addresses that lead out of the page."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.outside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("src", "href") and not (value or "").startswith("#"):
                self.outside.append(f"{tag} {name} {value}")

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_report_tells_all_cells_and_stands_alone(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    report = tmp_path / "report"
    words = ["convert", "--all", "--only", "lungs-*", "--only", "densenet121-224-on-lungs"]
    words += ["--out", str(out), "--formats", "onnx", "--precisions", "fp32"]
    with pytest.raises(SystemExit) as end:
        main([*words, "--report", str(report), "--threads", "1", "--data-root", str(tmp_path)])
    assert end.value.code == 1
    shown = capsys.readouterr().out
    assert "lungs-128" in shown
    assert "no reference weights" in shown
    assert sorted(p.name for p in report.iterdir()) == ["matrix.html", "matrix.json", "matrix.md"]
    found = from_json(Matrix, json.loads((report / "matrix.json").read_bytes()), "matrix.json")
    assert {row.name for row in found.rows} == {"lungs-128", "densenet121-224-on-lungs"}
    read = _Page()
    read.feed((report / "matrix.html").read_text(encoding="utf-8"))
    text = " ".join(read.text)
    assert not read.outside
    for words_ in ("lungs-128", "100.0 %", "no weights", "decisions equal", "ms"):
        assert words_ in text
    assert CAUTION[1:] in text
    told = (report / "matrix.md").read_text(encoding="utf-8")
    assert "| onnx/fp32 |" in told
    assert "not made, onnx/fp32: no reference weights" in told
    assert found.command in told


def test_words_of_others_are_escaped(options: ConvertOptions, tmp_path: Path) -> None:
    wish = Wish(("densenet121-224-on-lungs",), options, threads=0, words=("a", "<b>&"))
    found = make_matrix(wish, _quiet)
    (row,) = found.rows
    evil = replace(row.cells[0], reason="<script>alert(1)</script> | x")
    found = replace(found, rows=(replace(row, cells=(evil,)),))
    assert "<script" not in page(found)
    assert "\\| x" in markdown(found)
    assert len(write_report(found, tmp_path / "r")) == 3


def test_what_is_not_measured_says_why(options: ConvertOptions) -> None:
    wish = Wish(("densenet121-224-on-lungs",), options, threads=0)
    found = make_matrix(wish, _quiet)
    (row,) = found.rows
    why = ("the engine said <no>", "no film is labelled")
    made = Cell("onnx", "fp32", "made", bytes=1, latency_note=why[0], figures_note=why[1])
    found = replace(found, rows=(replace(row, cells=(made, replace(made, precision="int8"))),))
    told, shown = markdown(found), page(found)
    for text in (told, shown.replace("&lt;", "<").replace("&gt;", ">")):
        assert "latency not measured, onnx/fp32, onnx/int8: the engine said <no>" in text
        assert "figures not measured, onnx/fp32, onnx/int8: no film is labelled" in text
    assert "the engine said <no>" not in shown


def test_a_stopped_run_leaves_its_report(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second model is never converted: as if somebody had stopped it there."""
    report, converted = tmp_path / "report", ZooConverter.convert

    def stopped(self: ZooConverter, name: str, progress: Progress | None = None) -> Conversion:
        if name != "densenet121-224-on-lungs":
            raise KeyboardInterrupt
        return converted(self, name, progress)

    monkeypatch.setattr(ZooConverter, "convert", stopped)
    words = ["convert", "--all", "--only", "densenet121-*", "--only", "lungs-128"]
    words += ["--out", str(out), "--formats", "onnx", "--precisions", "fp32"]
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        main([*words, "--report", str(report), "--threads", "0", "--data-root", str(tmp_path)])
    left = from_json(Matrix, json.loads((report / "matrix.json").read_bytes()), "matrix.json")
    assert [row.name for row in left.rows] == ["densenet121-224-on-lungs"]
    assert left.pending == ("lungs-128",)


def test_names_by_pattern() -> None:
    assert chosen_names(("lungs-128",), False) == ("lungs-128",)
    everything = chosen_names((), False)
    assert len([n for n in everything if n.startswith("mobilenet-")]) == 16
    assert NAME not in everything
    assert NAME in chosen_names(("mobilenet-*",), True)
    with pytest.raises(UnknownModelError, match="no model fits 'zzz'"):
        chosen_names(("zzz",), False)
