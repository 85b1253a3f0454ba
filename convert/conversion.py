"""From a trained network to a bundle: export, compare, accept, write."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ..runtime.errors import BudgetError, ConversionError, ParityError, RecipeError
from ..runtime.files import sha256_bytes
from ..runtime.manifest import (
    Acceptance,
    AcceptanceFilm,
    Artifact,
    Calibration,
    Expected,
    FileEntry,
)
from ..runtime.recorded_values import label_scores, recorded_outputs
from ..runtime.score_rules import divisors
from ..runtime.spec import OutputSpec
from . import acceptance, notes
from .explaining import Written, explanation_method
from .guard import speed
from .guard.calibration import refuse_films
from .guard.making import Int8, make_int8
from .options import Conversion, ConvertOptions, Failed, Progress
from .parity import Comparison, fp32_tolerance, refuse_disparity, usual_agreement
from .quantization_records import QuantizationReport
from .quantization_report import explained, write_reports
from .recipes import Recipe, chosen, tool_versions
from .running import Runnable
from .source import Source
from .steps import Steps
from .two_graphs import tools_of
from .writing import build_manifest, check_writable, write_bundle


@dataclass(frozen=True)
class _Part:
    """An artifact's share of the manifest, ready."""

    recipe: Recipe
    runnable: Runnable
    artifact: Artifact
    comparison: Comparison
    int8: Int8 | None = None

    @property
    def level(self) -> float | dict[str, float]:
        """The threshold; one a label where there are several."""
        found = {t.label: t.value for t in self.comparison.thresholds}
        return found if len(found) > 1 else self.comparison.thresholds[0].value


def check_request(options: ConvertOptions) -> tuple[Recipe, ...]:
    """What can be refused before the long work: formats, precisions, tools, the folder.

    Raises:
        ConversionError: an unknown format or precision, or a converter is not installed.
        OutputError: `out` cannot be written.
    """
    recipes = chosen(options.formats, options.precisions, options.recipes)
    tool_versions(tuple(dict.fromkeys(r.format for r in recipes)))
    check_writable(options.out)
    return recipes


def convert_model(
    source: Source, options: ConvertOptions, progress: Progress | None = None
) -> Conversion:
    """Convert a trained network.

    Raises:
        OutputError: `out` cannot be written; found before the long work begins.
        ConversionError: an export failed and `options.keep_going` is not set, or all did.
        ParityError: FP32 is too far from the network; nothing was written. Of a smaller precision
            it is in `Conversion.failed`, as an INT8 that breaks its budget.
        DataError: the data folder cannot be used.
    """
    recipes = check_request(options)
    with tempfile.TemporaryDirectory(prefix="clinicedge-convert-") as scratch:
        steps = Steps(source, options, Path(scratch))
        return _Work(source, options, recipes, steps, progress or (lambda *_: None)).run()


class _Work:
    """One conversion."""

    def __init__(
        self,
        source: Source,
        options: ConvertOptions,
        recipes: tuple[Recipe, ...],
        steps: Steps,
        progress: Progress,
    ) -> None:
        self._source = source
        self._spec = source.spec
        self._options = options
        self._recipes = recipes
        self._steps = steps
        self._progress = progress
        self._total = 2 + 3 * len(recipes)
        self._done = 0

    def run(self) -> Conversion:
        if any(recipe.calibrated for recipe in self._recipes):
            refuse_films(self._steps.films, self._spec)
        parts, failed = self._parts()
        self._total -= len(failed)
        self._done = 2 * len(self._recipes)
        record, png, unopened = self._acceptance(parts)
        self._step("writing the bundle")
        made = tuple(dict.fromkeys(part.recipe.format for part in parts))
        manifest = build_manifest(
            self._source,
            tool_versions(made, tools_of(self._spec)),
            tuple(part.artifact for part in parts),
            tuple(t for part in parts for t in part.comparison.thresholds),
            record,
            self._steps.films.hygiene,
        )
        scaled = tuple(t for part in parts for t in part.comparison.temperatures)
        manifest = replace(manifest, temperatures=scaled)
        files = [(f.file.path, data) for f, data in zip(record.films, png, strict=True)]
        for part in parts:
            files += part.runnable.files
        folder = self._options.out / self._spec.name
        written = Written(manifest, files)
        picked = explanation_method(self._source, self._options, self._steps, written)
        manifest = replace(manifest, explanation_method=picked.method)
        unchanged = write_bundle(folder, manifest, files)
        picked.keep(folder)
        losses = self._explained(parts, folder)
        speeds = tuple(words for part in parts for words in self._speed(part, folder))
        self._step("done")
        cache = self._steps.cache
        return Conversion(
            folder=folder,
            manifest=manifest,
            unchanged=unchanged,
            made=tuple(cache.made),
            reused=tuple(cache.reused),
            notes=(
                *notes.of_films(self._steps.films),
                *(notes.of_training(self._source) if self._steps.films.labelled else ()),
                *notes.of_labels(self._spec, manifest),
                *(notes.of_temperatures(manifest) if self._options.temperature else ()),
                *notes.of_acceptance(self._spec, manifest),
                *unopened,
                *(n for p in parts for n in notes.of_graphs(p.artifact.id, p.comparison)),
                *picked.note,
                *(n for p in parts for n in notes.of_search(p.artifact)),
                *speeds,
            ),
            failed=failed,
            quantization=losses,
        )

    def _speed(self, part: _Part, folder: Path) -> Iterator[str]:
        """What the layers that went back to float cost, measured once on a machine."""
        if part.int8 is None or part.int8.plain is None:
            return
        found = speed.known_speed(folder, part.artifact)
        if found is None:
            self._progress(f"{part.artifact.id}: speed", self._done, self._total)
            fp32 = self._fp32(part.recipe)
            plain = self._steps.ready(part.recipe, part.int8.plain)
            found = speed.measure_speed(fp32, plain, part.runnable, self._spec)
            compared = self._steps.compare(part.recipe, plain, fp32)
            record = speed.plain_record(plain, compared)
            speed.keep_speed(folder, part.artifact, record, found)
        yield notes.of_speed(part.artifact, found)

    def _explained(self, parts: list[_Part], folder: Path) -> tuple[QuantizationReport, ...]:
        if not self._options.explain_quantization:
            return ()
        reports = []
        for part in parts:
            if part.recipe.precision == "int8":
                words = f"{part.artifact.id}: what each layer loses"
                self._progress(words, self._done, self._total)
                made = explained(self._steps, part.recipe, part.artifact, part.runnable.export)
                reports.append(made)
        write_reports(tuple(reports), folder)
        return tuple(reports)

    def _step(self, words: str) -> None:
        self._progress(words, self._done, self._total)
        self._done += 1

    def _parts(self) -> tuple[list[_Part], tuple[Failed, ...]]:
        parts, failed = [], []
        for number, recipe in enumerate(self._recipes):
            self._done = 2 * number
            try:
                parts.append(self._part(recipe))
            except ConversionError as err:
                if not (self._options.keep_going or _spares_the_rest(recipe, err)):
                    raise
                failed.append(Failed(recipe.artifact_id, str(err)))
        if not parts:
            reasons = "\n".join(f"{f.artifact}: {f.reason}" for f in failed)
            raise ConversionError(f"no artifact of '{self._spec.name}' could be made:\n{reasons}")
        return parts, tuple(failed)

    def _part(self, recipe: Recipe) -> _Part:
        self._step(f"{recipe.artifact_id}: export")
        int8 = self._int8(recipe) if recipe.precision == "int8" else None
        export = self._steps.export(recipe) if int8 is None else int8.export
        ready = self._steps.ready(recipe, export)
        self._step(f"{recipe.artifact_id}: compare")
        fp32 = None if recipe.precision == "fp32" else self._fp32(recipe)
        comparison = self._steps.compare(recipe, ready, fp32)
        asked = self._options.min_agreement
        least = usual_agreement(self._spec.task) if asked is None else asked
        tolerance = fp32_tolerance(self._spec.task)
        found = comparison.parity
        refuse_disparity(recipe.artifact_id, recipe.precision, found, least, tolerance)
        artifact = Artifact(
            id=recipe.artifact_id,
            format=recipe.format,
            recipe=recipe.name,
            precision=recipe.precision,
            computes=(recipe.compute,),
            graphs=ready.graphs,
            sha256=ready.sha256,
            float_layers=export.float_layers,
            calibration=self._calibration(recipe, int8),
            parity=comparison.parity,
            accuracy=comparison.accuracy,
            masks=comparison.masks,
            boxes=comparison.boxes,
            flips=comparison.flips,
            reliability=comparison.reliability,
            guard=None if int8 is None else int8.guard,
            safe_on=() if int8 is None else int8.safe_on,
        )
        return _Part(recipe, ready, artifact, comparison, int8)

    def _fp32(self, recipe: Recipe) -> Runnable:
        """What others of the format are compared with, made for that where nobody asked for it."""
        whole = Recipe(recipe.format, "fp32")
        return self._steps.ready(whole, self._steps.export(whole))

    def _int8(self, recipe: Recipe) -> Int8:
        def say(words: str) -> None:
            self._progress(f"{recipe.artifact_id}: {words}", self._done, self._total)

        return make_int8(self._steps, recipe, self._options.trials, say)

    def _calibration(self, recipe: Recipe, int8: Int8 | None) -> Calibration | None:
        if int8 is None or not recipe.calibrated:
            return None
        films = self._steps.films.calibration
        return Calibration(
            data=films.data,
            part=films.part,
            n_films=len(films),
            n_patients=len(set(films.patients)),
            method=int8.method,
            films_sha256=films.sha256,
        )

    def _acceptance(
        self, parts: list[_Part]
    ) -> tuple[Acceptance, tuple[bytes, ...], tuple[str, ...]]:
        """Films chosen by the first artifact, answered by all; notes on what cannot be opened."""
        self._step("acceptance films")
        first = parts[0]
        drawn = self._steps.acceptance_films(first.recipe, first.runnable, first.comparison)
        png = tuple(data for _, data in drawn.files)
        given = []
        for part in parts:
            self._step(f"{part.artifact.id}: acceptance")
            outputs = recorded_outputs(self._spec.task, self._spec.outputs)
            asked = acceptance.Questions(png, part.level, outputs)
            answers = self._steps.answers(part.recipe, part.runnable, asked)
            for output, answer in zip(outputs, answers, strict=True):
                given.append((part, output, answer))
        films = tuple(
            AcceptanceFilm(
                file=FileEntry(f"acceptance/{name}", sha256_bytes(data), len(data)),
                tensor_sha256=acceptance.tensor_sha256(data, self._spec),
                boxes=acceptance.boxes_of(data, self._spec),
                expected=tuple(
                    _expected(part, output, answer.values[i], answer.tolerance)
                    for part, output, answer in given
                ),
            )
            for i, (name, data) in enumerate(drawn.files)
        )
        tried = tuple(dict.fromkeys(words for _, _, answer in given for words in answer.tried))
        unopened = (n for p, _, a in given for n in notes.of_unopened(p.artifact.id, a.unopened))
        return Acceptance(films, tried), png, tuple(dict.fromkeys(unopened))


def _expected(
    part: _Part, output: OutputSpec, values: tuple[float, ...], tolerance: float
) -> Expected:
    """One film's record: the values, and what the device must take them for."""
    scaled = divisors({t.label: t.value for t in part.comparison.temperatures}, output)
    return Expected(
        artifact=part.artifact.id,
        compute=part.runnable.compute,
        output=output.name,
        values=values,
        tolerance=tolerance,
        labels=output.labels,
        scores=label_scores(output, values, scaled),
    )


def _spares_the_rest(recipe: Recipe, err: ConversionError) -> bool:
    """Whether the failure speaks of this artifact alone. FP32 far from the source is another
    model, and every other artifact is made of it or compared with it."""
    if isinstance(err, ParityError):
        return recipe.precision != "fp32"
    return isinstance(err, BudgetError | RecipeError)
