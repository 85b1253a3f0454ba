"""A detector in three formats: boxes as the network gives them, and what INT8 costs it."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import tiny_boxes
import torch

from clinicedge.convert import Conversion, ConvertOptions, Source, convert_model, onnx_files
from clinicedge.convert.acceptance import Questions, answers
from clinicedge.convert.box_judge import _same
from clinicedge.convert.guard.onnx_graph import tail_nodes, with_names
from clinicedge.convert.recipes import Export, Recipe
from clinicedge.convert.running import runnable
from clinicedge.convert.user_spec import read_spec
from clinicedge.models import zoo
from clinicedge.models.training.objectives.box_loss import box_loss
from clinicedge.models.training.objectives.boxes import load_boxes
from clinicedge.models.yolo_nas.family import VARIANTS
from clinicedge.models.yolo_nas.network import YoloNas
from clinicedge.models.yolo_nas.sizes import TINY, positions
from clinicedge.profiles.box_metrics import FilmMatch
from clinicedge.profiles.boxes import read_box_dataset
from clinicedge.profiles.paired import worst_share
from clinicedge.profiles.paired_boxes import Found, box_losses
from clinicedge.profiles.splits import part_of, patient_key
from clinicedge.runtime import load
from clinicedge.runtime.acceptance import check_acceptance
from clinicedge.runtime.errors import DataError, ModelError
from clinicedge.runtime.film import Film, FilmSource
from clinicedge.runtime.guarding import Budget
from clinicedge.runtime.phantom import encode_png
from clinicedge.runtime.spec import ModelSpec

NAME = "yolo-nas-s-256"
SIDE = 64
PATIENTS = {"train": 24, "select": 12, "guard": 14}


def small_spec() -> ModelSpec:
    """The zoo's, on 64 x 64 pixels."""
    known = zoo.spec(NAME)
    places = positions(SIDE)
    outputs = tuple(replace(o, shape=(places, o.shape[1])) for o in known.outputs)
    return replace(known, input=replace(known.input, height=SIDE, width=SIDE), outputs=outputs)


@pytest.fixture(scope="module")
def rectangles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise with a bright rectangle on four of five films, as large as half the film."""
    root = tmp_path_factory.mktemp("data") / "rectangles"
    root.mkdir()
    rng, rows, wanted, number = np.random.default_rng(2), [], dict(PATIENTS), 0
    while any(wanted.values()):
        number += 1
        part = part_of(patient_key("rectangles", "train", str(number)))
        if not wanted.get(part):
            continue
        wanted[part] -= 1
        pixels, box = rng.integers(0, 70, (48, 64)).astype(np.uint8), ""
        if wanted[part] % 5:
            x, y = (int(v) for v in rng.integers(2, 20, 2))
            pixels[y : y + 24, x : x + 32] = 230
            box = f"{x} {y} {x + 32} {y + 24}"
        film = Film(pixels, None, FilmSource("png", "drawn"))
        (root / f"{number}.png").write_bytes(encode_png(film))
        rows.append((f"{number}.png", str(number), box))
    with (root / "manifest.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("file", "patient", "boxes_xyxy"), *rows])
    return root


@pytest.fixture(scope="module")
def taught(rectangles: Path) -> Source:
    """A network of hardly any channels that has seen the train films some times."""
    spec = small_spec()
    data = read_box_dataset(rectangles, ("TUMOUR",)).part("train")
    arrays = load_boxes(data, spec)
    films = torch.from_numpy(arrays.pixels).float()[:, None].expand(-1, 3, -1, -1) / 255
    targets = torch.from_numpy(arrays.targets)
    torch.manual_seed(1)
    network = YoloNas(TINY, 1)
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)
    for step in range(60):
        some = slice(8 * (step % 3), 8 * (step % 3) + 8)
        loss = box_loss(network(films[some]), targets[some])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return Source(spec, network.eval(), "tiny.safetensors", "00" * 32, "2026-01-01", "drawn films")


@pytest.fixture(scope="module")
def boxes(taught: Source, small: ConvertOptions, rectangles: Path) -> Conversion:
    budget = replace(taught.spec.budget, points=100.0, ap50=1.0)
    source = replace(taught, spec=replace(taught.spec, budget=budget))
    options = replace(small, data=rectangles, min_agreement=0.0, explain_quantization=True)
    return convert_model(source, options)


@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")
def test_the_exported_graph_gives_the_network_s_boxes() -> None:
    """Fused and decoded; the heads' last convolutions and all after them stay in float."""
    spec = small_spec()
    torch.manual_seed(1)
    network = YoloNas(TINY, 1)
    with torch.no_grad():
        for head in (network.heads.head1, network.heads.head2, network.heads.head3):
            head.cls_pred.weight.normal_(0, 0.1)
            head.reg_pred.weight.normal_(0, 0.1)
    network(torch.rand(8, 3, SIDE, SIDE))
    made = onnx_files.export(network.eval(), spec)
    film = torch.rand(1, *spec.input.shape)
    with torch.inference_mode():
        wanted = network.decoded(SIDE, SIDE)(film)
    session = ort.InferenceSession(made.files[0][1], providers=["CPUExecutionProvider"])
    found = session.run(["scores", "boxes"], {"film": film.numpy()})
    for one, other, near in zip(found, wanted, (1e-3, 0.05), strict=True):
        np.testing.assert_allclose(one, other.numpy(), rtol=0, atol=near)
    model = with_names(onnx_files.parse(made.files[0][1]))
    tail = set(tail_nodes(model, spec))
    kinds = [node.op_type for node in model.graph.node if node.name in tail]
    assert kinds.count("Conv") == 6
    assert "Softmax" in kinds
    assert not {"Relu", "MaxPool", "ConvTranspose"} & set(kinds)
    assert not any(node.op_type == "BatchNormalization" for node in model.graph.node)


def test_what_is_lost_is_paired_with_fp32() -> None:
    def of(*scores: float) -> FilmMatch:
        return FilmMatch(np.array(scores), np.ones(len(scores), bool), np.ones(len(scores)), 2)

    before = Found([of(0.9, 0.8), of(0.9, 0.8), of(0.7)], 0.5)
    now = Found([of(0.9, 0.4), of(0.9, 0.8), of(0.7)], 0.5)
    budget = Budget(points=1.0, films=0)
    recall, area = box_losses(before, now, ["a", "b", "c"], "T", budget)
    assert (recall.figure, recall.n, recall.allowed) == ("recall", 6, 0.01)
    assert recall.value == pytest.approx(1 / 6)
    assert recall.low <= recall.value <= recall.high
    assert worst_share([recall]) > 1
    assert (area.figure, area.value) == ("ap50", 0.0)
    with pytest.raises(DataError, match="expected the same"):
        box_losses(before, Found(now.films[:2], 0.5), ["a", "b", "c"], "T")


@pytest.mark.slow
def test_boxes_in_three_formats_are_the_network_s(boxes: Conversion) -> None:
    manifest = boxes.manifest
    assert manifest.detection == VARIANTS[NAME].rules
    assert [a.id for a in manifest.artifacts] == [
        f"{f}/{r}" for f in ("onnx", "tflite", "openvino") for r in ("fp32", "int8-guarded")
    ]
    for artifact in manifest.artifacts:
        (figures,) = artifact.boxes
        assert (figures.label, figures.part) == ("TUMOUR", "guard")
        assert figures.ap50.n == PATIENTS["guard"]
        if artifact.precision == "fp32":
            assert artifact.parity.max_abs_difference <= 1e-3
            assert artifact.parity.decision_agreement == 1.0
            assert figures.ap50.value > 0.5
        else:
            assert artifact.float_layers
            assert "decoding of boxes" in artifact.float_layers[0].why
            assert artifact.guard is not None
            assert {loss.figure for loss in artifact.guard.losses} == {"recall", "ap50"}
            assert artifact.parity.cosine > 0.9
    rules = {t.rule for t in manifest.thresholds}
    assert rules == {"largest F1 of boxes (IoU 0.5), middle of the widest best gap"}


@pytest.mark.slow
def test_the_layers_of_a_detector_are_explained(boxes: Conversion) -> None:
    assert [r.format for r in boxes.quantization] == ["onnx", "tflite", "openvino"]
    for report in boxes.quantization:
        assert sum(layer.share for layer in report.layers) == pytest.approx(1.0)
        known = [layer for layer in report.layers if layer.snr_db is not None]
        assert len(known) > len(report.layers) / 2
        left = [layer for layer in report.layers if layer.in_float]
        assert any("decoding of boxes" in layer.why for layer in left)
        assert 0.0 < report.float_share < 0.5
        assert not all(layer.in_float for layer in report.worst(5))
    assert (boxes.folder / "report" / "quantization.html").is_file()


@pytest.mark.slow
def test_a_detector_s_bundle_runs_and_passes_its_acceptance(
    boxes: Conversion, rectangles: Path
) -> None:
    bundle = load(boxes.folder)
    record = bundle.manifest.acceptance
    assert record is not None
    assert {e.output for f in record.films for e in f.expected} == {"scores", "boxes"}
    for artifact in bundle.manifest.artifacts:
        result = check_acceptance(bundle, artifact.id, cache=False)
        assert result.passed, result.explain()


def test_the_same_runs_answer_scores_and_boxes(tmp_path: Path) -> None:
    bundle = tiny_boxes.detector(tmp_path)
    manifest = bundle.manifest
    (artifact,) = manifest.artifacts
    film, outputs = manifest.input, manifest.outputs
    assert film is not None
    spec = replace(zoo.spec(NAME), input=film, outputs=outputs)
    files = tuple(
        (Path(f.path).name, (bundle.folder / f.path).read_bytes()) for f in artifact.graphs[0].files
    )
    ready = runnable(spec, Recipe("onnx", "fp32"), Export(files, artifact.graphs[0].binding))
    white = encode_png(tiny_boxes.spots((10, 10, 30, 30)))
    black = encode_png(tiny_boxes.spots())
    found = answers(ready, spec, Questions((white, black), 0.5, outputs), ())
    assert len({(answer.tried, answer.unopened) for answer in found}) == 1
    assert len(found[0].tried) > 2
    scores, places = found
    # Means over 49 windows, the best of them, the share above the threshold.
    assert scores.values[0][-1] > scores.values[1][-1] == 0.0
    assert len(scores.values[0]) == 49 + 2
    assert places.values[0] == places.values[1]
    assert len(places.values[0]) == 4 * 49
    assert places.values[0][:2] == (0.0, 4.0)
    # The floor, for logits down to -12.
    assert scores.tolerance == 1.5e-3


def test_two_answers_are_one_when_every_box_has_its_like() -> None:
    one = np.array([[0, 0, 10, 10], [20, 20, 30, 30]], np.float32)
    label = np.zeros(2, np.intp)
    near = (one + 1, label)
    assert _same((one, label), near)
    assert not _same((one, label), (one, label + 1))
    assert not _same((one[:1], label[:1]), (one, label))
    assert not _same((one[:0], label[:0]), near)
    assert _same((one[:0], label[:0]), (one[:0], label[:0]))


def test_a_user_s_detector_has_its_own_classes_side_and_rules(tmp_path: Path) -> None:
    path = tmp_path / "spec.toml"
    text = (
        'name = "mine"\nlabels = ["CYST", "BREAK", "OTHER"]\n[input]\nwidth = 320\nheight = 640\n'
    )
    path.write_text(f"{text}[detection]\nmax_boxes = 5\n", encoding="utf-8")
    spec = read_spec(path, zoo.spec("yolo-nas-m-640"))
    assert [o.shape for o in spec.outputs] == [(4200, 3), (4200, 4)]
    assert spec.outputs[0].labels == ("CYST", "BREAK", "OTHER")
    assert spec.detection == replace(VARIANTS["yolo-nas-m-640"].rules, max_boxes=5)
    for wrong, words in (
        (text.replace("640", "600"), "multiples of 32"),
        (f"{text}[detection]\nnms_iou = 0\n", "nms_iou above 0"),
        (text.replace('"OTHER"', '"CYST"'), "different names"),
    ):
        path.write_text(wrong, encoding="utf-8")
        with pytest.raises(ModelError, match=words):
            read_spec(path, zoo.spec("yolo-nas-m-640"))
    path.write_text('task = "detection"\n', encoding="utf-8")
    with pytest.raises(ModelError, match="named with --model"):
        read_spec(path, zoo.spec("mobilenet-0.25-128"))
