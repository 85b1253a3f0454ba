"""Artifacts of two graphs: an encoder and a decoder from one network, alone and together."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tiny_sam import SIZE, tiny_source

from clinicedge.convert import (
    Conversion,
    ConvertOptions,
    Source,
    convert_model,
    onnx_files,
    openvino_files,
    prompt_judge,
)
from clinicedge.convert import two_graphs as two
from clinicedge.convert.films import ConversionFilms, FilmSet
from clinicedge.convert.guard.onnx_graph import tail_nodes, with_names
from clinicedge.convert.isolated import call
from clinicedge.convert.prompt_films import objects_of, prompted, usual_boxes
from clinicedge.convert.prompt_running import (
    ArtifactRun,
    SourceRun,
    run_artifact,
    run_source,
)
from clinicedge.convert.recipes import Export, Recipe
from clinicedge.convert.running import Runnable, runnable
from clinicedge.models.medsam2.network import MedSam2
from clinicedge.runtime import load, phantom
from clinicedge.runtime.acceptance import check_acceptance
from clinicedge.runtime.errors import DataError, TensorError
from clinicedge.runtime.graphs import TwoGraphs

FORMATS = ("onnx", "tflite", "openvino")


@pytest.fixture(scope="module")
def source() -> Source:
    return tiny_source()


@pytest.fixture(scope="module")
def exports(source: Source) -> tuple[Export, Export]:
    encoder = two.encoder_of(source)
    return (
        call(onnx_files.export, encoder.network, encoder.spec),
        call(two.export_onnx, two.decoder_of(source)),
    )


def empty(name: str) -> Export:
    """Files without a network in them."""
    return Export(((name, name.encode()),), ())


def artifact(source: Source, recipe: Recipe, exports: tuple[Export, Export]) -> Runnable:
    encoder, decoder = exports
    made = runnable(two.encoder_of(source).spec, recipe, encoder)
    return two.with_decoder(made, decoder, two.decoder_of(source).border)


def film_set(source: Source, count: int = 3) -> FilmSet:
    draw = np.random.default_rng(0)
    side = SIZE.side
    pixels = draw.integers(0, 256, (count, side, side), np.uint8)
    boxes = np.array(usual_boxes((side, side)), np.float32)
    names = tuple(f"p{i}" for i in range(count))
    return FilmSet("x", "guard", pixels, None, names, source.spec.input, boxes=(boxes,) * count)


def test_each_graph_has_its_files_and_precision(source: Source) -> None:
    exports = (empty("main.onnx"), empty("main.onnx"))
    whole = artifact(source, Recipe("onnx", "fp32"), exports)
    small = artifact(source, Recipe("onnx", "int8-guarded"), exports)
    assert [path for path, _ in whole.files] == [
        "artifacts/onnx/fp32/encoder.onnx",
        "artifacts/onnx/fp32/decoder.onnx",
    ]
    assert [(g.name, g.precision) for g in whole.graphs] == [
        ("encoder", "fp32"),
        ("decoder", "fp32"),
    ]
    assert [g.precision for g in small.graphs] == ["int8", "fp16"]
    assert whole.sha256 != small.sha256
    given = [t.name for t in whole.graphs[1].inputs]
    assert given == [*(t.name for t in whole.graphs[0].outputs), "box"]


@pytest.mark.slow
def test_both_graphs_together_are_the_network(
    source: Source, exports: tuple[Export, Export], tmp_path: Path
) -> None:
    films = film_set(source)
    network = source.module
    assert isinstance(network, MedSam2)
    exact = run_source(network, films)
    found = run_artifact(
        artifact(source, Recipe("onnx", "fp32"), exports), source.spec, films, exact
    )
    assert exact.masks.shape == (6, 16, 16)
    assert float(exact.masks.std()) > 0.1
    assert float(np.abs(found.masks - exact.masks).max()) <= 1e-3
    assert found.encoder_difference <= 1e-4
    assert found.decoder_difference <= 1e-4
    assert found.encoder_cosine == pytest.approx(1.0, abs=1e-5)
    session = artifact(source, Recipe("onnx", "fp32"), exports).open(tmp_path)
    assert isinstance(session, TwoGraphs)
    tensor, boxes = next(films.tensors()), films.boxes[0]
    answers = session.run_boxes(tensor, boxes)
    with torch.inference_mode():
        film = torch.from_numpy(tensor).expand(2, -1, -1, -1)
        _, quality = network(film, torch.from_numpy(boxes))
    assert np.abs(answers["quality"] - quality.numpy()).max() <= 1e-4


@pytest.mark.slow
def test_weights_stored_in_16_bits_change_little(
    source: Source, exports: tuple[Export, Export]
) -> None:
    films = film_set(source, 1)
    network = source.module
    assert isinstance(network, MedSam2)
    exact = run_source(network, films)
    half = (onnx_files.to_fp16(exports[0]), onnx_files.to_fp16(exports[1]))
    assert half[1].bytes < 0.8 * exports[1].bytes
    found = run_artifact(artifact(source, Recipe("onnx", "fp16"), half), source.spec, films, exact)
    assert 0 < float(np.abs(found.masks - exact.masks).max()) < 0.1


@pytest.mark.slow
def test_attention_and_positions_stay_in_float(
    source: Source, exports: tuple[Export, Export]
) -> None:
    model = with_names(onnx_files.parse(exports[0].files[0][1]))
    kept = tail_nodes(model, two.encoder_of(source).spec)
    nodes = {node.name: node for node in model.graph.node}
    weights = {t.name for t in model.graph.initializer}
    kinds = [nodes[name].op_type for name in kept]
    blocks = sum(SIZE.blocks)
    assert kinds.count("Softmax") == blocks
    products = [n for n in kept if nodes[n].op_type == "MatMul"]
    assert len(products) >= 2 * blocks
    linear = [
        n.name
        for n in model.graph.node
        if n.op_type in ("MatMul", "Gemm") and weights & set(n.input) and n.name not in kept
    ]
    # Of each block: queries, keys and values at once, the way back, two layers of the MLP.
    assert len(linear) >= 4 * blocks
    assert not any(nodes[name].op_type == "Conv" for name in kept)


def test_what_depends_on_no_film_stays_in_float_too(source: Source) -> None:
    """In a hand-made graph: a linear layer, a product of activations, a sum of constants."""
    from onnx import TensorProto, helper, numpy_helper

    def value(name: str) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2, 2])

    nodes = [
        helper.make_node("MatMul", ["w", "w"], ["position"], "positions"),
        helper.make_node("MatMul", ["x", "w"], ["q"], "linear"),
        helper.make_node("Add", ["q", "position"], ["k"], "placed"),
        helper.make_node("MatMul", ["q", "k"], ["a"], "scores"),
        helper.make_node("Softmax", ["a"], ["s"], "softmax"),
        helper.make_node("MatMul", ["s", "q"], ["y"], "values"),
    ]
    weight = numpy_helper.from_array(np.eye(2, dtype=np.float32), "w")
    graph = helper.make_graph(nodes, "g", [value("x")], [value("y")], [weight])
    kept = tail_nodes(helper.make_model(graph), two.encoder_of(source).spec)
    assert kept == ["positions", "scores", "softmax", "values"]


def test_attention_that_openvino_made_one_operation_of_stays_in_float(source: Source) -> None:
    import openvino as ov
    from openvino import opset13

    film = opset13.parameter([1, 2, 4, 8], np.float32)
    weight = np.eye(8, dtype=np.float32)
    query, key = (opset13.matmul(film, weight, False, False) for _ in range(2))
    query.set_friendly_name("linear")
    product = opset13.matmul(query, key, False, True)
    product.set_friendly_name("product")
    softmax = opset13.softmax(product, -1)
    softmax.set_friendly_name("softmax")
    whole = opset13.scaled_dot_product_attention(query, key, film)
    whole.set_friendly_name("whole")
    model = ov.Model([softmax, whole], [film])
    kept = openvino_files.float_operations(model, two.encoder_of(source).spec)
    assert sorted(kept) == ["product", "softmax", "whole"]


def masks(count: int) -> NDArray[np.uint8]:
    found = np.zeros((count, SIZE.side, SIZE.side), np.uint8)
    found[1:, 10:30, 5:25] = 255
    found[2:, 35:60, 30:60] = 255
    return found


def test_films_are_asked_for_each_true_region(source: Source) -> None:
    base = replace(film_set(source, 3), truth=masks(3), boxes=())
    parts = {p: replace(base, part=p) for p in ("train", "select", "guard")}
    films = prompted(ConversionFilms(parts["train"], parts["select"], parts["guard"], ()))
    assert len(films.calibration) == 3
    assert len(films.guard) == 2
    assert films.guard.patients == ("p1", "p2")
    assert [len(rows) for rows in films.guard.boxes] == [1, 2]
    # The larger region first.
    assert films.guard.boxes[1].tolist() == [[30, 35, 60, 60], [5, 10, 25, 30]]
    assert [len(found) for found in objects_of(films.guard)] == [1, 2]
    assert films.guard.sha256 != replace(films.guard, boxes=()).sha256
    none = replace(parts["guard"], truth=np.zeros_like(masks(3)))
    with pytest.raises(DataError, match="no film with a mask"):
        prompted(ConversionFilms(parts["train"], parts["select"], none, ()))


def test_a_box_in_which_nothing_is_drawn_any_more_is_a_decision_spoilt(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = replace(film_set(source, 3), truth=masks(3), boxes=())
    parts = [replace(base, part=p) for p in ("train", "select", "guard")]
    films = prompted(ConversionFilms(parts[0], parts[1], parts[2], ()))
    both = (empty("main.onnx"), empty("main.onnx"))
    whole, small = (artifact(source, Recipe("onnx", r), both) for r in ("fp32", "int8-guarded"))
    drawn = np.full((3, 16, 16), 5.0, np.float32)
    less = drawn.copy()
    less[1] = -5.0
    raw = {whole.sha256: drawn, small.sha256: less}

    def here(function: Any, *args: Any) -> SourceRun | ArtifactRun:
        if function is run_source:
            return SourceRun(drawn, {})
        return ArtifactRun(raw[args[0].sha256], 0.0, 1.0, 0.0)

    monkeypatch.setattr(prompt_judge, "call", here)
    judge = prompt_judge.PromptJudge(source, films)
    (flips,) = judge.compare(small, whole).flips
    assert (flips.data, flips.part, flips.n_films) == ("x", "guard", 3)
    assert (flips.to_positive, flips.to_negative) == (0, 1)
    assert (flips.mended, flips.spoilt, flips.p) == (0, 1, 1.0)
    assert judge.compare(whole).flips == ()


@pytest.fixture(scope="module")
def converted(source: Source, files: Path, small: ConvertOptions) -> Conversion:
    options = replace(small, data=files / "masks", precisions=("fp32", "fp16", "int8"))
    return convert_model(source, replace(options, explain_quantization=True))


@pytest.mark.slow
def test_a_promptable_model_in_three_formats(converted: Conversion, source: Source) -> None:
    manifest = converted.manifest
    assert {a.format for a in manifest.artifacts} == set(FORMATS)
    fp32 = {a.format: a.bytes for a in manifest.artifacts if a.precision == "fp32"}
    for one in manifest.artifacts:
        assert [g.name for g in one.graphs] == ["encoder", "decoder"]
        assert one.graphs[1].precision == ("fp32" if one.precision == "fp32" else "fp16")
        assert one.masks[0].dice.n >= 9
        assert one.parity.features_cosine is not None
        assert one.parity.features_cosine > 0.9
        if one.precision == "fp32":
            assert one.parity.max_abs_difference <= 1e-3
        if one.precision == "int8":
            # So few weights that the graph itself is half of a file.
            assert one.bytes < 0.9 * fp32[one.format]
            assert any("attention" in layer.why for layer in one.float_layers)
    assert {t.value for t in manifest.thresholds} == {0.5}
    assert any("encoder (int8)" in note and "decoder (fp16)" in note for note in converted.notes)
    # Whether an OpenVINO has layer norms for old kernels is its own affair; it is no crash.
    assert all(note.startswith("openvino/") for note in converted.notes if "kernels for" in note)


@pytest.mark.slow
def test_the_encoder_s_layers_are_explained(converted: Conversion) -> None:
    assert [r.format for r in converted.quantization] == list(FORMATS)
    for report in converted.quantization:
        assert report.model == "tiny-sam"
        assert sum(layer.share for layer in report.layers) == pytest.approx(1.0)
        left = [layer for layer in report.layers if layer.in_float]
        assert any("attention" in layer.why for layer in left)
        assert not all(layer.in_float for layer in report.worst(5))
    assert (converted.folder / "report" / "quantization.html").is_file()


@pytest.mark.slow
def test_its_bundle_outlines_and_passes_its_acceptance(converted: Conversion) -> None:
    bundle = load(converted.folder)
    record = bundle.manifest.acceptance
    assert record is not None
    assert all(len(film.boxes) == 2 for film in record.films)
    film = phantom.draw(phantom.Phantom(seed=5, height=100, width=140))
    for one in bundle.manifest.artifacts:
        result = check_acceptance(bundle, one.id, cache=False)
        assert result.passed, result.explain()
        answer = bundle.predictor(precision=one.id, threads=1).predict(
            film, ((10.0, 10.0, 60.0, 90.0), (70.0, 10.0, 130.0, 90.0))
        )
        assert answer.report.artifact == one.id
    with pytest.raises(TensorError, match="outlines what lies in boxes"):
        bundle.predictor(precision="onnx/fp32", threads=1).predict(film)


@pytest.mark.slow
def test_a_second_conversion_makes_the_same_bytes(
    converted: Conversion, source: Source, files: Path, small: ConvertOptions
) -> None:
    options = replace(small, data=files / "masks", precisions=("fp32", "fp16", "int8"))
    again = convert_model(source, options)
    assert again.unchanged
    assert not again.made
