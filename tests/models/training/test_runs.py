"""Training: the recipe's parts, and that a killed run goes on to the same weights."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from clinicedge.models import weights
from clinicedge.models.training.augment import augment, to_input
from clinicedge.models.training.judging.binary import score_films
from clinicedge.models.training.recipe import Augmentation, Recipe, recipe_for
from clinicedge.models.training.run import Progress, TrainOptions, pick_device, train_network
from clinicedge.models.training.state import RunState
from clinicedge.models.zoo import build, spec
from clinicedge.profiles.datasets import Dataset, read_dataset
from clinicedge.profiles.metrics import evaluate_binary
from clinicedge.runtime import images
from clinicedge.runtime.errors import CheckpointError, DataError, ModelError, OutputError

NAME = "mobilenet-0.25-128"
MAIN = "from clinicedge.cli import main; main()"
FILES = {f"{NAME}.safetensors", f"{NAME}.json", f"{NAME}.md", "curves.png", "checkpoint.pt"}


def tiny(epochs: int = 2) -> Recipe:
    return recipe_for(NAME, epochs, quick=True)


def run(data: Path, out: Path, recipe: Recipe, resume: bool = False) -> RunState:
    films = read_dataset(data)
    return train_network(NAME, films, recipe, TrainOptions(out, resume, threads=1))[1]


def test_the_last_step_is_the_runtime_s_own() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 128, 128), np.uint8)
    found = to_input(torch.from_numpy(pixels), spec(NAME).input).numpy()
    expected = np.concatenate([images.scale(p, spec(NAME).input) for p in pixels])
    assert found.tobytes() == expected.tobytes()


def test_augmented_films_are_films_and_the_seed_decides() -> None:
    pixels = torch.randint(0, 256, (6, 64, 64), dtype=torch.uint8)

    def once(seed: int) -> torch.Tensor:
        return augment(pixels, Augmentation(), torch.Generator().manual_seed(seed))

    assert once(1).dtype == torch.uint8
    assert once(1).shape == pixels.shape
    assert torch.equal(once(1), once(1))
    assert not torch.equal(once(1), once(2))


def test_no_film_is_turned_upside_down() -> None:
    ramp = torch.arange(0, 256, 4, dtype=torch.uint8).view(1, 64, 1).expand(200, 64, 64)
    how = Augmentation(boxes=0, border=0.0)
    found = augment(ramp, how, torch.Generator().manual_seed(0)).float()
    middle = found[:, 24:40, 24:40]
    assert bool((middle[:, -4:].mean(dim=(1, 2)) >= middle[:, :4].mean(dim=(1, 2))).all())


def test_films_are_mirrored_half_the_time() -> None:
    ramp = torch.arange(0, 256, 4, dtype=torch.uint8).view(1, 1, 64).expand(400, 64, 64)
    how = Augmentation(boxes=0, border=0.0)
    found = augment(ramp, how, torch.Generator().manual_seed(0)).float()[:, 24:40, 24:40]
    mirrored = found[:, :, :4].mean(dim=(1, 2)) > found[:, :, -4:].mean(dim=(1, 2))
    assert 0.4 < float(mirrored.float().mean()) < 0.6


def test_one_cycle_up_and_down() -> None:
    recipe = Recipe(epochs=1)
    rates = [recipe.learning_rate(step, 100) for step in range(101)]
    assert max(rates) == pytest.approx(recipe.peak_lr)
    assert rates[0] == pytest.approx(recipe.peak_lr / 25)
    assert rates[-1] == pytest.approx(recipe.peak_lr / 1e4)
    top = rates.index(max(rates))
    assert rates[:top] == sorted(rates[:top])
    assert rates[top:] == sorted(rates[top:], reverse=True)


def test_a_stopped_run_goes_on_to_the_same_weights(data: Path, tmp_path: Path) -> None:
    whole = run(data, tmp_path / "whole", tiny(3))
    # A checkpoint after every step, and a stop after every second one.
    recipe = replace(tiny(3), checkpoint_minutes=0.0)
    steps = 0

    class Stopped(Exception):
        pass

    class StopEachTwoSteps(Progress):
        def step(self) -> None:
            nonlocal steps
            steps += 1
            if steps % 2 == 0:
                raise Stopped

    state = None
    for _ in range(12):
        try:
            options = TrainOptions(tmp_path / "parts", resume=True, threads=1)
            _, state = train_network(NAME, read_dataset(data), recipe, options, StopEachTwoSteps())
        except Stopped:
            continue
        break
    assert state is not None
    assert [h.train_loss for h in state.history] == [h.train_loss for h in whole.history]
    assert [h.select_loss for h in state.history] == [h.select_loss for h in whole.history]
    for key, value in whole.best.items():
        assert torch.equal(state.best[key], value), key


def test_killed_and_resumed_from_the_command_line(data: Path, tmp_path: Path) -> None:
    """SIGKILL in the middle, then --resume: the weights of a run that nobody disturbed."""

    def command(out: str, *more: str) -> list[str]:
        words = [sys.executable, "-c", MAIN, "train", NAME, "--data", str(data), "--quick"]
        return [*words, "--epochs", "25", "--threads", "1", "--out", str(tmp_path / out), *more]

    checkpoint = tmp_path / "killed" / NAME / "checkpoint.pt"
    process = subprocess.Popen(command("killed"), stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        end = time.monotonic() + 60
        while not checkpoint.exists() and time.monotonic() < end:
            time.sleep(0.02)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert not torch.load(checkpoint, weights_only=True)["run"]["finished"]
    again = subprocess.run(command("killed"), capture_output=True, text=True, check=False)
    assert again.returncode == 2
    assert "--resume" in again.stderr
    for words in (command("killed", "--resume"), command("whole")):
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    made = [
        (tmp_path / out / NAME / f"{NAME}.safetensors").read_bytes() for out in ("killed", "whole")
    ]
    assert made[0] == made[1]


def test_a_finished_run_leaves_weights_card_and_curves(data: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", MAIN, "train", NAME, "--data", str(data)]
    command += ["--quick", "--threads", "1", "--out", str(tmp_path), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / NAME
    assert {p.name for p in folder.iterdir()} == FILES
    figures = json.loads((folder / f"{NAME}.json").read_text())
    assert [m["what"] for m in figures["measured"]] == [
        "internal test, other patients",
        "official test, all",
        "official test, patient numbers that training has not",
    ]
    assert sum(p["n_films"] for p in figures["parts"]) == 100
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    told = json.loads(done.stdout)
    assert told["name"] == NAME
    assert {Path(told[key]).name for key in ("weights", "card", "card_json")} < FILES
    assert told["figures"]["measured"] == figures["measured"]
    assert told["figures"]["threshold"] == figures["threshold"]
    assert "second opinion, not a diagnosis" in told["note"]
    assert "hint: whole films tell the label by more than the lungs" in done.stderr
    assert f"clinicedge train {NAME}-lung-crop" in done.stderr


def test_another_recipe_does_not_resume(data: Path, tmp_path: Path) -> None:
    run(data, tmp_path, tiny(1))
    with pytest.raises(CheckpointError, match="epochs differ"):
        run(data, tmp_path, tiny(2), resume=True)


def test_a_run_is_not_overwritten(data: Path, tmp_path: Path) -> None:
    run(data, tmp_path, tiny(1))
    with pytest.raises(OutputError, match="--resume"):
        run(data, tmp_path, tiny(1))


def test_a_damaged_checkpoint_is_refused(data: Path, tmp_path: Path) -> None:
    run(data, tmp_path, tiny(1))
    checkpoint = tmp_path / NAME / "checkpoint.pt"
    whole = checkpoint.read_bytes()
    for torn in (b"torn", b"", whole[: len(whole) // 2]):
        checkpoint.write_bytes(torn)
        with pytest.raises(CheckpointError, match="Remove it"):
            run(data, tmp_path, tiny(1), resume=True)


def test_a_folder_without_select_films_is_refused(data: Path, tmp_path: Path) -> None:
    films = read_dataset(data)
    alone = films.part("train")
    with pytest.raises(DataError, match="no films"):
        train_network(NAME, alone, tiny(1), TrainOptions(tmp_path, threads=1))


def test_devices_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("auto") == "cpu"
    with pytest.raises(ModelError, match="no GPU"):
        pick_device("cuda")
    with pytest.raises(ModelError, match="expected auto"):
        pick_device("abacus")


def test_only_train_and_select_are_read(data: Path, tmp_path: Path) -> None:
    films = read_dataset(data)
    for film in films.part("guard", "test", "official-test").films:
        assert film.path.exists()
    hidden: Dataset = replace(
        films,
        films=tuple(
            f if f.part in ("train", "select") else replace(f, path=tmp_path / "gone.png")
            for f in films.films
        ),
    )
    _, state = train_network(NAME, hidden, tiny(1), TrainOptions(tmp_path, threads=1))
    assert state.finished


@pytest.mark.reference_data
def test_shipped_weights_do_on_real_films_what_their_card_says(data_root: Path) -> None:
    path = weights.find(spec(NAME))
    network = build(NAME)
    weights.load_into(network, path)
    films = read_dataset(data_root / "kermany224").part("test")
    scores = score_films(network, films, spec(NAME).input)
    card = json.loads(path.with_suffix(".json").read_text())["measured"][0]["figures"]
    found = evaluate_binary(
        scores, films.positives("PNEUMONIA"), films.patients(), card["threshold"]
    )
    assert found.accuracy.n == card["accuracy"]["n"]
    assert found.accuracy.value == pytest.approx(card["accuracy"]["value"], abs=0.003)
    assert found.auc.value == pytest.approx(card["auc"]["value"], abs=1e-3)
    assert found.auc.low == pytest.approx(card["auc"]["low"], abs=2e-3)
