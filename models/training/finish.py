"""The end of a run: weights that ship, the threshold, and the one reading of the test parts."""

import datetime
import platform
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ...profiles.datasets import Dataset
from ...profiles.metrics import evaluate_binary, pick_threshold
from ...profiles.splits import SPLIT_RULE, refuse_overlap
from ...runtime.errors import ModelError
from ...runtime.files import sha256_file, write_atomic
from ...runtime.images import prepare, read_film
from ...runtime.manifest import Accuracy
from ...runtime.records import dump_bytes
from ...runtime.spec import InputSpec, ModelSpec
from .. import weights
from ..zoo import build, cost, spec
from .card import Card, Measured, render
from .curves import draw_curves
from .state import RunState

POSITIVE = "PNEUMONIA"


@dataclass(frozen=True)
class _Threshold:
    value: float
    rule: str
    n_films: int


def finish(name: str, data: Dataset, state: RunState, folder: Path) -> Card:
    """Write NAME.safetensors, NAME.md, NAME.json and curves.png into the run folder.

    Everything is measured on the fp16-rounded weights of the file. The test parts are read
    here, after all is decided, and nowhere else in training.

    Raises:
        ModelError: the run has not ended.
        DataError: a part lacks one of the labels.
        OutputError: the folder cannot be written.
    """
    if not state.finished:
        raise ModelError(f"the run of '{name}' has not ended; go on with --resume.")
    model = spec(name)
    path = folder / model.weights.file
    module = build(name)
    module.load_state_dict(state.best)
    weights.save(module, path, f"{name} {model.version}")
    weights.load_into(module, path)
    draw_curves(state.history, state.best_epoch, name, folder / "curves.png")
    select = data.part("select")
    scores = score_films(module, select, model.input)
    value, rule = pick_threshold(scores, select.positives(POSITIVE))
    threshold = _Threshold(value, rule, len(select.films))
    measured = _measure(module, data, model, threshold.value)
    card = _card(model, data, state, threshold, measured, sha256_file(path))
    write_atomic(folder / f"{name}.json", dump_bytes(card))
    write_atomic(folder / f"{name}.md", render(card, model).encode("utf-8"))
    return card


def score_films(module: nn.Module, data: Dataset, spec: InputSpec) -> NDArray[np.float64]:
    """Probability (N,) of the second label, film by film on the runtime's path."""
    module.eval()
    device = next(module.parameters()).device
    scores = np.empty(len(data.films))
    with torch.inference_mode():
        for i, film in enumerate(data.films):
            tensor = torch.from_numpy(prepare(read_film(film.path), spec)).to(device)
            logits = module(tensor).double().cpu()
            scores[i] = float(torch.softmax(logits, dim=1)[0, 1])
    return scores


def _measure(
    module: nn.Module, data: Dataset, model: ModelSpec, threshold: float
) -> tuple[Measured, ...]:
    train = data.part("train").key_hashes()
    parts = (
        ("internal test, other patients", "test", data.part("test")),
        ("official test, all", "official-test", data.part("official-test")),
        (
            "official test, patient numbers that training has not",
            "official-test",
            data.official_test_new_patients(),
        ),
    )
    rows = []
    for what, part, films in parts:
        if not films.films:
            continue
        refuse_overlap(train, films.key_hashes(), ("train", part))
        scores = score_films(module, films, model.input)
        f = evaluate_binary(scores, films.positives(POSITIVE), films.patients(), threshold)
        figures = Accuracy(
            data=data.name,
            part="test" if part == "test" else "official-test",
            compute="f32",
            threshold=threshold,
            accuracy=f.accuracy,
            sensitivity=f.sensitivity,
            specificity=f.specificity,
            auc=f.auc,
        )
        rows.append(Measured(what, figures))
    return tuple(rows)


def _card(
    model: ModelSpec,
    data: Dataset,
    state: RunState,
    threshold: _Threshold,
    measured: tuple[Measured, ...],
    sha256: str,
) -> Card:
    figures = cost(model.name)
    return Card(
        name=model.name,
        version=model.version,
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        weights_file=model.weights.file,
        weights_sha256=sha256,
        params=figures.params_total,
        mult_adds=figures.mult_adds,
        data=data.name,
        split=SPLIT_RULE,
        parts=data.hygiene(),
        threshold=threshold.value,
        threshold_rule=threshold.rule,
        threshold_n_films=threshold.n_films,
        measured=measured,
        epochs=len(state.history),
        kept_epoch=state.best_epoch + 1,
        training_minutes=state.seconds / 60,
        tools={"python": platform.python_version(), "torch": torch.__version__},
        recipe=state.recipe,
    )
