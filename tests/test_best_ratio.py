"""Each model has its own target on each processor; elsewhere none is judged."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def beside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")


AMX = ("amx_int8", "avx512_vnni", "avx2")


def test_targets_by_model_and_processor() -> None:
    from _targets import kernels_of, target_of

    found = {kernels_of(flags) for flags in (AMX, ("avx_vnni",), ("avx2",), ("asimddp",))}
    assert found == {"AMX", "VNNI", None}
    for name, amx, vnni in (
        ("segunet-512", 8, 4),
        ("resnet50-224-lung-crop", 6, 3),
        ("densenet121-224-fold-1", 2.8, 2),
        ("mobilenet-0.5-160", 3, 3),
    ):
        target = target_of(name)
        assert target is not None
        assert (target.speed("AMX"), target.speed("VNNI"), target.speed(None)) == (amx, vnni, None)
    assert target_of("lungs-128") is None
    sizes = {name: target_of(name) for name in ("segunet-512", "resnet50-224")}
    assert [t and t.mb for t in sizes.values()] == [8.5, 25]


@pytest.mark.parametrize(
    ("flags", "name", "met", "words"),
    [
        (AMX, "resnet50-224", False, "target with AMX 6x: NOT met"),
        (("avx_vnni",), "resnet50-224", True, "target with VNNI 3x: met"),
        (("avx2",), "resnet50-224", None, "no VNNI or AMX here: the targets, 6x with AMX and 3x"),
        (AMX, "lungs-128", None, "no target for lungs-128"),
    ],
)
def test_what_is_said_of_a_ratio(
    flags: tuple[str, ...], name: str, met: bool | None, words: str
) -> None:
    from _targets import kernels_of
    from best_ratio import speed_of, speed_words

    found = speed_of(name, {"f32": (40.0, "onnx/fp32"), "int8": (10.0, "x/y")}, kernels_of(flags))
    assert found["speed_ratio"] == 4.0
    assert words in speed_words(found)
    assert found["speed_met"] is met
