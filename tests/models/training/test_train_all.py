"""Many models in one command, and the published comparison; nothing is trained twice."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from clinicedge.cli import main
from clinicedge.models import zoo
from clinicedge.models.training.paper_cells import (
    Cell,
    all_cells,
    cell_data,
    cells_to_run,
    paper_recipe,
    pick_cells,
    read_result,
    result_file,
    run_cell,
)
from clinicedge.models.training.paper_table import (
    PaperTable,
    collect,
    in_words,
    render,
    write_table,
)
from clinicedge.models.training.run import Progress, TrainOptions
from clinicedge.models.training.state import EpochFigures
from clinicedge.models.training.train_all import Outcome, Plan, pick_models, train_all
from clinicedge.profiles.datasets import Dataset, read_dataset
from clinicedge.runtime.errors import DataError, ModelError, SchemaError, UnknownModelError
from clinicedge.runtime.records import dump_bytes, from_json

SMALL, FINER = "mobilenet-0.25-128", "mobilenet-0.25-160"


def test_names_match_in_the_forms_asked_for() -> None:
    mobilenets = [n for n in zoo.names() if n.startswith("mobilenet-")]
    assert sorted(pick_models("mobilenet-*", ["plain"])) == sorted(mobilenets)
    both = pick_models("mobilenet-0.25-*", ["plain", "lung-crop"])
    assert len(both) == 8
    assert sum(n.endswith("-lung-crop") for n in both) == 4
    # Those that others begin with come first.
    assert both.index(SMALL) < both.index(FINER)
    assert pick_models("lungs-128", ["plain", "lung-crop"]) == ("lungs-128",)


def test_by_default_classifiers_of_chest_films_see_lungs_alone() -> None:
    found = pick_models("*")
    assert found[0] == "lungs-128", "the others crop with it"
    assert len(found) == len(zoo.names())
    assert set(zoo.lung_crop_names()) <= set(found)
    assert not set(zoo.chest_names()) & set(found)
    assert set(pick_models("mobilenet-0.25-*")) == {
        f"mobilenet-0.25-{side}-lung-crop" for side in (128, 160, 192, 224)
    }
    assert pick_models("segunet-256") == ("segunet-256",)


@pytest.mark.parametrize(
    ("pattern", "forms", "kind"),
    [
        ("mobilnet-*", ["plain"], UnknownModelError),
        ("lungs-128", ["lung-crop"], UnknownModelError),
        ("*", ["cropped"], ModelError),
        ("*", [], ModelError),
    ],
)
def test_what_matches_nothing_is_refused(
    pattern: str, forms: list[str], kind: type[Exception]
) -> None:
    with pytest.raises(kind, match="expected"):
        pick_models(pattern, forms)


def train(names: tuple[str, ...], data: Path, out: Path, epochs: int = 1) -> list[Outcome]:
    options = TrainOptions(out, threads=1)
    return list(train_all(Plan(names, data, epochs, quick=True), options, Progress()))


def test_finished_models_are_left_and_stopped_ones_go_on(data: Path, tmp_path: Path) -> None:
    missing = "pneumonia-type-224"
    first = train((SMALL, missing, FINER), data, tmp_path)
    assert [o.state for o in first] == ["trained", "not trained", "trained"]
    assert "no film with any of" in first[1].note
    before = (tmp_path / SMALL / f"{SMALL}.safetensors").stat().st_mtime_ns
    # A run that was stopped before its card was written.
    (tmp_path / FINER / f"{FINER}.json").unlink()
    again = train((SMALL, FINER), data, tmp_path)
    assert [o.state for o in again] == ["finished before", "resumed"]
    assert (tmp_path / SMALL / f"{SMALL}.safetensors").stat().st_mtime_ns == before
    assert again[0].card == first[0].card
    assert again[0].note == ""
    other = train((SMALL,), data, tmp_path, epochs=3)
    assert other[0].note == "kept as it is, made with epochs 1"


def cells_of(model: str, shuffle: int = 0) -> tuple[Cell, Cell]:
    return Cell(model, "80-10-10", "image", shuffle), Cell(model, "80-10-10", "patient", shuffle)


def test_every_run_of_the_table_has_a_name() -> None:
    assert len(all_cells()) == 16 * 3 * 2 * 3
    assert len({c.name for c in all_cells()}) == len(all_cells())
    picked = pick_cells(["mobilenet-0.25-*:80-10-10:patient:*", "*:60-20-20:image:2"])
    assert len(picked) == 4 * 3 + 16
    with pytest.raises(DataError, match="no run is called"):
        pick_cells(["mobilenet-0.3-*"])


def test_a_run_starts_from_fresh_weights_whatever_the_zoo_s_recipe() -> None:
    assert paper_recipe().start == ""
    assert (paper_recipe(9).epochs, paper_recipe(9).small_epochs) == (9, 6)


def test_shuffles_stay_within_the_official_train_part(data: Path) -> None:
    films = read_dataset(data)
    by_image, by_patient = (cell_data(films, cell) for cell in cells_of(SMALL))
    for one in (by_image, by_patient):
        assert len(one.films) == 90
        assert {f.official for f in one.films} == {"train"}
        assert {f.part for f in one.films} == {"train", "select", "test"}
    train_keys = set(by_patient.part("train").key_hashes())
    assert not train_keys & set(by_patient.part("test", "select").key_hashes())
    assert set(by_image.part("train").key_hashes()) & set(by_image.part("test").key_hashes())


@pytest.fixture
def films(data: Path) -> Dataset:
    return read_dataset(data)


def test_runs_are_kept_and_the_table_says_what_was_not_run(films: Dataset, tmp_path: Path) -> None:
    options, recipe = TrainOptions(tmp_path, threads=1), paper_recipe(quick=True)
    by_image, by_patient = cells_of(SMALL)
    results = [run_cell(films, c, recipe, options, Progress()) for c in (by_image, by_patient)]
    assert read_result(tmp_path, by_image) == results[0]
    assert results[0].shared_patients > 0
    assert results[1].shared_patients == 0
    assert (results[1].max_steps, results[1].epochs) == (2, 1)
    assert results[0].accuracy.n == results[0].n_test == 9
    assert not result_file(tmp_path, by_image).with_suffix("").exists()
    table = write_table(tmp_path)
    measured = [r for r in table.rows if r.shuffles]
    assert [(r.model, r.by, r.accuracy_sd) for r in measured] == [
        (SMALL, "image", None),
        (SMALL, "patient", None),
    ]
    assert in_words(measured[0]).endswith("(1 of 3)")
    text = (tmp_path / "paper-table.md").read_text()
    assert "ImageNet-initialised" in text
    assert "98.0 % +- 0.17" in text
    assert text.count("| not given per variant |") == 16
    assert not any("| |" in line for line in text.splitlines()[5:]), "no cell is left blank"
    assert text.count("not measured") == 16 * 6 - 2
    assert "2 of 288 runs were made: 2 runs of 1 epochs cut at 2 steps" in text
    assert json.loads((tmp_path / "paper-table.json").read_bytes())["runs"][0]["data"]


class Stops(Progress):
    """Stops a run after its first epoch, as Ctrl+C does; afterwards counts the epochs."""

    def __init__(self) -> None:
        self.armed, self.epochs = True, 0

    def epoch(self, figures: EpochFigures) -> None:
        self.epochs += 1
        if self.armed:
            self.armed = False
            raise KeyboardInterrupt


def test_a_stopped_cell_goes_on_and_a_finished_one_is_left(films: Dataset, tmp_path: Path) -> None:
    options, recipe = TrainOptions(tmp_path, threads=1), paper_recipe(2, quick=True)
    cell, progress = cells_of(SMALL)[1], Stops()
    with pytest.raises(KeyboardInterrupt):
        run_cell(films, cell, recipe, options, progress)
    assert read_result(tmp_path, cell) is None
    assert render(collect(tmp_path)).count("not measured") == 16 * 6
    result = run_cell(films, cell, recipe, options, progress)
    assert progress.epochs == 2, "the first epoch was not trained again"
    assert (result.epochs, read_result(tmp_path, cell)) == (2, result)


def test_runs_of_other_films_are_not_mixed_into_a_table(films: Dataset, tmp_path: Path) -> None:
    options, recipe = TrainOptions(tmp_path, threads=1), paper_recipe(quick=True)
    cells = cells_of(SMALL)
    assert cells_to_run(films, cells, recipe, tmp_path) == cells
    result = run_cell(films, cells[1], recipe, options, Progress())
    assert cells_to_run(films, cells, recipe, tmp_path) == cells[:1]
    first = next(f for f in films.films if f.official == "train")
    fewer = replace(films, films=tuple(f for f in films.films if f != first))
    with pytest.raises(DataError, match=r"shuffle-0\.json was made of .* with other films"):
        cells_to_run(fewer, cells, recipe, tmp_path)

    result_file(tmp_path, cells[1]).write_bytes(dump_bytes(replace(result, films="")))
    assert cells_to_run(fewer, cells, recipe, tmp_path) == cells[:1], "from before it was kept"


def test_mean_and_deviation_of_three_shuffles(films: Dataset, tmp_path: Path) -> None:
    options, recipe = TrainOptions(tmp_path, threads=1), paper_recipe(quick=True)
    cell = cells_of(SMALL)[1]
    result = run_cell(films, cell, recipe, options, Progress())

    for shuffle, share in enumerate((0.95, 0.96, 0.97)):
        other = replace(cell, shuffle=shuffle)
        figure = replace(result.accuracy, value=share)
        path = result_file(tmp_path, other)
        path.write_bytes(dump_bytes(replace(result, cell=other, accuracy=figure)))
    (row,) = [r for r in collect(tmp_path).rows if r.shuffles]
    assert in_words(row) == f"96.0 +- 1.0; {result.auc.value:.3f}"
    path.write_bytes(b"{")
    with pytest.raises(SchemaError, match="Remove it to run"):
        collect(tmp_path)


def test_a_shorter_run_does_not_stand_for_a_longer_one(films: Dataset, tmp_path: Path) -> None:
    options, quick = TrainOptions(tmp_path, threads=1), paper_recipe(quick=True)
    cell = cells_of(SMALL)[1]
    result = run_cell(films, cell, quick, options, Progress())
    whole = replace(result, max_steps=None, epochs=24)
    assert result.stands_for(quick)
    assert not result.stands_for(paper_recipe(2, quick=True))
    assert not result.stands_for(paper_recipe(1))
    assert not whole.stands_for(paper_recipe(25))
    for recipe in (quick, paper_recipe(50, quick=True), paper_recipe(9), paper_recipe()):
        assert whole.stands_for(recipe), "a long run is not lost to a short one"

    for shuffle, one in enumerate((result, whole, replace(whole, epochs=9))):
        figure = replace(one.accuracy, value=0.1 * (shuffle + 1))
        other = replace(one, cell=replace(cell, shuffle=shuffle), accuracy=figure)
        result_file(tmp_path, other.cell).write_bytes(dump_bytes(other))
    table = collect(tmp_path)
    (row,) = [r for r in table.rows if r.shuffles]
    assert in_words(row).startswith("20.0; "), "of the longest run alone"
    assert in_words(row).endswith(" (1 of 3)")
    assert "A mean is of the longest runs of its row alone." in render(table)


def test_a_cell_without_both_labels_to_test_is_not_trained(films: Dataset, tmp_path: Path) -> None:
    cell = cells_of(SMALL)[1]
    tests = {f.path for f in cell_data(films, cell).part("test").films}
    one = tuple(replace(f, label="NORMAL") if f.path in tests else f for f in films.films)
    with pytest.raises(DataError, match="part 'test': none of"):
        run_cell(
            replace(films, films=one),
            cell,
            paper_recipe(quick=True),
            TrainOptions(tmp_path),
            Progress(),
        )
    assert not list(tmp_path.iterdir())


def test_an_empty_table_is_all_not_measured(tmp_path: Path) -> None:
    text = render(collect(tmp_path))
    assert text.count("not measured") == 16 * 6
    assert "No run has been made yet." in text


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--all", "mobilenet-*", "--fold", "1/3"), "--fold with --all"),
        (("--all", "mobilenet-*", "--loss", "focal"), "--loss with --all"),
        (("--all", "mobilenet-*", "--cells", "*"), "--cells with --all"),
        ((SMALL, "--forms", "plain"), "--forms with NAME"),
        ((SMALL, "--cells", "*"), "--cells with NAME"),
        (("--paper-table", "p", "--out", "runs"), "--out with --paper-table"),
        (("--paper-table", "p", "--fold", "1/3"), "--fold with --paper-table"),
        (("--paper-table", "p", "--forms", "plain"), "--forms with --paper-table"),
        ((SMALL, "--loss", "focal"), "is for models of findings"),
        (("segunet-256", "--loss", "bce"), "'segunet-256' is one of segmentation"),
        (("densenet121-224", "--loss", "dice"), "expected bce or focal"),
    ],
)
def test_an_option_of_another_way_to_train_is_refused(
    words: tuple[str, ...], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("train", *words, "--data", tmp_path) == 2
    said = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert told in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", [(SMALL,), ("--all", SMALL), ("--paper-table", "p")])
def test_without_data_nothing_is_trained(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("train", *words) == 2
    assert "--data is missing" in capsys.readouterr().err


def test_a_bare_name_of_a_data_folder_is_looked_for_in_the_data_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CLINICEDGE_DATA", str(tmp_path))
    (tmp_path / "films").mkdir()
    assert command("train", SMALL, "--data", "films", "--out", tmp_path / "runs") == 2
    assert str(tmp_path / "films" / "manifest.csv") in capsys.readouterr().err
    assert command("train", SMALL, "--data", "others", "--out", tmp_path / "runs") == 2
    assert "others/manifest.csv" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "words", [(SMALL, "--data", "d"), ("--paper-table", "p", "--cells", "none")]
)
def test_without_torch_the_extra_is_named(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert command("train", *words) == 2
    assert "pip install 'clinicedge[train]'" in capsys.readouterr().err


def test_the_table_of_what_was_run_needs_no_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("train", "--paper-table", tmp_path, "--cells", "none")
    assert command(*words) == 0
    assert capsys.readouterr().out.count("not measured") == 16 * 6
    page = (tmp_path / "paper-table.md").read_text(encoding="utf-8")
    assert "ImageNet-initialised (published overall: 98.0 % +- 0.17)" in page
    assert command(*words, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["page"] == str(tmp_path / "paper-table.md")
    assert len(told["table"]["rows"]) == 16 * 3 * 2
    assert told["table"]["runs"] == []
    assert command(*words, "--cells", "*:60-20-20:image:2") == 2
    assert "or none, alone" in capsys.readouterr().err


def test_the_page_in_docs_says_what_its_figures_say() -> None:
    page = Path(__file__).parents[3] / "docs" / "measured" / "paper-table.md"
    figures = json.loads(page.with_suffix(".json").read_bytes())
    table = from_json(PaperTable, figures, "paper-table.json")
    assert page.read_text(encoding="utf-8") == render(table)
    assert len(table.runs) == sum(row.shuffles for row in table.rows)


def test_data_without_official_train_films_is_refused(films: Dataset) -> None:
    tests = replace(films, films=tuple(f for f in films.films if f.official == "test"))
    with pytest.raises(DataError, match="official train part"):
        cell_data(tests, cells_of(SMALL)[0])


def command(*words: object) -> int:
    try:
        main([str(w) for w in words])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_both_through_the_command_line(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ("--data", data, "--quick", "--threads", 1)
    runs = ("--forms", "plain", "--out", tmp_path / "runs", "--epochs", 1)
    words = ("train", "--all", SMALL, *runs, *common)
    assert command(*words) == 0
    assert "trained" in capsys.readouterr().out
    assert command(*words, "--json") == 0
    (model,) = json.loads(capsys.readouterr().out)["models"]
    assert (model["name"], model["state"]) == (SMALL, "finished before")
    assert Path(model["card"]).is_file()
    assert model["figures"]["measured"][0]["figures"]["accuracy"]["n"] > 0
    paper = ("--paper-table", tmp_path / "paper", "--cells", f"{SMALL}:80-10-10:image:0")
    assert command("train", *paper, *common) == 0
    assert "(1 of 3)" in capsys.readouterr().out
    (kept,) = (tmp_path / "paper" / "runs").rglob("*.json")
    made = kept.stat().st_mtime_ns
    assert command("train", *paper, *common) == 0
    told = capsys.readouterr().out
    assert "(1 of 3)" in told
    assert "ImageNet-initialised (published overall" in told
    assert kept.stat().st_mtime_ns == made, "a finished run is left"
    assert command("train", *paper, *common, "--epochs", 2) == 0
    assert json.loads(kept.read_bytes())["epochs"] == 2, "a shorter one is made anew"
    made = kept.stat().st_mtime_ns
    assert command("train", *paper, *common) == 0
    assert kept.stat().st_mtime_ns == made, "a longer one is left"
    capsys.readouterr()
    assert command("train", *common) == 2
    assert "nothing to train" in capsys.readouterr().err
    assert command("train", SMALL, "--all", "x", *common) == 2
