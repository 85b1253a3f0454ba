"""One conversion of the smallest reference weights, on a data folder of labelled phantoms."""

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from clinicedge.convert import (
    Conversion,
    ConvertOptions,
    Source,
    convert,
    convert_model,
    phantom_films,
)
from clinicedge.convert.guard.bench import FormatBench
from clinicedge.convert.user_source import UserModel, load_user_source
from clinicedge.convert.zoo_source import load_source
from clinicedge.models import zoo
from clinicedge.profiles.splits import part_of, patient_key
from clinicedge.runtime import phantom
from clinicedge.runtime.guarding import Budget
from clinicedge.runtime.spec import ModelSpec

from .user_files import findings_row, mask_row, write_data, write_networks, write_spec

NAME = "mobilenet-0.25-128"
# Patients of each part, two films each but for the test part.
PATIENTS = {"train": 16, "select": 10, "guard": 12, "test": 2}


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, acceptance_memory: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "acceptance").symlink_to(acceptance_memory)
    monkeypatch.setenv("CLINICEDGE_STATE", str(state))


@pytest.fixture(scope="session", autouse=True)
def fewer_phantoms() -> Iterator[None]:
    """Where no data are given: drawing films is most of a small conversion's time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(phantom_films, "COUNT", 16)
        yield


@pytest.fixture(scope="session", autouse=True)
def no_search() -> Iterator[property]:
    """One calibration method a format, and a budget that any INT8 of the zoo keeps: the search
    has tests of its own in guard/, which put back the methods that this gives."""
    known = zoo.spec
    methods: property = vars(FormatBench)["methods"]

    def wide(name: str) -> ModelSpec:
        return replace(known(name), budget=Budget(points=100.0, auc=1.0, dice=1.0, ap50=1.0))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FormatBench, "methods", property(lambda bench: bench.driver.METHODS[:1]))
        patch.setattr(zoo, "spec", wide)
        yield methods


@pytest.fixture(scope="session")
def source() -> Source:
    return load_source(NAME)


@pytest.fixture(scope="session")
def phantom_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder as users have it; the films of the test parts are no images at all."""
    root = tmp_path_factory.mktemp("data") / "phantoms"
    root.mkdir()
    rows = []
    wanted = dict(PATIENTS)
    number = 0
    while any(wanted.values()):
        number += 1
        part = part_of(patient_key("phantoms", "train", str(number)))
        if not wanted.get(part):
            continue
        wanted[part] -= 1
        ill = wanted[part] % 2 == 0
        for view in range(2):
            file = f"{number}-{view}.png"
            (root / file).write_bytes(_film(number * 10 + view, ill, part))
            rows.append((file, "PNEUMONIA" if ill else "NORMAL", str(number), "train"))
    (root / "official.png").write_bytes(b"must not be read")
    rows.append(("official.png", "NORMAL", "1", "test"))
    with (root / "manifest.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(("file", "label", "patient", "split"))
        writer.writerows(rows)
    return root


def _film(seed: int, ill: bool, part: str) -> bytes:
    if part == "test":
        return b"must not be read"
    drawn = replace(phantom.sample(seed), height=128, width=171)
    shadow = (0.9, 0.8) if ill else (0.0, 0.0)
    return phantom.encode_png(phantom.draw(replace(drawn, opacity=shadow[0], haze=shadow[1])))


@pytest.fixture(scope="session")
def options(tmp_path_factory: pytest.TempPathFactory, phantom_folder: Path) -> ConvertOptions:
    out = tmp_path_factory.mktemp("bundles")
    return ConvertOptions(out, data=phantom_folder, calibration_films=24, min_agreement=0.8)


@pytest.fixture(scope="session")
def converted(source: Source, options: ConvertOptions) -> Conversion:
    """All nine artifacts."""
    return convert_model(source, options)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a user: net.py, and a data folder of masks and one of findings."""
    root = tmp_path_factory.mktemp("user")
    patients = {"train": 12, "select": 10, "guard": 12}
    write_networks(root)
    write_data(root / "masks", patients, ("mask", "label"), mask_row)
    write_data(root / "findings", patients, ("findings",), findings_row)
    return root


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> ConvertOptions:
    out = tmp_path_factory.mktemp("small")
    return ConvertOptions(out, precisions=("fp32", "int8"), calibration_films=12, min_agreement=0.5)


@pytest.fixture(scope="session")
def findings(files: Path, small: ConvertOptions) -> Conversion:
    spec = write_spec(files, "my-findings", "findings", ("A", "B", "C"))
    source, _ = load_user_source(UserModel(f"{files / 'net.py'}:findings", spec=spec))
    return convert_model(source, replace(small, data=files / "findings", formats=("onnx",)))


@pytest.fixture(scope="session")
def on_lungs(tmp_path_factory: pytest.TempPathFactory) -> Conversion:
    """The default form of the smallest classifier, one artifact a model, on phantoms alone."""
    out = tmp_path_factory.mktemp("zoo")
    return convert(f"{NAME}-on-lungs", ConvertOptions(out, ("onnx",), ("fp32",)))
