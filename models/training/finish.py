"""The end of a run: weights that ship, thresholds, and the one reading of the test parts."""

import datetime
import platform
from pathlib import Path

import torch
from torch import nn

from ...profiles.boxes import BoxDataset
from ...profiles.masks import MaskDataset
from ...runtime.errors import ModelError
from ...runtime.files import sha256_file, write_atomic
from ...runtime.records import dump_bytes, to_json
from ...runtime.spec import ModelSpec
from .. import weights
from ..fold_names import whole_name
from ..zoo import build, cost, spec
from .auditing import audited
from .cards.card import Card
from .cards.card_page import render
from .cards.curves import draw_curves
from .cropping import lung_cropper
from .easier import all_seen
from .judging.binary import judge_binary
from .judging.boxes import judge_boxes
from .judging.findings import judge_findings
from .judging.judgement import Judgement
from .judging.masks import judge_masks
from .judging.prompts import judge_prompts
from .state import RunState
from .targets import Data


def finish(
    name: str, data: Data, state: RunState, folder: Path, folders: tuple[Path, ...] = ()
) -> Card:
    """Write NAME.safetensors, NAME.md, NAME.json and curves.png into the run folder.

    In the folder of a fold, NAME-fold-K, they are named so: members of an ensemble must differ.

    Everything is measured on the fp16-rounded weights of the file. The test parts are read
    here, after all is decided, and nowhere else in training.

    Args:
        folders: where the weights of `lungs-128` are looked for.

    Raises:
        ModelError: the run has not ended.
        DataError: select lacks one of the labels.
        OutputError: the folder cannot be written.
    """
    if not state.finished:
        raise ModelError(f"the run of '{name}' has not ended; go on with --resume.")
    model = spec(folder.name if whole_name(folder.name) == name else name)
    path = folder / model.weights.file
    module = build(name)
    module.load_state_dict(state.best)
    weights.save(module, path, f"{model.name} {model.version}")
    weights.load_into(module, path)
    draw_curves(state.history, state.best_epoch, model.name, folder / "curves.png")
    found = _judge(module, data, model, folders)
    card = _card(model, data, state, found, sha256_file(path))
    card = audited(card, module, data, model, folders)
    write_card(card, model, folder)
    return card


def write_card(card: Card, model: ModelSpec, folder: Path) -> None:
    """NAME.json and NAME.md."""
    write_atomic(folder / f"{card.name}.json", dump_bytes(card))
    write_atomic(folder / f"{card.name}.md", render(card, model).encode("utf-8"))


def _judge(module: nn.Module, data: Data, model: ModelSpec, folders: tuple[Path, ...]) -> Judgement:
    if isinstance(data, MaskDataset):
        asks = model.task == "promptable-segmentation"
        return (judge_prompts if asks else judge_masks)(module, data, model)
    if isinstance(data, BoxDataset):
        return judge_boxes(module, data, model)
    cropped = lung_cropper(folders) if model.input.region == "lungs" else None
    judge = judge_findings if model.task == "findings" else judge_binary
    return judge(module, data, model, cropped)


def _card(model: ModelSpec, data: Data, state: RunState, found: Judgement, sha256: str) -> Card:
    figures = cost(model.name)
    seen = all_seen(model, data, tuple(state.recipe.get("first_labels", ())))
    return Card(
        name=model.name,
        version=model.version,
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        weights_file=model.weights.file,
        weights_sha256=sha256,
        params=figures.params_total,
        mult_adds=figures.mult_adds,
        data=data.name,
        split=seen.hygiene_record().split,
        parts=seen.hygiene(),
        threshold=found.threshold,
        threshold_rule=found.rule,
        threshold_n_films=found.n_films,
        measured=found.measured,
        epochs=len(state.history),
        kept_epoch=state.best_epoch + 1,
        training_minutes=state.seconds / 60,
        tools={"python": platform.python_version(), "torch": torch.__version__},
        recipe=to_json(state.recipe),
        thresholds=dict(found.thresholds),
        masks=found.masks,
        boxes=found.boxes,
        not_measured=dict(found.not_measured),
    )
