"""On a Haswell, a Cortex-A72 and a Cortex-A76 under qemu: accepted, or passed over and said so."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_bundles as tiny
from saturating import INT8, saturating

from clinicedge.profiles.devices import detect
from clinicedge.runtime import Bundle, load, phantom, read_film
from clinicedge.runtime.choices import KERNEL_FLAGS
from clinicedge.runtime.choices import Processor as Told
from clinicedge.runtime.engines import engine_for
from clinicedge.runtime.predictions import CascadeResult
from clinicedge.runtime.selection import Wish, candidates
from clinicedge.runtime.trial import Outcome, Trial

from .kept import Nets
from .machines import Machine
from .mobilenets import TYPES
from .processors import A72, HASWELL

pytestmark = pytest.mark.emulated
# Without dot product OpenVINO 2026.4 opens INT8 on ARM only where the film's zero point is 128:
# where calibration films reach black and white, as real films do and few phantoms. Then the next
# engine is taken; tried with ranges set by hand, on a Cortex-A76 all of them open.
NO_KERNEL = (A72, "openvino/int8-guarded")
UNOPENED = "object is not initialized"
# Each of two INT8 logits may move by 0.065 (convert's floor), a probability then by half of that.
MOVES = 0.033


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.png"
    small = replace(phantom.sample(1), height=96, width=128)
    path.write_bytes(phantom.encode_png(phantom.draw(small)))
    return path


def trials(bundle: Bundle) -> list[Trial]:
    """Every artifact of every model in a bundle, each model once."""
    return [
        Trial(str(model.folder.resolve()), model.id, a.id, a.computes[0], engine_for(a.format))
        for model in {model.id: model for _, model in bundle.models()}.values()
        for a in model.manifest.artifacts
    ]


def served(bundle: Bundle, device: Machine) -> Trial:
    """What would be tried first there."""
    cpu = device.processor
    flags = tuple(sorted(KERNEL_FLAGS & set(cpu.flags.split())))
    told = Told("aarch64" if cpu.arm else "x86_64", "", flags, 1)
    first = candidates(bundle, Wish(order=detect(told).profile.engine_order))[0]
    folder = str(bundle.folder.resolve())
    return Trial(folder, bundle.id, first.artifact, first.compute, first.engine)


def refused(device: Machine, asked: Sequence[Trial]) -> dict[Trial, str]:
    """Try all; what did not pass, and why. Prints a line each, for -s."""
    found: dict[Trial, str] = {}
    for trial, outcome in zip(asked, device.outcomes(asked), strict=True):
        why = _why(outcome)
        worst = max((f.max_difference or 0.0 for f in outcome.films), default=0.0)
        said = why or f"passed, difference {worst:.2g}"
        name = Path(trial.folder).name
        print(f"{device.processor.name} {name} {trial.artifact} in {trial.engine}: {said}")
        if why:
            found[trial] = why
    return found


def _why(outcome: Outcome) -> str:
    if not outcome.films:
        return outcome.problem or "no films"
    return next((f.problem for f in outcome.films if f.problem), "")


def unexcused(device: Machine, asked: Sequence[Trial]) -> dict[Trial, str]:
    """Of what was calibrated on phantoms, what did not pass and should have."""
    return {
        trial: why
        for trial, why in refused(device, asked).items()
        if not ((device.processor, trial.artifact) == NO_KERNEL and why.endswith(UNOPENED))
    }


def test_every_artifact_of_the_demo(device: Machine, tiny_bundle: Path) -> None:
    assert not refused(device, trials(load(tiny_bundle)))


def test_every_artifact_of_the_second_stage_of_a_cascade(device: Machine, cascade: Bundle) -> None:
    """The first is the demo."""
    models = cascade.models()
    (types,) = {model.id: model for _, model in models if model.manifest.name == TYPES}.values()
    assert not unexcused(device, trials(types))


def test_each_mobilenet_has_float_and_guarded_int8_in_every_format(nets: Nets) -> None:
    for net, bundle in nets:
        assert {a.id for a in bundle.manifest.artifacts} == net.artifacts, net.name


def test_the_mobilenets(device: Machine, nets: Nets, everything: bool) -> None:
    if everything:
        asked = [trial for _, bundle in nets for trial in trials(bundle)]
    else:
        asked = [served(bundle, device) for _, bundle in nets]
    assert not unexcused(device, asked)


def test_the_cascade_answers_as_on_this_machine(
    device: Machine, cascade: Bundle, tmp_path: Path
) -> None:
    path = tmp_path / "film.png"
    path.write_bytes(phantom.encode_png(phantom.draw(phantom.sample(1))))
    told = prediction(device, cascade, path)
    reports = [member["report"] for member in told["members"]]
    assert [r["session"]["notes"] for r in reports] == [[]] * len(reports)
    (artifact,) = {r["artifact"] for r in reports}
    assert artifact.endswith("/int8-guarded")
    here = cascade.predictor(precision=artifact, threads=1).predict(read_film(path))
    assert isinstance(here, CascadeResult)
    assert here.second is not None
    assert told["first"]["label"] == here.first.label
    assert told["first"]["score"] == pytest.approx(here.first.score, abs=MOVES)
    assert told["second"]["main"] == here.second.main
    for there, finding in zip(told["second"]["findings"], here.second.findings, strict=True):
        assert there["label"] == finding.label
        assert there["score"] == pytest.approx(finding.score, abs=MOVES)


def prediction(device: Machine, bundle: Bundle, film: Path) -> dict[str, Any]:
    """What the device says of the film."""
    ran = device.clinicedge("predict", bundle.folder, film, "--threads", "1", "--json")
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)["films"][0]["prediction"]
    return found


def answer(device: Machine, bundle: Bundle, film: Path) -> tuple[str, list[str]]:
    """The artifact that answers on the device, and the notes of the answer."""
    report = prediction(device, bundle, film)["report"]
    return report["artifact"], report["session"]["notes"]


def test_int8_that_saturates_is_passed_over_where_it_does(
    device: Machine, film: Path, tmp_path: Path
) -> None:
    """Recorded with exact sums; on AVX2 they saturate, on ARM they do not."""
    artifact, notes = answer(device, saturating(tmp_path / "b"), film)
    if device.processor == HASWELL:
        assert artifact == "onnx/fp32"
        assert notes[0].startswith(f"passed over: {INT8} in onnxruntime")
        assert "scores differ by 0.7" in notes[0]
    else:
        assert (artifact, notes) == (INT8, [])


def test_what_no_processor_reproduces_is_passed_over(
    device: Machine, film: Path, tmp_path: Path
) -> None:
    artifact, notes = answer(device, saturating(tmp_path / "b", off=0.5), film)
    assert artifact == "onnx/fp32"
    assert len(notes) == 1
    assert notes[0].startswith(f"passed over: {INT8} in onnxruntime")


def test_an_instruction_that_the_processor_lacks(device: Machine, tmp_path: Path) -> None:
    """An engine for newer processors: its process is killed, ours is told."""
    bundle = tiny.binary(tmp_path / "b")
    (asked,) = trials(bundle)
    words = device.python.read_text(encoding="utf-8")
    newer = device.python.with_name("python-newer")
    newer.write_text(words.replace('"$@"', f'-c "{_ILLEGAL}"'), encoding="utf-8")
    newer.chmod(0o755)
    (outcome,) = replace(device, python=newer).outcomes([asked])
    assert "does not have (SIGILL)" in outcome.problem


# udf #0 on ARM, ud2 on x86, run as machine code.
_ILLEGAL = (
    "import ctypes, mmap, platform; "
    "code = bytes(4) if platform.machine() == 'aarch64' else bytes((15, 11)); "
    "page = mmap.mmap(-1, 4096, prot=7); page.write(code); "
    "ctypes.CFUNCTYPE(None)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()"
)
