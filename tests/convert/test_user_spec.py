"""The short TOML of a user's model: what it says, what it leaves to the zoo, what is refused."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clinicedge.convert.user_spec import read_spec
from clinicedge.models import zoo
from clinicedge.runtime.errors import ModelError
from clinicedge.runtime.spec import MaskRules

from .user_files import spec_text

LABELS = ("NORMAL", "PNEUMONIA")


def _write(folder: Path, text: str) -> Path:
    path = folder / "spec.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_whole_spec(tmp_path: Path) -> None:
    found = read_spec(_write(tmp_path, spec_text("mine", "classification", LABELS)), None)
    assert (found.name, found.task, found.version) == ("mine", "classification", "1.0.0")
    (output,) = found.outputs
    assert (output.labels, output.positive_label, output.activation) == (
        LABELS,
        "PNEUMONIA",
        "softmax",
    )
    assert found.input.shape == (1, 64, 64)
    assert found.input.scaling.std == (0.25,)
    assert found.intended_use.modalities == ("CR", "DX")


def test_findings_and_masks(tmp_path: Path) -> None:
    found = read_spec(_write(tmp_path, spec_text("mine", "findings", ("A", "B", "C"))), None)
    assert (found.outputs[0].activation, found.outputs[0].positive_label) == ("sigmoid", None)
    text = spec_text("mine", "segmentation", ("T",)) + "[mask]\nmax_regions = 2\n"
    found = read_spec(_write(tmp_path, text), None)
    assert found.outputs[0].shape == (1, 64, 64)
    assert found.mask == MaskRules(0.0005, 2, 0.0)


def test_a_network_of_the_zoo_says_the_rest(tmp_path: Path) -> None:
    base = zoo.spec("resnet50-224")
    text = 'name = "my-findings"\ntask = "findings"\nlabels = ["A", "B", "C"]\n'
    found = read_spec(_write(tmp_path, text), base)
    assert found.input == base.input
    assert found.intended_use == base.intended_use
    assert (found.outputs[0].labels, found.outputs[0].shape) == (("A", "B", "C"), (3,))
    assert found.outputs[1] == base.outputs[1]
    assert found.explanation == base.explanation


def test_a_promptable_segmenter_keeps_what_the_zoo_knows(tmp_path: Path) -> None:
    base = zoo.spec("medsam2-512")
    text = 'name = "mine"\nlabels = ["CYST"]\nlicence = "CC BY-SA 4.0"\n'
    found = read_spec(_write(tmp_path, text), base)
    mask, quality = found.outputs
    assert (mask.shape, mask.labels, mask.positive_label) == ((1, 128, 128), ("CYST",), "CYST")
    assert quality == base.outputs[1]
    assert (found.task, found.licence) == (base.task, "CC BY-SA 4.0")
    assert found.mask == base.mask
    assert found.detection is None
    ruled = f"{text}[mask]\nmax_regions = 1\n"
    assert read_spec(_write(tmp_path, ruled), base).mask == MaskRules(0.0, 1, 0.0)
    for wrong, words in (
        ('labels = ["A", "B"]\n', "one name"),
        (f"{text}[input]\nwidth = 256\nheight = 256\n", "3 x 512 x 512"),
        (f'{text}[input]\nregion = "lungs"\n', "where region is 'lungs'"),
        ('task = "segmentation"\n', "which is what medsam2-512 does"),
    ):
        with pytest.raises(ModelError, match=words):
            read_spec(_write(tmp_path, wrong), base)
    text = 'task = "promptable-segmentation"\n'
    with pytest.raises(ModelError, match="a promptable segmenter of the zoo, named with --model"):
        read_spec(_write(tmp_path, text), zoo.spec("lungs-128"))


WRONG = {
    "no `labels`": ('labels = ["NORMAL", "PNEUMONIA"]', ""),
    "unknown 'colour'": ("[input]", 'colour = "red"\n[input]'),
    "unknown 'hight'": ("channels = 1", "channels = 1\nhight = 3"),
    "2 of a classification": ('["NORMAL", "PNEUMONIA"]', '["A", "B", "C"]'),
    "different names": ('["NORMAL", "PNEUMONIA"]', '["A", "A"]'),
    "a list of text": ('["NORMAL", "PNEUMONIA"]', "[1, 2]"),
    "1 numbers, one a channel": ("mean = [0.5]", "mean = [0.5, 0.5]"),
    "numbers above 0": ("std = [0.25]", "std = [0.0]"),
    "32 to 2048 pixels": ("width = 64", "width = 7"),
    "a whole number": ("height = 64", "height = 64.0"),
    "1 or 3": ("channels = 1", "channels = 2"),
    "small letters": ('name = "mine"', 'name = "../Mine"'),
    "one of 'classification'": ('"classification"', '"telepathy"'),
    "named with --model": ('"classification"', '"detection"'),
    "nothing with stretch": ("channels = 1", "channels = 1\npad = 3"),
    "0 to 255 with a letterbox": ("channels = 1", 'channels = 1\nresize = "letterbox"'),
    "two numbers": ("[use]", "[use]\nage_years = [1]"),
    "one of NORMAL, PNEUMONIA": ("[input]", 'positive = "FLU"\n[input]'),
    "points in 0..100": ("points = 100", "points = 101"),
    "auc, dice and ap50 in 0..1": ("auc = 1", "auc = -0.1"),
    "Expected TOML": ("[input]", "[input"),
}


@pytest.mark.parametrize("words", WRONG)
def test_what_is_refused_names_the_place(words: str, tmp_path: Path) -> None:
    old, new = WRONG[words]
    text = spec_text("mine", "classification", LABELS).replace("'", '"').replace(old, new)
    with pytest.raises(ModelError) as refused:
        read_spec(_write(tmp_path, text), None)
    assert words in str(refused.value)
    assert "spec.toml" in str(refused.value)


def test_a_missing_spec(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot read the spec"):
        read_spec(tmp_path / "none.toml", None)


KEYS = ("name", "task", "labels", "positive", "input", "use", "mask", "budget", "version")
VALUES = ('""', "3", "-1.5", "[]", "[[1]]", "{}", "{ a = 1 }", "true", "nan")


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(key=st.sampled_from(KEYS), value=st.sampled_from(VALUES))
def test_any_other_value_is_refused_or_read(key: str, value: str, tmp_path: Path) -> None:
    """Nothing but a refusal of ours comes out."""
    text = spec_text("mine", "classification", LABELS)
    kept = [line for line in text.splitlines() if not line.startswith((f"{key} ", f"[{key}]"))]
    with suppress(ModelError):
        read_spec(_write(tmp_path, "\n".join([f"{key} = {value}", *kept])), None)
