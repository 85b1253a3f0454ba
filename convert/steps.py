"""The steps of one conversion: each is reused from the cache or made in a child process."""

from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..runtime.errors import ConversionError
from ..runtime.files import sha256_bytes
from ..runtime.spec import ModelSpec
from . import acceptance, acceptance_films, two_graphs
from .cache import WorkCache, key_of
from .data_choice import fitting
from .exporting import make
from .films import ConversionFilms
from .gathering import Wanted, gather
from .isolated import call
from .judging import Judge, judge_for
from .options import ConvertOptions
from .parity import Comparison
from .prompt_films import prompted
from .recipes import REVISION, Export, Recipe, tool_versions
from .running import Runnable, runnable
from .source import Source, draws

if TYPE_CHECKING:
    from ..models.training.cropping import Crop

CACHE = ".cache"


class Steps:
    """What is done with one source; `cache` knows what was made and what reused."""

    def __init__(self, source: Source, options: ConvertOptions, scratch: Path) -> None:
        """`scratch`: an empty folder that lives as long as the conversion."""
        self._source, self._spec, self._options = source, source.spec, options
        self._scratch = scratch
        self._exports: dict[Recipe, Export | ConversionError] = {}
        self.cache = WorkCache(options.out / CACHE, options.force)

    @cached_property
    def films(self) -> ConversionFilms:
        """Calibration, select and guard."""
        options, trained = self._options, self._source.hygiene
        data = options.data or fitting(self._spec, trained, options.folders)
        wanted = Wanted(data, options.calibration_films, trained, self._cropped)
        films = gather(self._spec, wanted)
        return prompted(films) if two_graphs.is_prompted(self._spec) else films

    @cached_property
    def _cropped(self) -> "Crop | None":
        if self._spec.input.region != "lungs":
            return None
        from ..models.training.cropping import lung_cropper

        return lung_cropper(self._options.weights)

    @cached_property
    def _judge(self) -> Judge:
        return judge_for(self._source, self.films, self._scratch, self._options.temperature)

    @property
    def spec(self) -> ModelSpec:
        """Of the source."""
        return self._spec

    @cached_property
    def network(self) -> Source:
        """What is exported and quantized: the source, of a promptable model its encoder."""
        if two_graphs.is_prompted(self._spec):
            return two_graphs.encoder_of(self._source)
        return self._source

    def key(self, step: str, recipe: Recipe, *parts: object) -> str:
        """Of a step, by all that it is made of."""
        tools = tool_versions((recipe.format,), two_graphs.tools_of(self._spec))
        return key_of(step, REVISION, recipe, tools, self._spec, self._source.code_sha256, *parts)

    def export(self, recipe: Recipe) -> Export:
        """A float artifact, made once; other recipes may start from it.

        Raises:
            ConversionError: a converter failed; asked again, it fails with the same words.
        """
        if recipe not in self._exports:
            try:
                self._exports[recipe] = self._export(recipe)
            except ConversionError as err:
                self._exports[recipe] = err
        found = self._exports[recipe]
        if isinstance(found, ConversionError):
            raise found
        return found

    def _export(self, recipe: Recipe) -> Export:
        key = self.key("export", recipe, self._source.weights_sha256, None)
        step = f"export {recipe.artifact_id}"
        return self.cache.export(step, key, lambda: make(recipe, self.network, self.export))

    def ready(self, recipe: Recipe, export: Export) -> Runnable:
        """An export as the manifest will hold it; an encoder gets its decoder beside it."""
        made = runnable(self.network.spec, recipe, export)
        if not two_graphs.is_prompted(self._spec):
            return made
        decoder = self._decoder(two_graphs.decoder_recipe(recipe))
        return two_graphs.with_decoder(made, decoder, two_graphs.decoder_of(self._source).border)

    def _decoder(self, recipe: Recipe) -> Export:
        key = self.key("export decoder", recipe, self._source.weights_sha256)
        step = f"export {recipe.artifact_id} decoder"
        return self.cache.export(
            step, key, lambda: two_graphs.make_decoder(recipe, self._source, self._decoder)
        )

    def compare(self, recipe: Recipe, ready: Runnable, fp32: Runnable | None = None) -> Comparison:
        """Thresholds on select, parity, accuracy and what `fp32` decides otherwise on guard."""
        key = self.key(
            self._judge.decides,
            recipe,
            ready.identity,
            None if fp32 is None else fp32.identity,
            self._options.temperature,
            self._source.weights_sha256,
            dict(self._source.thresholds),
            [f.sha256 for f in (self.films.select, self.films.guard)],
        )
        step = f"compare {recipe.artifact_id}"
        return self.cache.record(step, key, Comparison, lambda: self._judge.compare(ready, fp32))

    def acceptance_films(self, recipe: Recipe, ready: Runnable, comparison: Comparison) -> Export:
        """Phantoms as PNG, chosen by what the artifact answers."""
        thresholds, fitted = comparison.thresholds, comparison.temperatures
        values = [t.value for t in thresholds]
        scaling = [t.value for t in fitted]
        key = self.key(
            "films", recipe, ready.identity, values if len(values) > 1 else values[0], *scaling
        )

        def work() -> Export:
            pool = acceptance_films.phantom_pool(self._spec.input, self._cropped)
            return call(acceptance_films.choose, ready, self._spec, thresholds, pool, fitted)

        return self.cache.export("acceptance films", key, work)

    def answers(
        self, recipe: Recipe, ready: Runnable, asked: acceptance.Questions
    ) -> tuple[acceptance.Answers, ...]:
        """What the artifact says of the acceptance films, and the band: one an output."""
        made: list[acceptance.Answers] = []

        def work(number: int) -> acceptance.Answers:
            # The runs answer every output.
            made.extend(self._answered(recipe, ready, asked) if not made else ())
            return made[number]

        png = [sha256_bytes(p) for p in asked.png]
        mask: list[object] = [asked.threshold] if draws(self._spec) else []
        step, found = f"acceptance {recipe.artifact_id}", []
        for number, output in enumerate(asked.outputs):
            if self._spec.task == "detection":
                mask = [asked.threshold, output.name]
            key = self.key("answers", recipe, ready.identity, png, *mask)
            one = self.cache.record(step, key, acceptance.Answers, partial(work, number))
            found.append(one)
        return tuple(found)

    def _answered(
        self, recipe: Recipe, ready: Runnable, asked: acceptance.Questions
    ) -> tuple[acceptance.Answers, ...]:
        older = acceptance.OLDER_INSTRUCTIONS if recipe.format == "openvino" else ()
        others = tuple(
            call(acceptance.answers_of_older, ready, self._spec, asked, name) for name in older
        )
        return call(acceptance.answers, ready, self._spec, asked, others)
