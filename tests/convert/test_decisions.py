"""What the judges say of an artifact against FP32, on networks whose answers one can work out."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tiny_bundles as tiny
from onnx import numpy_helper

from clinicedge.convert import label_judge, mask_judge
from clinicedge.convert.films import ConversionFilms, FilmSet
from clinicedge.convert.judging import judge_for
from clinicedge.convert.parity import Comparison
from clinicedge.convert.recipes import Export
from clinicedge.convert.running import Runnable
from clinicedge.convert.source import OnnxFile, Source
from clinicedge.profiles.calibration import fit_temperature
from clinicedge.profiles.metrics import pick_agreeing, pick_threshold
from clinicedge.runtime import Bundle
from clinicedge.runtime.figures import Part
from clinicedge.runtime.recorded_values import logit
from clinicedge.runtime.spec import ModelSpec, WeightsSource

N = 40


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting a child takes longer than these networks."""

    def here(function: Callable[..., Any], *args: Any) -> Any:
        return function(*args)

    monkeypatch.setattr(label_judge, "call", here)
    monkeypatch.setattr(mask_judge, "call", here)


PARTS: tuple[Part, ...] = ("train", "select", "guard")


def spec_of(bundle: Bundle) -> ModelSpec:
    m = bundle.manifest
    assert m.input is not None
    weights = WeightsSource("none", "Apache-2.0", "")
    return ModelSpec(
        m.name, m.version, m.task, m.licence, m.intended_use, m.input, m.outputs, None, weights
    )


def runnable_of(bundle: Bundle, artifact: str = "onnx/fp32") -> Runnable:
    graph = bundle.manifest.artifacts[0].graphs[0]
    data = (bundle.folder / graph.files[0].path).read_bytes()
    if artifact != "onnx/fp32":
        graph = replace(graph, precision="fp16")
    return Runnable(artifact, "onnx", "f32", graph, Export((("main.onnx", data),), graph.binding))


def source_of(bundle: Bundle) -> Source:
    data = (bundle.folder / "artifacts/onnx/fp32/main.onnx").read_bytes()
    return Source(spec_of(bundle), OnnxFile(data), "tiny.onnx", "0" * 64, "", "")


def films(spec: ModelSpec, part: Part, truth: np.ndarray | None) -> FilmSet:
    """Plain films from black to white, a patient each; `truth` (N,), (N, K) or masks."""
    levels = np.linspace(0, 255, N).round().astype(np.uint8)
    flat = np.repeat(levels, spec.input.height * spec.input.width)
    pixels = flat.reshape(N, spec.input.height, spec.input.width)
    return FilmSet("plain", part, pixels, truth, tuple(f"p{i}" for i in range(N)), spec.input)


def both(spec: ModelSpec, truth: np.ndarray | None) -> ConversionFilms:
    train, select, guard = (films(spec, part, truth) for part in PARTS)
    return ConversionFilms(train, select, guard, ())


def noisy(at: int) -> np.ndarray:
    """True from film `at` on, but for two films beside it, so that no threshold is right."""
    truth = np.arange(N) >= at
    truth[[at - 3, at + 3]] = truth[[at + 3, at - 3]]
    return truth


@pytest.fixture
def tiny_pair(tmp_path: Path) -> tuple[Bundle, Bundle]:
    """FP32, and what another rounding made of it: steeper and shifted."""
    fp32 = tiny.binary(tmp_path / "a")
    other = tiny.binary(tmp_path / "b", net=tiny.Scores(slopes=(-2, 2), offsets=(0.0, 0.5)))
    return fp32, other


def compared(pair: tuple[Bundle, Bundle], truth: np.ndarray | None, **more: bool) -> Comparison:
    fp32, other = pair
    spec = spec_of(fp32)
    judge = judge_for(source_of(fp32), both(spec, truth), fp32.folder, **more)
    return judge.compare(runnable_of(other, "onnx/fp16"), runnable_of(fp32))


def test_thresholds_are_bound_and_decisions_kept(tiny_pair: tuple[Bundle, Bundle]) -> None:
    found = compared(tiny_pair, noisy(20))
    sha256 = tiny_pair[1].manifest.artifacts[0].sha256
    assert [t.artifact_sha256 for t in found.thresholds] == [sha256]
    # Another scale, but a threshold of its own: the same films are positive.
    (flips,) = found.flips
    assert (flips.label, flips.to_positive, flips.to_negative, flips.p) == ("", 0, 0, 1.0)
    assert {loss.figure: loss.value for loss in found.losses} == {
        "sensitivity": 0.0,
        "specificity": 0.0,
        "auc": pytest.approx(0.0, abs=1e-9),
    }
    assert found.losses[0].allowed == 2 / 20
    (score,) = found.reliability
    assert score.unscaled is None
    assert sum(b.n_films for b in score.bins) == N


def folded(pair: tuple[Bundle, Bundle]) -> tuple[Bundle, Bundle]:
    """The other one takes dark films for bright ones too: log odds 0.5 + 3 b, 0.5 - 0.9 b."""
    import onnx
    from onnx import numpy_helper

    path = pair[1].folder / "artifacts/onnx/fp32/main.onnx"
    model = onnx.load(path)
    head = next(w for w in model.graph.initializer if w.name == "w")
    head.CopyFrom(numpy_helper.from_array(np.array([[0, 0], [3, 0.9]], np.float32), "w"))
    onnx.save(model, path)
    return pair


def test_an_artifact_follows_the_trained_network_not_its_own_optimum(
    tiny_pair: tuple[Bundle, Bundle],
) -> None:
    b = np.linspace(0, 255, N).round() / 127.5 - 1
    # The darkest films are true: the trained network misses them, the artifact need not.
    truth = (np.arange(N) >= 20) | (np.arange(N) < 6)
    margins = 6 * b, 0.5 + np.where(b > 0, 3 * b, -0.9 * b)
    trained, own = (1 / (1 + np.exp(-m)) for m in margins)
    asked, rule = pick_threshold(trained, truth)
    optimum, followed = pick_threshold(own, truth)[0], pick_agreeing(own, trained >= asked)
    assert np.sum((own >= optimum) != (own >= followed)) >= 6
    (threshold,) = compared(folded(tiny_pair), truth).thresholds
    assert threshold.value == pytest.approx(followed, abs=1e-6)
    assert threshold.rule.endswith(f"the trained network at its own, {asked:.4f}: {rule}")


def test_fp32_itself_is_compared_with_nothing(tiny_pair: tuple[Bundle, Bundle]) -> None:
    fp32 = tiny_pair[0]
    judge = judge_for(source_of(fp32), both(spec_of(fp32), noisy(20)), fp32.folder)
    found = judge.compare(runnable_of(fp32))
    assert (found.flips, found.losses) == ((), ())
    assert found.reliability


def test_a_network_that_fell_to_chance_shows_its_loss(tmp_path: Path) -> None:
    pair = tiny.binary(tmp_path / "a"), tiny.binary(tmp_path / "b", net=tiny.Scores(slopes=(3, -3)))
    found = compared(pair, noisy(20))
    lost = {loss.figure: loss for loss in found.losses}
    assert lost["auc"].value > 0.9
    assert lost["auc"].low > lost["auc"].allowed
    (flips,) = found.flips
    assert flips.spoilt is not None
    assert flips.mended is not None
    assert flips.spoilt > flips.mended
    assert flips.p is not None
    assert flips.p < 0.01


def test_a_temperature_is_fitted_per_artifact_before_its_threshold(
    tiny_pair: tuple[Bundle, Bundle],
) -> None:
    truth = noisy(20)
    plain, scaled = compared(tiny_pair, truth), compared(tiny_pair, truth, temperature=True)
    (fitted,) = scaled.temperatures
    assert plain.temperatures == ()
    brightness = np.linspace(0, 255, N).round() / 127.5 - 1
    assert fitted.value == pytest.approx(fit_temperature(4 * brightness + 0.5, truth), rel=1e-3)
    assert (fitted.artifact, fitted.label) == ("onnx/fp16", "PNEUMONIA")
    before, after = (logit(c.thresholds[0].value) for c in (plain, scaled))
    assert after == pytest.approx(before / fitted.value, abs=0.1 / fitted.value)
    (score,) = scaled.reliability
    assert score.unscaled == plain.reliability[0].ece
    assert score.ece.value <= score.unscaled.value
    assert scaled.flips == plain.flips
    assert scaled.accuracy[0].sensitivity == plain.accuracy[0].sensitivity


def test_without_labels_the_share_decided_otherwise_is_the_loss(
    tiny_pair: tuple[Bundle, Bundle],
) -> None:
    found = compared(tiny_pair, None, temperature=True)
    (loss,) = found.losses
    (flips,) = found.flips
    assert (loss.figure, loss.allowed) == ("agreement", 2 / N)
    # Neither threshold is set on data; the other network crosses 0.5 earlier.
    assert flips.to_positive == round(loss.value * N) > 0
    assert (flips.mended, flips.spoilt, flips.p) == (None, None, None)
    assert (found.temperatures, found.reliability) == ((), ())


def test_findings_have_an_entry_each(tmp_path: Path) -> None:
    fp32 = tiny.findings(tmp_path / "a")
    net = tiny.Scores(("BACTERIAL", "VIRAL"), (3.0, -5.0), (0.2, 0.0), (0.5, 0.5))
    other = tiny.findings(tmp_path / "b", net=net)
    truth = np.stack([noisy(20), np.zeros(N, bool)], axis=1)
    found = compared((fp32, other), truth, temperature=True)
    assert [f.label for f in found.flips] == ["BACTERIAL", "VIRAL"]
    assert [(loss.figure, loss.label) for loss in found.losses] == [
        ("sensitivity", "BACTERIAL"),
        ("specificity", "BACTERIAL"),
        ("auc", "BACTERIAL"),
        ("agreement", "VIRAL"),
    ]
    assert [t.label for t in found.temperatures] == ["BACTERIAL"]
    assert [r.label for r in found.reliability] == ["BACTERIAL"]


def test_masks_lose_dice_or_agreement(tmp_path: Path) -> None:
    fp32 = tiny.masks(tmp_path / "a")
    spec = spec_of(fp32)
    truth = np.where(films(spec, "guard", None).pixels > 140, 255, 0).astype(np.uint8)
    same = compared((fp32, fp32), truth)
    (loss,) = same.losses
    assert (loss.figure, loss.value, loss.allowed) == ("dice", 0.0, 0.005)
    (loss,) = compared((fp32, fp32), None).losses
    assert (loss.figure, loss.value) == ("agreement", 0.0)
    assert same.thresholds[0].artifact_sha256 == fp32.manifest.artifacts[0].sha256
    assert found_or_not(same) == (0, 0, 0, 0, 1.0)


def found_or_not(found: Comparison) -> tuple[int | float | None, ...]:
    (flips,) = found.flips
    assert (flips.label, flips.n_films) == ("", N)
    return flips.to_positive, flips.to_negative, flips.mended, flips.spoilt, flips.p


def test_a_mask_where_nothing_was_drawn_is_a_decision(tmp_path: Path) -> None:
    """The other draws what is dark instead of what is bright."""
    fp32, other = tiny.masks(tmp_path / "a"), tiny.masks(tmp_path / "b")
    file = other.folder / "artifacts/onnx/fp32/main.onnx"
    model = onnx.load(file)
    (gain,) = model.graph.initializer
    gain.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(gain), gain.name))
    onnx.save(model, file)
    bright = films(spec_of(fp32), "guard", None).pixels > 140
    found = compared((fp32, other), np.where(bright, 255, 0).astype(np.uint8))
    to_positive, to_negative, mended, spoilt, p = found_or_not(found)
    # FP32 draws the brighter half, the other all but some of the brightest.
    assert to_positive == N // 2
    assert 0 < (to_negative or 0) < N // 2
    assert (mended, spoilt) == (0, N // 2 + (to_negative or 0))
    assert (p or 0.0) < 1e-4
    assert found.losses[0].value > 0.1
    assert found_or_not(compared((fp32, other), None)) == (N // 2, N // 2, None, None, None)
