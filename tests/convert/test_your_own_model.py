"""The guide 'your own model': its files are written and its commands run, as they stand."""

import re
import shlex
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from clinicedge.cli import main
from clinicedge.runtime import load
from clinicedge.runtime.phantom import Phantom, draw

from .user_files import write_data

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "your-own-model.md"
PATIENTS = {"train": 8, "select": 8, "guard": 8, "test": 8}
# One format and precision: what the guide says is the same for all, and the suite has no hours.
QUICK = ("--formats", "onnx", "--precisions", "fp32")
WITH_TFLITE = ("--formats", "onnx,tflite", "--precisions", "fp32")


def _section(title: str) -> str:
    text = GUIDE.read_text(encoding="utf-8")
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"the guide has no section {title!r}"
    return found[1]


def _blocks(text: str, kind: str) -> Iterator[str]:
    yield from re.findall(rf"^```{kind}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def _write_files(text: str) -> None:
    """Blocks whose first line names a file."""
    for kind in ("toml", "python"):
        for block in _blocks(text, kind):
            name = block.splitlines()[0].removeprefix("# ")
            Path(name).write_text(block, encoding="utf-8")


def _run(title: str, extra: tuple[str, ...] = QUICK) -> None:
    lines = [line for block in _blocks(_section(title), "sh") for line in block.splitlines()]
    assert lines
    for line in lines:
        program, *words = shlex.split(line)
        assert program == "clinicedge"
        with pytest.raises(SystemExit) as end:
            main([*words, *(extra if words[0] == "convert" else ())])
        allowed = (None, 0, 1) if "--keep-going" in words else (None, 0)
        assert end.value.code in allowed, line


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the guide's reader has: films, the files of the guide."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CLINICEDGE_DATA", raising=False)
    write_data(tmp_path / "films", PATIENTS, ("label",), _label)
    _write_files(GUIDE.read_text(encoding="utf-8"))
    return tmp_path


def _label(folder: Path, i: int, pixels: NDArray[np.uint8]) -> dict[str, str]:
    return {"label": "PNEUMONIA" if i % 2 else "NORMAL"}


def _save_network(path: Path) -> None:
    import torch

    from clinicedge.convert.user_network import PythonFile

    torch.manual_seed(0)
    network = PythonFile(Path("my_net.py").resolve(), "build").build()
    torch.save({"state_dict": {f"module.{k}": v for k, v in network.state_dict().items()}}, path)


def test_a_torch_network_and_its_onnx_file(desk: Path) -> None:
    _save_network(desk / "my.pth")
    _run("A torch network")
    bundle = load(desk / "bundles" / "my-classifier")
    assert bundle.manifest.intended_use.age_years == (1.0, 5.0)
    film = draw(Phantom(seed=1))
    assert bundle.predictor(threads=1).explain(film).method == "eigen-cam"
    file = bundle.manifest.artifacts[0].graphs[0].files[0].path
    (desk / "theirs.onnx").write_bytes(_one_output((bundle.folder / file).read_bytes()))
    _run("An ONNX file", WITH_TFLITE)
    assert [a.id for a in load(bundle.folder).manifest.artifacts] == ["onnx/fp32"]


def _one_output(data: bytes) -> bytes:
    import onnx

    model = onnx.load_from_string(data)
    del model.graph.output[1:]
    found: bytes = model.SerializeToString()
    return found


def test_a_keras_file(desk: Path) -> None:
    from clinicedge.models.keras_backend import keras_on_torch

    keras = keras_on_torch()
    model = keras.Sequential(
        [
            keras.layers.Input((96, 96, 1)),
            keras.layers.Conv2D(8, 5, strides=4, padding="same", activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    with warnings.catch_warnings():
        # Keras asks torch for an array in a way that numpy is giving up.
        warnings.simplefilter("ignore", DeprecationWarning)
        model.save(desk / "theirs.keras")
    _run("A Keras file")
    manifest = load(desk / "bundles" / "my-classifier").manifest
    assert manifest.outputs[0].shape == (2,)
    assert manifest.artifacts[0].parity.max_abs_difference <= 1e-4


@pytest.mark.slow
def test_a_checkpoint_and_what_is_put_together(desk: Path) -> None:
    import torch

    from clinicedge.models import zoo

    network = zoo.build("densenet121-224")
    torch.save(network.state_dict(), desk / "five.pth")
    _run("A checkpoint of a network that the zoo has")
    _run("Put together")
    bundle = load(desk / "bundles" / "my-cascade")
    assert [path for path, _ in bundle.models()] == [
        "first/lungs",
        "first/classifier",
        "second/lungs",
        "second/classifier",
    ]
