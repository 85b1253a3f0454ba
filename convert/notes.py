"""What a reader of a finished conversion should know."""

import numpy as np

from ..runtime.manifest import Artifact, Manifest
from ..runtime.spec import ModelSpec
from .acceptance_films import NEAR
from .films import PHANTOMS, ConversionFilms
from .guard.speed import MachineSpeed
from .label_judge import decided_labels, decided_scores
from .parity import Comparison
from .recipes import GUARDED
from .source import Source, draws, scores_output

# Reached by the acceptance films' scores, or a note says so.
WANTED = (0.1, 0.9)
NEAR_FILMS = 2
# The AUC of scores that know nothing of the label.
CHANCE = 0.5
# Layers that a note names.
_NAMED = 6
# Of plain INT8's speed-up: what guarded INT8 is to keep.
KEPT_SPEED = 0.85


def of_films(films: ConversionFilms) -> tuple[str, ...]:
    """What the films could not tell."""
    notes = []
    if not films.labelled:
        notes.append(
            f"calibrated and compared on {PHANTOMS}; thresholds were not set on data and "
            "accuracy was not measured. Give --data for both."
        )
    if films.twice:
        notes.append(
            f"{films.twice} films of guard are the very files of calibration or select films, "
            "listed under other patients."
        )
    if films.left_out:
        notes.append(
            f"{films.left_out} films were left out: no lungs were found on them, so the device "
            "gives them no score."
        )
    return tuple(notes)


def of_training(source: Source) -> tuple[str, ...]:
    """Weights that do not say which patients trained them."""
    if source.hygiene is not None:
        return ()
    return (
        f"which patients trained {source.weights_file} is not recorded: where they are among the "
        "films of select and guard, thresholds and accuracy are flattered, and nothing can refuse "
        "them later.",
    )


def of_labels(spec: ModelSpec, manifest: Manifest) -> tuple[str, ...]:
    """Labels that the network tells apart the wrong way round."""
    # FP32 where it was made: a bad INT8 says nothing of the labels.
    artifact = min(manifest.artifacts, key=lambda a: a.precision != "fp32")
    notes = []
    for found in artifact.accuracy:
        if found.auc.value < CHANCE:
            label = f" of {found.label}" if found.label else ""
            notes.append(
                f"labels may be swapped: the AUC{label} of {artifact.id} is {found.auc.value:.3f} "
                f"({found.auc.low:.3f}-{found.auc.high:.3f}) on {found.part} of {found.data}, "
                f"below chance. Are the network's scores in the order "
                f"{', '.join(scores_output(spec).labels)}?"
            )
    return tuple(notes)


def of_temperatures(manifest: Manifest) -> tuple[str, ...]:
    """Artifacts without a temperature where one was asked for."""
    if manifest.task.endswith("segmentation"):
        return ("masks have no temperature: their scores were not scaled.",)
    if manifest.task == "detection":
        return ("boxes have no temperature: their scores were not scaled.",)
    fixed = {(t.artifact, t.label) for t in manifest.temperatures}
    without = [t for t in manifest.thresholds if (t.artifact, t.label) not in fixed]
    if not without:
        return ()
    named = ", ".join(f"{t.artifact} ({t.label})" for t in without)
    return (
        f"no temperature was fixed for {named}: {without[0].part} of {without[0].data} has no "
        "films of both labels, or one threshold separates them and the best lies beyond 0.05..20.",
    )


def of_search(artifact: Artifact) -> tuple[str, ...]:
    """What the search for a guarded INT8 cost, and what it chose."""
    guard = artifact.guard
    if guard is None or artifact.recipe != GUARDED:
        return ()
    published, drafts = guard.trials[-1], sum(trial.draft for trial in guard.trials)
    rough = f" ({drafts} quick drafts)" if drafts else ""
    others = [t.method for t in guard.trials if t.snr_db is not None]
    methods = dict.fromkeys(m for m in others if m != published.method)
    instead = f", not by {', '.join(methods)}" if methods else ""
    refused = "".join(f" {t.method} failed: {t.error}" for t in guard.trials if t.error)
    return (
        f"{artifact.id}: {len(guard.trials)} of at most {guard.limit} trials{rough}, calibration "
        f"by {published.method}{instead}.{refused}",
    )


def of_speed(artifact: Artifact, speed: MachineSpeed) -> str:
    """What the layers that went back to float cost."""
    names = [layer.name for layer in artifact.float_layers if layer.bytes_added is not None]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    guard = artifact.guard
    share = 0.0 if guard is None else guard.float_share
    plain = artifact.bytes if guard is None else guard.plain_bytes
    less = "" if speed.kept >= KEPT_SPEED else f", less than the {KEPT_SPEED:.0%} that it should be"
    return (
        f"{artifact.id}: back in float to keep the budget: {', '.join(names[:_NAMED])}{more}; "
        f"{share:.1%} of the multiply-adds are in float, "
        f"{artifact.bytes / 1000:,.0f} kB against {plain / 1000:,.0f} kB, "
        f"{speed.guarded_ms:.2f} ms against {speed.plain_ms:.2f} ms of plain INT8 and "
        f"{speed.fp32_ms:.2f} ms of FP32 on this machine: {speed.kept:.0%} of the speed-up{less}."
    )


def of_graphs(artifact: str, comparison: Comparison) -> tuple[str, ...]:
    """How far each graph of several is from the source alone."""
    told = [f"{g.name} ({g.precision}) {g.difference:.2g}" for g in comparison.graphs]
    if not told:
        return ()
    return (
        f"{artifact}: alone, each on the source's own inputs, the graphs differ from it by "
        f"{', '.join(told)} (encoder: share of a map's largest value; decoder: logits).",
    )


def of_unopened(artifact: str, unopened: tuple[str, ...]) -> tuple[str, ...]:
    """Processors on which the engine cannot open an artifact."""
    return tuple(
        f"{artifact}: {words}. A device with such a processor passes it over, with this reason; "
        "give it another format too."
        for words in dict.fromkeys(unopened)
    )


def of_acceptance(spec: ModelSpec, manifest: Manifest) -> tuple[str, ...]:
    """What the acceptance films do not reach: scores far apart, scores near a threshold."""
    record, first = manifest.acceptance, manifest.artifacts[0].id
    if record is None or draws(spec):
        return ()
    name, count = scores_output(spec).name, len(scores_output(spec).labels)
    expected = [e for f in record.films for e in f.expected]
    values = [e.values for e in expected if (e.artifact, e.output) == (first, name)]
    if spec.task == "detection":
        # Each label's best box stands for the film.
        values = [row[-2 * count : -count] for row in values]
    fitted = tuple(t for t in manifest.temperatures if t.artifact == first)
    scores = decided_scores(spec, np.array(values, np.float32), fitted)
    thresholds = {t.label: t.value for t in manifest.thresholds if t.artifact == first}
    limits = np.array([thresholds[label] for label in decided_labels(spec)])
    low, high = float(scores.min()), float(scores.max())
    near = int((np.abs(scores - limits) <= NEAR).any(axis=1).sum())
    notes = []
    if low > WANTED[0] or high < WANTED[1]:
        notes.append(
            f"scores of the acceptance films reach from {low:.3f} to {high:.3f}; "
            "the network tells phantom films no farther apart."
        )
    if near < NEAR_FILMS:
        notes.append(
            f"{near} of {len(values)} acceptance films score within {NEAR} of a threshold, "
            f"{NEAR_FILMS} wanted: on a device their raw scores are compared, but hardly a "
            "decision near the threshold."
        )
    return tuple(notes)
