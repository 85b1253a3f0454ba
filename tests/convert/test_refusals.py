"""What is refused is refused before the long work, and nothing is left half-written."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from clinicedge.convert import Conversion, ConvertOptions, Source, convert, convert_model
from clinicedge.convert.cache import WorkCache
from clinicedge.convert.gathering import Wanted, draw_calibration, gather
from clinicedge.convert.isolated import call
from clinicedge.convert.parity import refuse_disparity
from clinicedge.convert.recipes import Export
from clinicedge.profiles.datasets import DataFilm, read_dataset
from clinicedge.runtime.errors import (
    ConversionError,
    DataError,
    OutputError,
    OverlapError,
    ParityError,
    UnknownModelError,
    WeightsMissingError,
)
from clinicedge.runtime.figures import Parity
from clinicedge.runtime.manifest import DataHygiene


def test_unknown_wishes(tmp_path: Path) -> None:
    wish = ConvertOptions(tmp_path)
    with pytest.raises(ConversionError, match="coreml"):
        convert("mobilenet-0.25-128", replace(wish, formats=("onnx", "coreml")))
    with pytest.raises(ConversionError, match="precision none"):
        convert("mobilenet-0.25-128", replace(wish, precisions=()))


def test_unknown_model(tmp_path: Path) -> None:
    with pytest.raises(UnknownModelError, match="no model 'mobilenet-9'"):
        convert("mobilenet-9", ConvertOptions(tmp_path))


def test_missing_weights(tmp_path: Path) -> None:
    """The five-finding model takes the user's checkpoint: none is ever in the clone."""
    with pytest.raises(WeightsMissingError, match="densenet121-224"):
        convert("densenet121-224", ConvertOptions(tmp_path), (tmp_path,))


def test_an_output_that_cannot_be_written(tmp_path: Path, source: Source) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    seen: list[str] = []
    with pytest.raises(OutputError, match="--out"):
        convert_model(
            source, ConvertOptions(tmp_path / "file" / "out"), lambda what, *_: seen.append(what)
        )
    assert not seen


def test_too_few_equal_decisions_write_nothing(
    converted: Conversion, source: Source, options: ConvertOptions
) -> None:
    """Every step is reused from the conversion before, the last check alone fails."""
    before = (converted.folder / "bundle.json").read_bytes()
    with pytest.raises(ParityError, match="agreement"):
        convert_model(source, replace(options, min_agreement=1.01))
    assert (converted.folder / "bundle.json").read_bytes() == before
    others = {p.name for p in options.out.iterdir()}
    assert others == {".cache", converted.folder.name}


def test_fp32_beyond_the_tolerance_says_both_numbers() -> None:
    far = Parity("films", 10, 0.0123, 0.01, 1.0, None, 1.0, 0)
    with pytest.raises(ParityError, match=r"0\.0123 .* tolerance 0\.001"):
        refuse_disparity("onnx/fp32", "fp32", far, 0.9)
    refuse_disparity("onnx/fp16", "fp16", far, 0.9)
    broken = replace(far, max_abs_difference=float("nan"))
    with pytest.raises(ParityError, match="nan"):
        refuse_disparity("onnx/fp32", "fp32", broken, 0.9)
    with pytest.raises(ParityError, match="not finite"):
        refuse_disparity("tflite/fp16", "fp16", broken, 0.9)


def test_a_part_without_one_of_the_labels(
    phantom_folder: Path, source: Source, tmp_path: Path
) -> None:
    lines = (phantom_folder / "manifest.csv").read_text(encoding="utf-8").splitlines()
    kept = [lines[0], *(line for line in lines[1:] if "NORMAL" not in line)]
    for line in kept[1:]:
        (tmp_path / line.split(",")[0]).write_bytes(b"")
    (tmp_path / "manifest.csv").write_text("\n".join(kept), encoding="utf-8")
    with pytest.raises(DataError, match="expected films of"):
        gather(source.spec, Wanted(tmp_path, 8, None))


def test_films_that_trained_the_weights_do_not_judge_the_artifacts(
    phantom_folder: Path, source: Source
) -> None:
    """Weights of another split: its training patients are in this one's guard part."""
    guard = read_dataset(phantom_folder).part("guard").hygiene()[0]
    trained = DataHygiene("elsewhere", "another split", (replace(guard, part="train"),))
    with pytest.raises(OverlapError, match=r"for 'guard' and those that trained the weights"):
        gather(source.spec, Wanted(phantom_folder, 8, trained))


def test_without_data_the_bundle_still_knows_its_training_patients(source: Source) -> None:
    assert source.hygiene is not None
    films = gather(source.spec, Wanted(None, 4, source.hygiene))
    assert films.hygiene == (source.hygiene,)
    assert not films.labelled
    train = next(p for p in source.hygiene.parts if p.part == "train")
    assert len(train.patient_keys.split()) == train.n_patients == 1972


def test_calibration_is_balanced_and_takes_patients_in_turn() -> None:
    films = [
        DataFilm(
            Path(f"{label}-{n}.png"), label, str(n // 3), f"x/train/{n // 3}", "train", "train"
        )
        for label, count in (("NORMAL", 12), ("PNEUMONIA", 60))
        for n in range(count)
    ]
    drawn = draw_calibration(films, 16)
    assert [f.label for f in drawn].count("NORMAL") == 8
    ill = [f.patient_key for f in drawn if f.label == "PNEUMONIA"]
    assert len(set(ill)) == len(ill) == 8
    well = [f.patient_key for f in drawn if f.label == "NORMAL"]
    assert {well.count(key) for key in set(well)} == {2}
    assert draw_calibration(films[::-1], 16) == drawn


def test_a_damaged_piece_of_the_cache_is_made_again(tmp_path: Path) -> None:
    made = Export((("a.bin", b"abc"),), ())
    WorkCache(tmp_path, force=False).export("step", "0" * 64, lambda: made)
    (stored,) = tmp_path.rglob("a.bin")
    stored.write_bytes(b"abd")
    cache = WorkCache(tmp_path, force=False)
    assert cache.export("step", "0" * 64, lambda: made) == made
    assert (cache.made, cache.reused) == (["step"], [])
    again = WorkCache(tmp_path, force=False)
    assert again.export("step", "0" * 64, lambda: made) == made
    assert again.reused == ["step"]


def test_a_child_that_dies_says_what_it_printed() -> None:
    with pytest.raises(ConversionError, match=r"(?s)code 3.*printed nothing"):
        call(sys.exit, 3)
    with pytest.raises(ConversionError, match="ZeroDivisionError"):
        call(divmod, 1, 0)
    assert call(divmod, 7, 2) == (3, 1)
