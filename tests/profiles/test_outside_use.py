"""What is said beside figures on patients that a model is not made for."""

from collections.abc import Callable
from pathlib import Path

from clinicedge.profiles.datasets import read_dataset
from clinicedge.profiles.evaluate import evaluate
from clinicedge.profiles.evaluation import Question
from clinicedge.profiles.outside_use import cautions
from clinicedge.runtime.bundle import Bundle

Folder = Callable[[str], Path]


def with_ages(folder: Path, ages: list[str], findings: bool = False) -> Path:
    """The same films with a column age, and perhaps one more that shows something else."""
    lines = (folder / "manifest.csv").read_text().splitlines()
    extra = ",findings" if findings else ""
    told = [f"{lines[0]},age{extra}"]
    told += [f"{line},{ages[n % len(ages)]}{extra and ','}" for n, line in enumerate(lines[1:])]
    if findings:
        told.append("00.png,,other,train,40,Edema")
    (folder / "manifest.csv").write_text("\n".join(told) + "\n")
    return folder


def said(bundle: Bundle, folder: Path) -> tuple[str, ...]:
    data = read_dataset(folder)
    return cautions(bundle.manifest, data, data.films)


def test_children_of_the_intended_age_need_no_caution(bundle: Bundle, phantom_data: Folder) -> None:
    assert said(bundle, phantom_data("unknown")) == ()
    assert said(bundle, with_ages(phantom_data("children"), ["1", "5", "5.9", "018M", ""])) == ()


def test_adults_and_infants_are_counted(bundle: Bundle, phantom_data: Folder) -> None:
    (told,) = said(bundle, with_ages(phantom_data("mixed"), ["058Y", "6", "003M", "3"]))
    assert "12 of 16 films are of patients of 0 to 58 years" in told
    assert "(1 to 5 years)" in told


def test_an_evaluation_says_so(bundle: Bundle, phantom_data: Folder) -> None:
    folder = with_ages(phantom_data("adults"), ["44"], findings=True)
    question = Question(artifacts=("onnx/int8-guarded",))
    report = evaluate(bundle, folder, question, lambda _done, _total, _what: None)
    assert report.n_films == 16
    ages, left_out = report.notes[:2]
    assert "16 of 16 films are of patients of 44 to 44 years" in ages
    assert left_out.startswith("1 films of adults have findings, but none of the labels")
