"""Files of users that cannot be used are refused before anything is written."""

import json
import pickle
from pathlib import Path

import pytest
import torch

from clinicedge.cli import main
from clinicedge.convert.data_choice import data_folders, fitting
from clinicedge.convert.float_tail import trailing
from clinicedge.convert.source import OnnxFile
from clinicedge.convert.user_network import PythonFile
from clinicedge.convert.user_source import UserModel, is_user_model, load_user_source
from clinicedge.models import zoo
from clinicedge.runtime.errors import (
    CheckpointError,
    ConversionError,
    DataError,
    ModelError,
)

from .user_files import write_networks, write_spec

ABC = ("A", "B", "C")


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return write_networks(tmp_path)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("missing", "no function 'missing'"),
        ("needs", "needs width"),
        ("no_network", "gave str"),
        ("breaks", r"failed: KeyError\('left'\)"),
    ],
)
def test_a_function_that_gives_no_network(function: str, words: str, net: Path) -> None:
    spec = write_spec(net.parent, "mine", "findings", ABC)
    with pytest.raises(ModelError, match=words):
        load_user_source(UserModel(f"{net}:{function}", spec=spec))


def test_a_file_that_cannot_be_imported(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("import nothing_of_that_name", encoding="utf-8")
    spec = write_spec(tmp_path, "mine", "findings", ABC)
    with pytest.raises(ModelError, match="cannot be imported"):
        load_user_source(UserModel(f"{tmp_path / 'bad.py'}:build", spec=spec))


def test_labels_and_head_of_different_length(net: Path) -> None:
    spec = write_spec(net.parent, "mine", "findings", ("A", "B"))
    with pytest.raises(CheckpointError, match=r"gives \(3,\) a film; 'mine' has 2 labels"):
        load_user_source(UserModel(f"{net}:findings", spec=spec))


def test_probabilities_where_logits_are_expected(net: Path) -> None:
    spec = write_spec(net.parent, "mine", "segmentation", ("T",))
    with pytest.raises(CheckpointError, match="expected logits"):
        load_user_source(UserModel(f"{net}:probabilities", spec=spec))


def test_one_score_for_two_labels(net: Path) -> None:
    spec = write_spec(net.parent, "mine", "classification", ("NO", "YES"))
    source, _ = load_user_source(UserModel(f"{net}:one_logit", spec=spec))
    film = torch.zeros(2, 1, 64, 64)
    with torch.inference_mode():
        logits = source.module(film)
    assert logits.shape == (2, 2)
    assert not logits[:, 0].any()
    again = pickle.loads(pickle.dumps(source.module))
    with torch.inference_mode():
        assert torch.equal(again(film), logits)


def test_weights_of_another_network(net: Path) -> None:
    torch.save({"fc.weight": torch.zeros(3, 16)}, net.parent / "w.pth")
    spec = write_spec(net.parent, "mine", "findings", ABC)
    with pytest.raises(CheckpointError, match="missing body"):
        load_user_source(UserModel(f"{net}:findings", spec=spec, weights=net.parent / "w.pth"))


class _Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("ran",))


def test_a_pickle_that_wants_to_run_code(
    tmp_path: Path, net: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "evil.pth"
    torch.save({"state_dict": _Evil()}, path)
    spec = write_spec(tmp_path, "mine", "findings", ABC)
    for asked in (
        UserModel(str(path), model="resnet50-224"),
        UserModel(f"{net}:findings", spec=spec, weights=path),
    ):
        with pytest.raises(CheckpointError, match="code"):
            load_user_source(asked)
    assert "ran" not in capsys.readouterr().out


def test_a_checkpoint_is_known_by_its_name_its_folder_or_that_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for what in ("m.pth.tar", "model.pkl", "a/best", "./best", "net.py:build", "m.h5", "M.PTH"):
        assert is_user_model(what), what
    for name in ("lungs-128", "mobilenet-0.5-160-on-lungs", "resnet50-224-lung-crop", "resnet18"):
        assert not is_user_model(name), name
    for name in ("model_best", "lungs-128"):
        (tmp_path / name).touch()
    assert is_user_model("model_best")
    assert is_user_model("./lungs-128")
    assert not is_user_model("lungs-128")


def test_a_pth_tar_is_read(tmp_path: Path, net: Path) -> None:
    """As CheXNet's checkpoint is named."""
    path = tmp_path / "m-25012018.pth.tar"
    network = zoo.build("mobilenet-0.25-128")
    torch.save({"state_dict": {f"cnn.{k}": v for k, v in network.state_dict().items()}}, path)
    source, notes = load_user_source(UserModel(str(path), model="mobilenet-0.25-128"))
    assert notes == ("the network was found behind 'cnn.'",)
    assert source.weights_file == path.name
    values = PythonFile(net, "findings").build().state_dict()
    torch.save({"best": {f"ours.{k}": v for k, v in values.items()}}, path)
    spec = write_spec(tmp_path, "mine", "findings", ABC)
    loaded, _ = load_user_source(UserModel(f"{net}:findings", spec=spec, weights=path))
    assert torch.equal(loaded.module.state_dict()["network.fc.weight"], values["fc.weight"])


def test_what_is_said_of_a_name_with_options_of_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for what, words in (
        ("lungs-128", "'lungs-128' is a name of the zoo"),
        ("resnet18", "'resnet18' is neither a file nor a name of the zoo"),
        ("none.pth.tar", "there is no file none.pth.tar"),
        (str(tmp_path / "none"), "there is no file"),
    ):
        with pytest.raises(SystemExit) as end:
            main(["convert", what, "--model", "resnet50-224", "--out", str(tmp_path / "out")])
        assert end.value.code == 2
        assert words in " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_json_prints_every_name_that_does_not_fit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "c.pth"
    torch.save({f"layer{n}.weight": torch.zeros(2, 2) for n in range(30)}, path)
    words = ["convert", str(path), "--model", "mobilenet-0.25-128", "--out", str(tmp_path / "o")]
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2
    told = capsys.readouterr()
    assert "and 22 more" in told.err
    assert "hint: --json prints every name" in told.err
    assert not told.out
    with pytest.raises(SystemExit) as end:
        main([*words, "--json"])
    assert end.value.code == 2
    found = json.loads(capsys.readouterr().out)
    assert found["unexpected"] == sorted(f"layer{n}.weight" for n in range(30))
    assert len(found["missing"]) > 100
    assert "does not fit" in found["error"]


def test_a_checkpoint_alone_says_too_little(tmp_path: Path) -> None:
    torch.save({"fc.weight": torch.zeros(3, 16)}, tmp_path / "w.pth")
    with pytest.raises(ModelError, match="--model"):
        load_user_source(UserModel(str(tmp_path / "w.pth")))
    spec = write_spec(tmp_path, "mine", "findings", ABC)
    with pytest.raises(ModelError, match="values without a network"):
        load_user_source(UserModel(str(tmp_path / "w.pth"), spec=spec))
    with pytest.raises(ModelError, match="there is no file"):
        load_user_source(UserModel(str(tmp_path / "none.onnx"), spec=spec))


def test_bytes_that_are_no_onnx(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, "mine", "findings", ABC)
    for i, data in enumerate((b"", b"not an onnx file at all", bytes(range(256)) * 40)):
        path = tmp_path / f"{i}.onnx"
        path.write_bytes(data)
        with pytest.raises(CheckpointError, match="no ONNX file"):
            load_user_source(UserModel(str(path), spec=spec))


def test_the_wrong_options_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (
        ["convert"],
        ["convert", "lungs-128", "--all"],
        ["convert", "lungs-128", "--model", "resnet50-224"],
        ["convert", "lungs-128", "--weights", str(tmp_path / "w.pth")],
        ["convert", "lungs-128", "--data", "no-such-folder"],
        ["convert", "--all", "--only", "no-such-model"],
        ["pipeline", "circle", "a", "b", "--name", "c"],
        ["pipeline", "cascade", "a", "--name", "c"],
        ["pipeline", "ensemble", "a", "--name", "c"],
        ["pipeline", "cascade", str(tmp_path / "a"), str(tmp_path / "b"), "--name", "c"],
    ):
        with pytest.raises(SystemExit) as end:
            main([*words, "--out", str(tmp_path / "out")])
        assert end.value.code == 2, words
        assert capsys.readouterr().err
    assert not any(tmp_path.rglob("bundle.json"))


def test_a_network_that_came_as_onnx_is_no_torch() -> None:
    from clinicedge.convert import Source

    source = Source(zoo.spec("lungs-128"), OnnxFile(b""), "a.onnx", "", "", "")
    with pytest.raises(ConversionError, match="came as an ONNX file"):
        _ = source.module


def test_data_folders_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("kermany224", "lungmasks", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.csv").touch()
    monkeypatch.setenv("CLINICEDGE_DATA", str(tmp_path))
    folders = data_folders((), None)
    assert [f.name for f in folders] == ["kermany224", "lungmasks", "other"]
    assert data_folders((Path("other"),), None) == (tmp_path / "other",)
    for model, expected in (
        ("lungs-128", "lungmasks"),
        ("mobilenet-0.5-160-lung-crop", "kermany224"),
        ("pneumonia-type-224", "kermany224"),
        ("segunet-256", None),
        ("densenet121-224", None),
    ):
        found = fitting(zoo.spec(model), None, folders)
        assert (found.name if found else None) == expected, model
    with pytest.raises(DataError, match="no data folder"):
        data_folders((Path("missing"),), None)
    monkeypatch.delenv("CLINICEDGE_DATA")
    assert data_folders((), None) == ()


def test_small_last_linear_layers_stay_in_float() -> None:
    assert trailing((15_000_000, 65_000, 8_000, 64), 16_000_000) == (1, 2, 3)
    assert trailing((100,), 120) == ()
    assert trailing((100, 0, 5), 10_000) == (0, 2)
    assert trailing((), 10) == ()
