"""What does not reproduce the recorded answers is not used, the next one is, and answers say so."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_bundles as tiny
from saturating import INT8, saturating
from strangers import ABORTS, HANGS, ILLEGAL, KILLED, LEAVES, RAISES, stranger

from clinicedge.runtime import Bundle, Film, acceptance, apart, choices, selection
from clinicedge.runtime.acceptance import Asked, check_acceptance, check_acceptances
from clinicedge.runtime.choices import KERNEL_FLAGS, Choice, Processor, write_choice
from clinicedge.runtime.engines import engines
from clinicedge.runtime.errors import AcceptanceError, IntegrityError
from clinicedge.runtime.predictions_json import prediction_json
from clinicedge.runtime.trial import Outcome, Trial

ORDER = ("stranger", "onnxruntime")


def notes_of(bundle: Bundle, film: Film, order: tuple[str, ...] | None = None) -> tuple[str, ...]:
    """Of an answer, which must come from FP32 in ONNX Runtime."""
    predictor = bundle.predictor(threads=1, order=order)
    report = predictor.predict(film).report
    assert (report.artifact, report.session.engine) == ("onnx/fp32", "onnxruntime")
    return report.session.notes


def _never(trials: Sequence[Trial]) -> tuple[Outcome, ...]:
    pytest.fail(f"{len(trials)} trials, expected what is remembered")


def test_an_artifact_that_answers_otherwise_is_passed_over(tmp_path: Path, film: Film) -> None:
    bundle = saturating(tmp_path / "b", off=0.5)
    (note,) = notes_of(bundle, film)
    assert note.startswith("passed over: onnx/int8-static in onnxruntime")
    assert "2 of 2 films failed" in note
    told = prediction_json(bundle.predictor(threads=1).predict(film))
    assert told["report"]["session"]["notes"] == [note]
    with pytest.raises(AcceptanceError, match="nothing in 'saturating' can be used here"):
        bundle.predictor(precision="int8")


def test_int8_that_saturates_on_this_processor_is_passed_over(tmp_path: Path, film: Film) -> None:
    """Its recorded answers are exact; AVX2 without VNNI gives others. See also tests/arm."""
    bundle = saturating(tmp_path / "b")
    result = check_acceptance(bundle, INT8)
    if choices.processor().family == "x86-64 AVX2":
        assert not result.passed
        assert result.films[0].max_difference == pytest.approx(0.77, abs=0.1)
        (note,) = notes_of(bundle, film)
        assert note.startswith(f"passed over: {INT8}")
    else:
        assert result.passed
        assert bundle.predictor(threads=1).predict(film).report.artifact == INT8


def processor(architecture: str, *flags: str) -> Processor:
    return Processor(architecture, "a processor", tuple(sorted(flags)), 2)


@pytest.mark.parametrize(
    ("cpu", "family"),
    [
        (processor("x86_64", "avx2"), "x86-64 AVX2"),
        (processor("x86_64", "avx2", "avx_vnni"), "x86-64 VNNI"),
        (processor("x86_64", "avx512f", "amx_int8"), "x86-64 VNNI"),
        (processor("aarch64", "asimd"), "ARMv8.0"),
        (processor("aarch64", "asimd", "asimddp"), "ARMv8.2 dot product"),
        (processor("riscv64"), ""),
    ],
)
def test_families_of_processors(cpu: Processor, family: str) -> None:
    assert set(cpu.flags) <= KERNEL_FLAGS
    assert cpu.family == family


def test_what_the_manifest_calls_unsafe_here_comes_last_and_is_told(
    tmp_path: Path, film: Film, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = saturating(tmp_path / "b", safe_on=("x86-64 VNNI",))
    vnni, avx2 = processor("x86_64", "avx512_vnni"), processor("x86_64", "avx2")
    for cpu, first in ((vnni, INT8), (avx2, "onnx/fp32")):
        monkeypatch.setattr(selection, "processor", lambda cpu=cpu: cpu)
        assert selection.candidates(bundle, selection.Wish())[0].artifact == first
    (note,) = notes_of(bundle, film)
    assert note == (
        "passed over: onnx/int8-static: its integer sums can saturate on this processor "
        "(x86-64 AVX2); the manifest says that they cannot on x86-64 VNNI"
    )


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (ILLEGAL, "used an instruction that this processor does not have (SIGILL)"),
        (ABORTS, "process was ended by SIGABRT"),
        (LEAVES, "ended with code 3"),
        (RAISES, "ended with code 1: RuntimeError: no kernel for this graph"),
    ],
)
def test_an_engine_that_ends_the_process_does_not_end_ours(
    fault: str, words: str, tmp_path: Path, film: Film
) -> None:
    # Another bundle each time, or the first fault would be remembered.
    bundle = tiny.binary(tmp_path / "b", net=tiny.Scores(slopes=(-3.0, len(fault) / 10)))
    with stranger(tmp_path, fault):
        (note,) = notes_of(bundle, film, ORDER)
        assert note.startswith("passed over: onnx/fp32 in stranger 1")
        assert words in note
        assert not check_acceptance(bundle, "onnx/fp32", engine="stranger").passed


def test_a_crash_is_remembered_and_verify_tries_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tiny.binary(tmp_path / "b", net=tiny.Scores(offsets=(0.25, 0.0)))
    with stranger(tmp_path, ILLEGAL):
        first = check_acceptance(bundle, "onnx/fp32", engine="stranger")
        with monkeypatch.context() as patch:
            patch.setattr(acceptance, "run_apart", _never)
            assert check_acceptance(bundle, "onnx/fp32", engine="stranger") == first
    with stranger(tmp_path / "mended", "return ORT.open(files, graph, options)"):
        assert not check_acceptance(bundle, "onnx/fp32", engine="stranger").passed
        assert check_acceptance(bundle, "onnx/fp32", engine="stranger", cache=False).passed
        assert check_acceptance(bundle, "onnx/fp32", engine="stranger").passed


def test_a_process_killed_from_outside_is_no_verdict_for_ever(tmp_path: Path) -> None:
    bundle = tiny.binary(tmp_path / "b", net=tiny.Scores(offsets=(0.5, 0.0)))
    with stranger(tmp_path, KILLED):
        result = check_acceptance(bundle, "onnx/fp32", engine="stranger")
        assert "ended by SIGKILL" in result.explain()
    with stranger(tmp_path / "again", "return ORT.open(files, graph, options)"):
        assert check_acceptance(bundle, "onnx/fp32", engine="stranger").passed


def test_an_engine_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "LIMIT_S", 5)
    bundle = tiny.binary(tmp_path / "b", net=tiny.Scores(offsets=(0.75, 0.0)))
    with stranger(tmp_path, HANGS):
        result = check_acceptance(bundle, "onnx/fp32", engine="stranger")
    assert "gave no answer within 5 s" in result.explain()


def test_after_a_crash_the_rest_is_still_tried(tmp_path: Path) -> None:
    fault = f"if 'b1' in str(files[0]): {ILLEGAL}\n        return ORT.open(files, graph, options)"
    nets = [tiny.Scores(offsets=(0.1 * n, 0.0)) for n in range(3)]
    bundles = [tiny.binary(tmp_path / f"b{n}", net=net) for n, net in enumerate(nets)]
    with stranger(tmp_path, fault):
        asked = [Asked(b, "onnx/fp32", "f32", "stranger") for b in bundles]
        results = check_acceptances(asked, cache=False)
    assert [r.passed for r in results] == [True, False, True]
    assert "SIGILL" in results[1].explain()


def test_a_read_only_box_tries_each_but_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/acceptance").write_bytes(b"no folder")
    monkeypatch.setenv("CLINICEDGE_STATE", str(tmp_path / "full"))
    bundle = tiny.binary(tmp_path / "b")
    first = check_acceptance(bundle, "onnx/fp32")
    assert first.passed
    monkeypatch.setattr(acceptance, "run_apart", _never)
    assert check_acceptance(bundle, "onnx/fp32") == first


def test_a_changed_film_or_file_is_refused_not_passed_over(tmp_path: Path) -> None:
    bundle = saturating(tmp_path / "b", off=0.25)
    path = bundle.folder / "acceptance/00.png"
    good = path.read_bytes()
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(IntegrityError, match="acceptance film"):
        bundle.predictor()
    path.write_bytes(good)
    file = bundle.folder / "artifacts/onnx/int8-static/main.onnx"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(IntegrityError, match="onnx/int8-static"):
        bundle.predictor()


def test_a_choice_for_what_the_bundle_does_not_have_is_not_taken(tmp_path: Path) -> None:
    bundle = tiny.binary(tmp_path / "b")
    version = engines()["onnxruntime"].version() or ""
    write_choice(bundle.id, Choice("onnx/gone", "f32", "onnxruntime", 1, version))
    assert selection.candidates(bundle, selection.Wish())[0].artifact == "onnx/fp32"


def test_a_frozen_program_runs_trials_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`sys.executable` is the program then, not a Python."""
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(apart, "_process", None)
    assert check_acceptance(tiny.binary(tmp_path / "b"), "onnx/fp32", cache=False).passed


def test_another_bundle_in_the_folder_is_noticed(
    handmade: Bundle, rewrite: Callable[..., Bundle]
) -> None:
    rewrite(handmade, version="2.0.0")
    result = check_acceptance(replace(handmade, id=handmade.id), "onnx/fp32", cache=False)
    assert "holds another bundle" in result.explain()
