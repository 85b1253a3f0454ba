"""One artifact in one engine answers the acceptance films, here or in a process of its own.

`python -P -m clinicedge.runtime.trial` reads a list of trials from stdin and writes one JSON line
an outcome, each as soon as it is known: what an engine that kills the process leaves behind.
"""

import hashlib
import json
import math
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .boxes import to_input
from .bundle import Bundle, check_file, read_bundle
from .errors import ClinicEdgeError, SchemaError
from .figures import Compute
from .graphs import TwoGraphs, open_artifact
from .images import prepare, read_film
from .manifest import AcceptanceFilm, Expected
from .recorded_values import acceptance_values, largest_difference, other_labels, same_decision
from .records import from_json, to_json
from .score_rules import temperatures_of
from .session import Session, SessionOptions
from .spec import OutputSpec

Array = NDArray[np.float32]


@dataclass(frozen=True)
class FilmResult:
    """One acceptance film on this machine.

    `problem` is empty when it passed; `max_difference` of the raw values is None where there is
    no finite one.
    """

    film: str
    max_difference: float | None
    tolerance: float
    problem: str


@dataclass(frozen=True)
class Trial:
    """What to try. `folder` is the bundle's, `bundle_id` what must lie there."""

    folder: str
    bundle_id: str
    artifact: str
    compute: Compute
    engine: str


@dataclass(frozen=True)
class Outcome:
    """Its films, or the `problem` that kept it from answering them.

    `lasting`: it would end so again; a process killed from outside might not.
    """

    films: tuple[FilmResult, ...]
    problem: str = ""
    lasting: bool = True


def run(trial: Trial) -> Outcome:
    """Try it in this process, with one thread."""
    try:
        # Whether this device may open it was asked before.
        bundle = read_bundle(trial.folder)
        if bundle.id != trial.bundle_id:
            words = f"{trial.folder} holds another bundle than a moment ago"
            return Outcome((), words, lasting=False)
        options = SessionOptions(compute=trial.compute, threads=1)
        files = bundle.files(trial.artifact)
        session = open_artifact(files, options, trial.engine)
        return Outcome(tuple(_films(bundle, trial, session)))
    except ClinicEdgeError as err:
        return Outcome((), str(err))


def expected_output(bundle: Bundle, expected: Expected) -> OutputSpec:
    """The output that a recorded answer is of.

    Raises:
        SchemaError: the model has none of that name.
    """
    for output in bundle.manifest.outputs:
        if output.name == expected.output:
            return output
    raise SchemaError(
        f"'{bundle.manifest.name}' has acceptance answers of an output '{expected.output}'; it "
        "has none of that name. Convert again."
    )


def _films(bundle: Bundle, trial: Trial, session: Session) -> Iterator[FilmResult]:
    if bundle.manifest.acceptance is None:
        return
    for film in bundle.manifest.acceptance.films:
        check_file(bundle.folder, film.file, "acceptance film")
        for expected in film.expected:
            if (expected.artifact, expected.compute) == (trial.artifact, trial.compute):
                yield _film(bundle, film, expected, session)


def _film(bundle: Bundle, film: AcceptanceFilm, expected: Expected, session: Session) -> FilmResult:
    spec = bundle.manifest.input
    if spec is None:
        raise SchemaError(f"'{bundle.manifest.name}' has acceptance films but no input.")
    read = read_film(bundle.folder / film.file.path)
    tensor = prepare(read, spec)
    name = Path(film.file.path).name
    if hashlib.sha256(tensor.tobytes()).hexdigest() != film.tensor_sha256:
        problem = "the preprocessed pixels differ from the recorded ones"
        return FilmResult(name, None, expected.tolerance, problem)
    output = expected_output(bundle, expected)
    boxes = to_input(np.array(film.boxes, np.float64).reshape(-1, 4), read.pixels.shape, spec)
    raw = _asked(session, spec.name, tensor, boxes)[expected.output]
    thresholds = _thresholds(bundle, expected, output)
    scaled = temperatures_of(bundle.manifest, expected.artifact, expected.compute, output)
    found = acceptance_values(output, raw, thresholds)
    difference = largest_difference(output, expected.values, found)
    problem = ""
    # `not <=` also refuses NaN.
    if not difference <= expected.tolerance:
        what = "boxes" if output.meaning == "boxes" else "scores"
        problem = f"{what} differ by {difference:.3g}, tolerance {expected.tolerance:.3g}"
    elif problem := other_labels(output, expected, found, scaled):
        pass
    elif not same_decision(output, expected, raw, thresholds, scaled):
        problem = "the decision differs"
    finite = difference if math.isfinite(difference) else None
    return FilmResult(name, finite, expected.tolerance, problem)


def _asked(session: Session, name: str, tensor: Array, boxes: Array) -> dict[str, Array]:
    """A film's raw outputs; of a promptable model those of each box, one after the other."""
    if isinstance(session, TwoGraphs):
        return session.run_boxes(tensor, boxes)
    return session.run({name: tensor})


def _thresholds(bundle: Bundle, expected: Expected, output: OutputSpec) -> dict[str, float]:
    """By label: of the positive label, or of every label of findings and masks."""
    decided = (output.positive_label,) if output.positive_label else output.labels
    return {
        label: bundle.threshold(expected.artifact, expected.compute, label) for label in decided
    }


def main() -> None:
    """Try each in turn; what an engine prints goes to stderr."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for number, raw in enumerate(json.load(sys.stdin)):
        outcome = run(from_json(Trial, raw, f"trial {number}"))
        print(json.dumps(to_json(outcome)), file=out, flush=True)


if __name__ == "__main__":
    main()
