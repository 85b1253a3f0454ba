"""Names of weights: the original's in, transformers' in, and whose checkpoint a file is."""

import csv
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from clinicedge.models import weights, zoo
from clinicedge.models.checkpoints import load_checkpoint
from clinicedge.models.fit import shapes, values
from clinicedge.models.medsam2.family import USERS, VARIANTS
from clinicedge.models.medsam2.keys import generation, original_name, to_original
from clinicedge.models.medsam2.network import MedSam2
from clinicedge.models.medsam2.sizes import TINY, Sam2Size, cost
from clinicedge.runtime.errors import CheckpointError, WeightsMissingError

NAME, OLDER = "medsam2-512", "medical-sam2-tiny-1024"
# Some of the memory's; the last two are of 2.1 alone.
MEMORY = (
    "memory_attention.layers.0.norm1.weight",
    "maskmem_tpos_enc",
    "obj_ptr_proj.layers.0.bias",
)
NEWER = ("no_obj_embed_spatial", "obj_ptr_tpos_proj.weight")


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """The zoo's entries with hardly any channels: what is tried here does not hang on them."""
    for name in (NAME, OLDER):
        size = replace(TINY, generation=VARIANTS[name].size.generation)
        monkeypatch.setitem(VARIANTS, name, replace(VARIANTS[name], size=size))


def plain() -> dict[str, Tensor]:
    return {k: torch.full_like(v, 0.25) for k, v in values(MedSam2(TINY)).items()}


def with_memory(newer: bool) -> dict[str, Tensor]:
    extra = (*MEMORY, *(NEWER if newer else ()))
    return {**plain(), **{name: torch.zeros(2) for name in extra}}


def saved(folder: Path, content: object) -> Path:
    torch.save(content, folder / "MedSAM2_latest.pt")
    return folder / "MedSAM2_latest.pt"


def loaded(network: torch.nn.Module) -> bool:
    return all(bool((v == 0.25).all()) for v in values(network).values())


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_checkpoint_loads_and_its_memory_is_left_aside(tmp_path: Path, prefix: str) -> None:
    tensors = {prefix + key: value for key, value in with_memory(True).items()}
    found = load_checkpoint(NAME, saved(tmp_path, {"model": tensors}))
    assert loaded(found.module)
    assert any("5 weights of memory" in note for note in found.notes)
    assert any("CC BY-SA 4.0" in note for note in found.notes)


@pytest.mark.usefixtures("tiny")
def test_safetensors_with_and_without_memory(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    for tensors in (with_memory(True), plain()):
        path = tmp_path / "own.safetensors"
        save_file(tensors, path)
        assert loaded(load_checkpoint(NAME, path).module)
        network = zoo.build(NAME)
        weights.load_into(network, path)
        assert loaded(network)


@pytest.mark.usefixtures("tiny")
def test_the_layout_of_transformers(tmp_path: Path) -> None:
    inner = zoo.build(NAME).get_submodule("sam").state_dict()
    tensors = {k: torch.full_like(v, 0.25) for k, v in inner.items()}
    tensors |= {
        "occlusion_spatial_embedding_parameter": torch.zeros(1, 2),
        "memory_attention.layers.0.layer_norm1.weight": torch.zeros(2),
        "memory_temporal_positional_encoding": torch.zeros(2),
    }
    assert loaded(load_checkpoint(NAME, saved(tmp_path, tensors)).module)


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(("name", "newer"), [(NAME, False), (OLDER, True)])
def test_the_other_generation_is_named(tmp_path: Path, name: str, newer: bool) -> None:
    found, wanted = ("2.1", "2.0") if newer else ("2.0", "2.1")
    path = saved(tmp_path, {"model": with_memory(newer)})
    with pytest.raises(CheckpointError, match=f"SAM {found}; expected SAM {wanted}"):
        load_checkpoint(name, path)


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("image_encoder.blocks.0.attn.rel_pos_h", "SAM 1"),
        ("vision_encoder.layers.0.attn.qkv.weight", "SAM 1"),
        ("image_encoder.layers.1.blocks.0.attn.qkv.weight", "MobileSAM"),
        ("detector.backbone.vision_backbone.trunk.pos_embed", "SAM 3"),
    ],
)
def test_another_network_that_is_called_sam(tmp_path: Path, key: str, told: str) -> None:
    path = saved(tmp_path, {"model": {key: torch.zeros(2, 2), "mask_decoder.x": torch.zeros(2)}})
    with pytest.raises(CheckpointError, match=f"{told}.*expected SAM 2.1"):
        load_checkpoint(NAME, path)


def test_a_larger_image_encoder_is_named(tmp_path: Path) -> None:
    stem, last = "image_encoder.trunk.patch_embed.proj.weight", "image_encoder.trunk.blocks.15.x"
    path = saved(tmp_path, {stem: torch.zeros(96, 3, 7, 7), last: torch.zeros(2)})
    with pytest.raises(CheckpointError, match=r"hiera small \(16 blocks.*expected hiera tiny"):
        load_checkpoint(NAME, path)


@pytest.mark.usefixtures("tiny")
def test_a_weight_that_is_missing_is_named(tmp_path: Path) -> None:
    tensors = with_memory(True)
    del tensors["no_mem_embed"]
    with pytest.raises(CheckpointError, match="missing no_mem_embed"):
        load_checkpoint(NAME, saved(tmp_path, tensors))


def test_weights_are_the_users_and_the_licence_is_told(tmp_path: Path) -> None:
    assert {"medsam2-512", "medical-sam2-tiny-1024", "medical-sam2-small-1024"} == set(USERS)
    with pytest.raises(WeightsMissingError, match=r"CC BY-SA 4\.0"):
        weights.find(zoo.spec(NAME), [tmp_path])
    assert "CC BY-SA 4.0" in zoo.spec(NAME).licence
    assert "not MedSAM2's" in " ".join(zoo.notes("medsam2-256").values())


def whole(size: Sam2Size) -> Mapping[str, tuple[int, ...]]:
    with torch.device("meta"):
        return shapes(values(MedSam2(size)))


@pytest.mark.parametrize(
    "name", ["medsam2-512", "medical-sam2-small-1024", "medsam2-mini-192-lungs"]
)
def test_parameters_are_counted_right(name: str) -> None:
    size = VARIANTS[name].size
    numbers = sum(torch.Size(shape).numel() for shape in whole(size).values())
    assert cost(size).params_total == numbers


def test_the_published_numbers() -> None:
    found = cost(Sam2Size(512))
    assert found.params_total == 31_440_977
    # Counted over the original at run time: encoder and decoder, without the convolutions between
    # them and without attention's products of activations, which that counter leaves out.
    between, attention = 0.201, 3.730
    assert found.mult_adds / 1e9 == pytest.approx(27.5 + 0.466 + between + attention, rel=1e-3)


def test_names_are_those_of_the_reference(reference_vectors: Path) -> None:
    with (reference_vectors / "medsam2_key_map_to_transformers.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    kept = {r["original_key"]: r for r in rows if "dropped" not in r["transformers_key"]}
    found = whole(Sam2Size(512))
    assert {k: "x".join(map(str, v)) for k, v in found.items()} == {
        k: r["shape"] for k, r in kept.items()
    }
    for original, row in kept.items():
        there = row["transformers_key"].split(" (")[0]
        if "[row" not in there:
            assert original_name(there) == original
    assert generation(r["original_key"] for r in rows) == "2.1"
    assert generation(kept) is None


def test_values_are_shared_not_copied() -> None:
    network = MedSam2(TINY)
    inner = network.get_submodule("sam").state_dict()
    named = to_original(inner)
    assert named.keys() == network.state_dict().keys()
    point = "sam_prompt_encoder.point_embeddings.2.weight"
    named[point].fill_(7.0)
    assert bool((inner["prompt_encoder.point_embed.weight"][2] == 7.0).all())
