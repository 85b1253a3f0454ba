"""From a trained network to a bundle: export, compare, accept, write."""

from dataclasses import dataclass
from functools import cached_property

from ..runtime.files import sha256_bytes
from ..runtime.manifest import (
    Acceptance,
    AcceptanceFilm,
    Artifact,
    Calibration,
    Expected,
    FileEntry,
    artifact_sha256,
)
from . import acceptance
from .cache import WorkCache, key_of
from .compare import Comparison, compare, refuse_disparity
from .exporting import CALIBRATION_METHOD, make
from .films import PHANTOMS, ConversionFilms, gather
from .isolated import call
from .options import Conversion, ConvertOptions, Progress
from .recipes import REVISION, Export, Recipe, chosen, tool_versions
from .running import Runnable, measure, runnable
from .source import Outputs, Source, run_source
from .writing import build_manifest, check_writable, write_bundle

CACHE = ".cache"


@dataclass(frozen=True)
class _Part:
    """An artifact's share of the manifest, ready."""

    runnable: Runnable
    artifact: Artifact
    comparison: Comparison


def check_request(options: ConvertOptions) -> tuple[Recipe, ...]:
    """What can be refused before the long work: formats, precisions, tools, the folder.

    Raises:
        ConversionError: an unknown format or precision, or a converter is not installed.
        OutputError: `out` cannot be written.
    """
    recipes = chosen(options.formats, options.precisions)
    tool_versions(tuple(dict.fromkeys(r.format for r in recipes)))
    check_writable(options.out)
    return recipes


def convert_model(
    source: Source, options: ConvertOptions, progress: Progress | None = None
) -> Conversion:
    """Convert a trained network.

    Raises:
        OutputError: `out` cannot be written; found before the long work begins.
        ConversionError: an export failed, or the network cannot be accepted.
        ParityError: an artifact is too far from the network; nothing was written.
        DataError: the data folder cannot be used.
    """
    recipes = check_request(options)
    return _Work(source, options, recipes, progress or (lambda *_: None)).run()


class _Work:
    """One conversion: every step is reused from the cache or made."""

    def __init__(
        self,
        source: Source,
        options: ConvertOptions,
        recipes: tuple[Recipe, ...],
        progress: Progress,
    ) -> None:
        self._source = source
        self._spec = source.spec
        self._options = options
        self._recipes = recipes
        self._tools = tool_versions(tuple(dict.fromkeys(r.format for r in recipes)))
        self._cache = WorkCache(options.out / CACHE, options.force)
        self._progress = progress
        self._total = 4 + 3 * len(recipes)
        self._done = 0
        self._exports: dict[Recipe, Export] = {}

    def run(self) -> Conversion:
        parts = [self._part(recipe) for recipe in self._recipes]
        record, png = self._acceptance(parts)
        self._step("writing the bundle")
        manifest = build_manifest(
            self._source,
            self._tools,
            tuple(part.artifact for part in parts),
            tuple(part.comparison.threshold for part in parts),
            record,
            self._films.hygiene,
        )
        files = [(f.file.path, data) for f, data in zip(record.films, png, strict=True)]
        for part in parts:
            entries, data = part.runnable.graph.files, part.runnable.export.files
            files += [(e.path, d) for e, (_, d) in zip(entries, data, strict=True)]
        folder = self._options.out / self._spec.name
        unchanged = write_bundle(folder, manifest, files)
        self._step("done")
        return Conversion(
            folder=folder,
            manifest=manifest,
            unchanged=unchanged,
            made=tuple(self._cache.made),
            reused=tuple(self._cache.reused),
            notes=self._notes(record, parts),
        )

    def _step(self, words: str) -> None:
        self._progress(words, self._done, self._total)
        self._done += 1

    @cached_property
    def _films(self) -> ConversionFilms:
        options = self._options
        return gather(self._spec, options.data, options.calibration_films, self._source.hygiene)

    @cached_property
    def _source_outputs(self) -> tuple[Outputs, Outputs]:
        """On select and guard; only made where a comparison is."""
        module, films = self._source.module, self._films
        with_features = self._spec.explanation is not None
        return (
            call(run_source, module, films.select, False),
            call(run_source, module, films.guard, with_features),
        )

    def _key(self, step: str, recipe: Recipe, *parts: object) -> str:
        tools = tool_versions((recipe.format,))
        return key_of(step, REVISION, recipe, tools, self._spec, *parts)

    def _part(self, recipe: Recipe) -> _Part:
        self._step(f"{recipe.artifact_id}: export")
        export = self._export(recipe)
        ready = runnable(self._spec, recipe, export)
        self._step(f"{recipe.artifact_id}: compare")
        comparison = self._compare(recipe, ready)
        refuse_disparity(
            recipe.artifact_id, recipe.precision, comparison.parity, self._options.min_agreement
        )
        artifact = Artifact(
            id=recipe.artifact_id,
            format=recipe.format,
            recipe=recipe.name,
            precision=recipe.precision,
            computes=(recipe.compute,),
            graphs=(ready.graph,),
            sha256=artifact_sha256(ready.graph.files),
            float_layers=export.float_layers,
            calibration=self._calibration(recipe),
            parity=comparison.parity,
            accuracy=comparison.accuracy,
        )
        return _Part(ready, artifact, comparison)

    def _export(self, recipe: Recipe) -> Export:
        """Made once; other recipes may start from it."""
        if recipe not in self._exports:
            films = self._films.calibration
            calibrated = films.sha256 if recipe.precision == "int8" else None
            key = self._key("export", recipe, self._source.weights_sha256, calibrated)
            self._exports[recipe] = self._cache.export(
                f"export {recipe.artifact_id}",
                key,
                lambda: make(recipe, self._source, films, self._export),
            )
        return self._exports[recipe]

    def _compare(self, recipe: Recipe, ready: Runnable) -> Comparison:
        films, source = (self._films.select, self._films.guard), self._source

        def work() -> Comparison:
            outputs = self._source_outputs
            measured = call(measure, ready, self._spec, *films, outputs[1])
            return compare(ready, measured, outputs, films, self._spec, source.threshold)

        key = self._key(
            "compare",
            recipe,
            ready.graph,
            source.weights_sha256,
            source.threshold,
            [f.sha256 for f in films],
        )
        return self._cache.record(f"compare {recipe.artifact_id}", key, Comparison, work)

    def _calibration(self, recipe: Recipe) -> Calibration | None:
        if recipe.precision != "int8":
            return None
        films = self._films.calibration
        return Calibration(
            data=films.data,
            part=films.part,
            n_films=len(films.pixels),
            n_patients=len(set(films.patients)),
            method=CALIBRATION_METHOD[recipe.format],
            films_sha256=films.sha256,
        )

    def _acceptance(self, parts: list[_Part]) -> tuple[Acceptance, tuple[bytes, ...]]:
        """Films chosen by the first artifact, answered by all."""
        self._step("acceptance films")
        recipe, first = self._recipes[0], parts[0]
        threshold = first.comparison.threshold.value
        key = self._key("films", recipe, first.runnable.graph, threshold)
        drawn = self._cache.export(
            "acceptance films",
            key,
            lambda: call(acceptance.choose, first.runnable, self._spec, threshold),
        )
        png = tuple(data for _, data in drawn.files)
        given = []
        for recipe, part in zip(self._recipes, parts, strict=True):
            self._step(f"{recipe.artifact_id}: acceptance")
            given.append(self._answers(recipe, part.runnable, png))
        films = tuple(
            AcceptanceFilm(
                file=FileEntry(f"acceptance/{name}", sha256_bytes(data), len(data)),
                tensor_sha256=acceptance.tensor_sha256(data, self._spec),
                expected=tuple(
                    self._expected(part, answer, i)
                    for part, answer in zip(parts, given, strict=True)
                ),
            )
            for i, (name, data) in enumerate(drawn.files)
        )
        tried = tuple(dict.fromkeys(words for answer in given for words in answer.tried))
        return Acceptance(films, tried), png

    def _expected(self, part: _Part, answer: acceptance.Answers, film: int) -> Expected:
        return Expected(
            artifact=part.artifact.id,
            compute=part.runnable.compute,
            output=self._spec.output("logits").name,
            values=answer.values[film],
            tolerance=answer.tolerance,
        )

    def _answers(
        self, recipe: Recipe, ready: Runnable, png: tuple[bytes, ...]
    ) -> acceptance.Answers:
        def work() -> acceptance.Answers:
            older = acceptance.OLDER_INSTRUCTIONS if recipe.format == "openvino" else ()
            others = tuple(
                call(acceptance.answers_of_older, ready, self._spec, png, name) for name in older
            )
            return call(acceptance.answers, ready, self._spec, png, others)

        key = self._key("answers", recipe, ready.graph, [sha256_bytes(p) for p in png])
        step = f"acceptance {recipe.artifact_id}"
        return self._cache.record(step, key, acceptance.Answers, work)

    def _notes(self, record: Acceptance, parts: list[_Part]) -> tuple[str, ...]:
        notes = []
        if not self._films.labelled:
            notes.append(
                f"calibrated and compared on {PHANTOMS}; thresholds were not set on data and "
                "accuracy was not measured. Give --data for both."
            )
        spread = acceptance.spread(self._spec, record, parts[0].artifact.id)
        if spread[0] > acceptance.WANTED[0] or spread[1] < acceptance.WANTED[1]:
            notes.append(
                f"scores of the acceptance films reach from {spread[0]:.3f} to {spread[1]:.3f}; "
                f"the network tells phantom films no farther apart."
            )
        return tuple(notes)
